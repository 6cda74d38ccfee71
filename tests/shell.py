"""`manage.py shell -c` without a start of Django each time: a process that runs the scripts it is given, one by one."""

import contextlib
import io
import json
import subprocess
import sys
import traceback

_open = None


def run_in_shell(script, environment):
    """Return what the script prints. Only the last shell is kept, for those who have the same environment."""
    global _open
    if _open is None or _open.environment != environment:
        close_shell()
        _open = Shell(environment)
    return _open.run(script)


def close_shell():
    global _open
    if _open:
        _open.close()
    _open = None


class Shell:
    def __init__(self, environment):
        self.environment = dict(environment)
        command = [sys.executable, "-m", "tests.shell"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def run(self, script):
        print(json.dumps(script), file=self._process.stdin)
        printed, error = json.loads(self._process.stdout.readline())
        assert not error, error
        return printed

    def close(self):
        self._process.communicate(timeout=60)


def serve():
    import django

    django.setup()
    from django.apps import apps
    from django.db import connection, connections

    models = {model.__name__: model for model in apps.get_models()}
    for line in sys.stdin:
        printed, error = io.StringIO(), ""
        try:
            with contextlib.redirect_stdout(printed):
                exec(json.loads(line), dict(models))
        except Exception:
            error = traceback.format_exc()
        connections.close_all()  # the server may go away before the next script comes
        if connection.vendor == "postgresql":
            connection.close_pool()
        print(json.dumps([printed.getvalue(), error]), flush=True)


if __name__ == "__main__":
    serve()
