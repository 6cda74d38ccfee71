"""Tell an outage of the database, after which the same write may succeed, from a write that never will.

Told by the error's code, not by its class: psycopg calls a database that only reads an InternalError, and a table that
is being put back a ProgrammingError. PostgreSQL has SQLSTATEs, MariaDB and MySQL numbers, SQLite only words.
"""

from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from django.db import Error as DatabaseFailure
from django.utils.translation import gettext_noop as _

# PostgreSQL's classes of what is wrong with a statement or its values, whatever the state of the server.
OURS = ("0A", "21", "22", "23", "38", "39", "42", "44", "54", "P0")
# But these of them are over when a copy is put back, a migration has run, or a right is given again.
OURS_AT_OTHER_TIMES = ("42501", "42703", "42P01")  # no right, no such column, no such table
READ_ONLY, FULL, FAILING_DISK = ("25006",), ("53100",), ("58030",)

# The same in MariaDB and MySQL, which give them as OperationalError or ProgrammingError.
OUR_NUMBERS = (
    *(1048, 1136, 1264, 1265, 1292, 1366, 1406, 1416, 1690, 3140, 3819, 4025),  # values that a column does not take
    *(1064, 1118, 1153, 1644),  # syntax, a row or a packet that is too large, a trigger's refusal
)
THEIR_NUMBERS = (1046, 1049, 1054, 1146, 2014)  # no such database, column or table; a conversation cut in the middle
READ_ONLY_NUMBERS, FULL_NUMBERS = (1036, 1290, 1792, 1836), (28, 1021, 1114)

# And SQLite's words. Its codes are known from Python 3.11 on only.
OUR_WORDS = ("syntax error", "incomplete input", "too many ", "too big")
THEIR_WORDS = ("closed database", "connection already closed")
READ_ONLY_WORDS, FULL_WORDS = ("readonly database",), ("disk is full", "no space left on device")
FAILING_DISK_WORDS = ("disk i/o error",)

# What is said of it: English in the log, in the reader's language elsewhere (status/in_their_words.py).
IS_READ_ONLY = _(
    "it is read-only. Look whether DATABASE_URL leads to a standby, as after a fail-over, and whether somebody has "
    "made it or its file read-only."
)
IS_FULL = _("its disk is full. Make room where the database keeps its files.")
IS_FAILING = _("its disk fails or is full. Make room where the database keeps its files, and look at the system's log.")
ANSWERED = _("it answered %(answer)s. Look at this process's log, and at the database's.")


def is_outage(error: BaseException) -> bool:
    """Return whether the same write may succeed later: the database is away, only reads, is full, locked or mended.

    The same goes for a machine that is short of memory, files or threads. False: the write will never succeed.
    """
    if not isinstance(error, DatabaseFailure):
        return is_shortage(error)
    if error.__cause__ is None:  # no driver has said it, but Django: by its class alone
        return isinstance(error, (InterfaceError, InternalError, OperationalError))
    state, number, words = _codes(error)
    if _came_second(error, state):
        return False
    if state:
        return state in OURS_AT_OTHER_TIMES or not state.startswith(OURS)
    if number in THEIR_NUMBERS or _has(words, THEIR_WORDS):
        return True
    if number in OUR_NUMBERS or _has(words, OUR_WORDS):
        return False
    return not isinstance(error, (DataError, IntegrityError, NotSupportedError, ProgrammingError))


def is_shortage(error: BaseException) -> bool:
    """Return whether the machine has too little memory, too few files or no thread for us at the moment."""
    return isinstance(error, (MemoryError, OSError)) or "can't start new thread" in str(error)


def what_is_wrong(error: BaseException) -> str:
    """Return what is wrong with a database that takes no write, and what to look at; it names no host."""
    state, number, _words = _codes(error)
    code = f" {state or number}" if state or number else ""
    return known_fault(error) or ANSWERED % {"answer": f"{type(error).__name__}{code}"}


def known_fault(error: BaseException) -> str:
    """Return the same if the code says it by itself; nothing if it does not."""
    state, number, words = _codes(error)
    if state in READ_ONLY or number in READ_ONLY_NUMBERS or _has(words, READ_ONLY_WORDS):
        return IS_READ_ONLY
    if state in FULL or number in FULL_NUMBERS or _has(words, FULL_WORDS):
        return IS_FULL
    if state in FAILING_DISK or _has(words, FAILING_DISK_WORDS):
        return IS_FAILING
    return ""


def _codes(error: BaseException) -> tuple[str, int, str]:
    """Return the SQLSTATE, the number and the words that the driver gave, as far as it gives such."""
    cause = error.__cause__ or error  # Django's own error comes from the driver's
    first = cause.args[0] if cause.args else ""
    return getattr(cause, "sqlstate", None) or "", first if isinstance(first, int) else 0, str(cause).lower()


def _has(words: str, any_of: tuple[str, ...]) -> bool:
    return any(each in words for each in any_of)


def _came_second(error: BaseException, state: str) -> bool:
    """Tell whether the transaction had failed before, by an error that we do not see here."""
    return state == "25P02" or type(error.__cause__).__name__ == "PipelineAborted"
