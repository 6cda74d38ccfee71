"""Say of which kind a mail is that says it not itself, and whether it is sensitive."""

from fnmatch import fnmatchcase
from inspect import currentframe
from logging import Handler
from types import FrameType

from flasky.mail.conf import conf
from flasky.mail.models import OutboxMessage, Priority

ERROR, PASSWORD_RESET = "error", "password_reset"


def mark(message: OutboxMessage) -> None:
    """Give a message its kind, if Django's own code makes the mail, and note whether it is sensitive.

    What Django makes, an error mail or the reset of a password, is urgent: somebody waits for it.
    """
    if not message.kind:
        message.kind = kind_by_maker()
        message.priority = Priority.URGENT.value if message.kind else message.priority
    message.is_sensitive = any(fnmatchcase(message.kind, pattern) for pattern in conf.MAIL_SENSITIVE_KINDS)


def kind_by_maker() -> str:
    """Return the kind of a mail that Django itself makes; nothing for any other.

    Neither a log handler nor Django's form for passwords can name its mail: the stack says who is sending.
    """
    frame = currentframe()
    while frame:
        if _is_of_a_log_handler(frame):
            return ERROR
        if frame.f_globals.get("__name__") == "django.contrib.auth.forms":
            return PASSWORD_RESET
        frame = frame.f_back
    return ""


def _is_of_a_log_handler(frame: FrameType) -> bool:
    return frame.f_code.co_name == "emit" and isinstance(frame.f_locals.get("self"), Handler)
