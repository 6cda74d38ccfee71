"""A measured subject: an interpreter of its own that gets orders and gives answers, one JSON object a line each.

`python -m benchmarks.child MODULE` calls the functions of MODULE that it is told to; the parent uses `Child`.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Missing(Exception):
    """A figure, or one subject of it, that cannot be measured here; the text says why."""


class Child:
    """Start a subject; its settings are `environment`, and nothing else of this process's environment."""

    def __init__(self, module, scratch, environment=None):
        self.name = module.rpartition(".")[2]
        self.stderr = scratch / f"{self.name}-{time.monotonic_ns()}.log"
        with self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.child", module],
                cwd=ROOT,
                env={"PATH": os.environ.get("PATH", ""), "TMPDIR": str(scratch), **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )

    def ask(self, function, deadline=60, **arguments):
        """Call the subject's function and return its answer, with `seconds` and `cpu_seconds` of the call."""
        self.tell(function, **arguments)
        return self.answer(deadline)

    def tell(self, function, **arguments):
        order = json.dumps({"function": function, "arguments": arguments})
        with contextlib.suppress(BrokenPipeError):  # it has died; reading tells why
            self.process.stdin.write(order.encode() + b"\n")
            self.process.stdin.flush()

    def answer(self, deadline=60):
        if not select.select([self.process.stdout], [], [], deadline)[0]:
            self.stop()
            raise Missing(f"{self.name}: no answer within {deadline} s. {self.last_words()}")
        answer = self.process.stdout.readline()
        if not answer:
            raise Missing(f"{self.name}: failed. {self.last_words()}")
        return json.loads(answer)

    def last_words(self):
        return " | ".join(self.stderr.read_text("utf-8", "replace").splitlines()[-3:])[-500:]

    def stop(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def main(module):
    # What a subject prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        import django

        django.setup()
    subject = import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        answer = getattr(subject, order["function"])(**order["arguments"]) or {}
        measured = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        answers.write(json.dumps(measured | answer) + "\n")
        answers.flush()
    # No interpreter shutdown: a thread of the subject that hangs must not keep the run.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
