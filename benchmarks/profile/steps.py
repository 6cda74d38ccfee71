"""A mail's steps as cProfile saw them, each beside what no program on this machine can be faster than."""

from collections import Counter
from dataclasses import dataclass

SMALL, BYTES, LINE = "a commit of one small row", "a commit of a mail's bytes", "a mail by smtplib, bytes ready"


@dataclass(frozen=True)
class Step:
    name: str
    functions: tuple[str, ...]  # how each ends: module, function
    limit: str = ""


# Flasky's; a step whose functions have got other names is shown without a time.
STEPS = {
    "store": (
        Step("render the texts", ("flasky.mail.__init__ render_email",)),
        Step("compose the mail", ("flasky.mail.backend _composed",)),
        Step("look at the budget", ("flasky.mail.limits.budget spending", "flasky.mail.limits.budget _look")),
        Step("insert and commit", ("flasky.mail.storing.insert insert_message",), BYTES),
    ),
    "drain": (
        Step("look what is due", ("flasky.mail.delivery.batches next_batch",)),
        Step("claim", ("flasky.mail.models.claims claim",)),
        Step("hand over", ("flasky.mail.transports.base deliver_each",), LINE),
        Step("record and commit", ("flasky.mail.delivery.recording record",), SMALL),
        Step("log", ("flasky.mail.delivery.log log_attempt",)),
    ),
}


def show(work, functions, limits):
    together = Counter()
    for name, _, _, microseconds in functions:
        together[without_line(name)] += microseconds
    print(f"  {'step':20} {'with all it calls':>18} {'limit':>8}")
    for step in STEPS[work]:
        time = sum(together[name] for name in step.functions)
        limit = f"{limits[step.limit]:8.0f}  {step.limit}" if step.limit else ""
        print(f"  {step.name:20} {f'{time:.1f}' if time else 'not found':>18} {limit}".rstrip())
    print()


def without_line(name):
    """Return "module function" of "module:line function"."""
    module, _, rest = name.partition(":")
    return f"{module} {rest.partition(' ')[2]}" if rest else name


def by_package(functions):
    """Return the µs a mail of each package, the longest first; each function that is written in C is one by itself."""
    sums = Counter()
    for name, _, itself, _ in functions:
        module, colon, _ = name.partition(":")
        parts = module.split(".")
        depth = 3 if parts[0] in ("flasky", "django") else 1
        sums[".".join(parts[:depth]) if colon else name] += itself
    return sums.most_common()
