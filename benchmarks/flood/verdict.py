"""What the flood has come to, in numbers and in a verdict."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median

from benchmarks.figure import percentile

ROUNDS = 5  # each in the quiet and in the flood: times are medians of so many
SLOWER = 2  # times: others may wait so much longer than in the quiet
UNNOTICED = 50  # ms: who waits no longer than that has not waited
BUSY = 0.3  # of the machine: beyond it the times say more of what else runs there
BYTES = 20_000  # of the database, for each new name that was stored: its user, its mail, that mail's history
SPARE = 4_000_000  # bytes of the database that are there at the first write, such as new pages and the log of a commit
TOLD = 3  # each limit of the recipient that is reached, once an hour
LINES = 300  # of the log, beside one for each mail


@dataclass
class Found:
    posted: int  # by the robots
    answers: Counter  # to them, by status
    waits: Counter  # Retry-After of each 429
    others: Counter  # answers to the other visitors, by status
    allowed: int  # new names by the limits
    period: int  # s of a limit
    stored: int  # new names
    told: int  # mails about something that went wrong, as that the mail budget is used up
    budget: int | None  # mails that may leave; None: there is no budget
    states: Counter  # of the mails
    lost: list  # Message-IDs of mails that are called sent, and the relay has never seen
    accepted: int  # mails, by the relay
    grown: int  # bytes
    lines: int  # of the log
    seconds: float
    rounds: int
    busy: float  # the share of this machine that something else used
    times: dict = field(default_factory=dict)  # ms of what others do: by rounds, in the quiet and in the flood

    @property
    def unjudged(self):
        """Say why the times are not held against anything; nothing if they are."""
        if self.rounds < ROUNDS:
            return f"How long others wait was not judged: that takes {ROUNDS} rounds."
        if self.busy > BUSY:
            return f"How long others wait was not judged: something else used {self.busy:.0%} of this machine."
        return ""


def slower(blocks):
    """Return how long others wait in the quiet and in the flood (p95), and the ratio: each the median of the rounds.

    The ratio is taken within each round, for what disturbs the machine disturbs both parts of it.
    """
    quiet, flooded = ([percentile(block, 95) for block in each] for each in blocks)
    return median(quiet), median(flooded), median(two / one for one, two in zip(quiet, flooded, strict=True))


def complaints(found):
    wrong_waits = [wait for wait in found.waits if not wait.isdecimal() or not 0 < int(wait) <= found.period]
    answered, bytes_allowed = sum(found.answers.values()), BYTES * found.stored + SPARE
    stored_mails = sum(found.states.values())
    rules = [
        (answered == found.posted, f"{found.posted} posts got {answered} answers."),
        (set(found.answers) <= {302, 429}, f"Robots got other answers than 302 and 429: {dict(found.answers)}."),
        (not wrong_waits, f"A 429 without a Retry-After that can be right: {wrong_waits[:5]}."),
        (set(found.others) <= {200, 302}, f"Others got other answers than 200 and 302: {dict(found.others)}."),
        (found.stored <= found.allowed, f"{found.stored} new names were stored; the limits allow {found.allowed}."),
        (
            stored_mails == found.stored + found.told,
            f"{found.stored} names have {stored_mails - found.told} mails.",
        ),
        (found.told <= TOLD, f"The administrators got {found.told} mails about what went wrong."),
        (set(found.states) <= {"sent", "queued", "sending", "held"}, f"Mails were lost: {dict(found.states)}."),
        (not found.lost, f"{len(found.lost)} mails are called sent, and the relay has not seen them."),
        (
            found.accepted == found.states["sent"],
            f"The relay has {found.accepted} mails of {found.states['sent']} sent.",
        ),
        (
            found.budget is None or found.accepted <= found.budget + found.told,
            f"{found.accepted} mails have left; the budget is {found.budget}.",
        ),
        (found.grown <= bytes_allowed, f"The database has grown by {found.grown} bytes; {bytes_allowed} are allowed."),
        (found.lines <= found.stored + LINES, f"The log has {found.lines} lines."),
    ]
    for what, blocks in () if found.unjudged else found.times.items():
        quiet, flooded, times = slower(blocks)
        told = f"Others wait {times:.2f} times as long for {what}: {flooded:.1f} ms, {quiet:.1f} in the quiet (p95)."
        rules.append((times <= SLOWER or flooded <= UNNOTICED, told))
    return [complaint for holds, complaint in rules if not holds]


def table(found):
    rows = {
        "New names posted by robots": found.posted,
        "Stored": f"{found.answers[302]} of theirs, {found.stored} in all; allowed {found.allowed}",
        "Refused with 429": found.answers[429],
        "Mails": ", ".join(f"{count} {state}" for state, count in sorted(found.states.items())),
        "Mails that may leave": "any" if found.budget is None else found.budget,
        "Accepted by the relay": found.accepted,
        "Growth of the database": f"{found.grown / 1000:,.0f} kB; a new name {found.grown / found.stored:,.0f} bytes",
        "Lines in the log": found.lines,
        "Posts a second": f"{found.posted / found.seconds:.0f}",
    }
    for what, blocks in found.times.items():
        quiet, flooded, times = slower(blocks)
        rows[f"Wait for {what}"] = f"{times:.2f} times as long: {flooded:.1f} ms, {quiet:.1f} in the quiet (p95)"
    return "\n".join(f"{name:<44}{value}" for name, value in rows.items())
