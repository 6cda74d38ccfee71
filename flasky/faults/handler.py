"""Handle the log's errors by mail to the administrators."""

import logging
import threading
from functools import partial
from logging import LogRecord
from typing import Any

from django.conf import settings
from django.core.mail import mail_admins
from django.utils.log import AdminEmailHandler

from flasky.faults.identity import identify
from flasky.faults.probes import is_about_a_probe
from flasky.faults.secrets import hide
from flasky.faults.telling import tell
from flasky.mail.wire.forbidden import visible

logger = logging.getLogger(__name__)  # not below "django": what fails here is not mailed in its turn

MAX_SUBJECT = 200  # characters


class ErrorMailHandler(AdminEmailHandler):
    """Mail an error without its secrets, and no more often than flasky.faults.telling says."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._here = threading.local()

    def handle(self, record: LogRecord) -> bool:
        """Emit without the handler's lock: while one thread waits for the database, others must not wait for it."""
        passes = not is_about_a_probe(record) and bool(self.filter(record))
        if passes:
            self.emit(record)
        return passes

    def emit(self, record: LogRecord) -> None:
        if not settings.ADMINS or getattr(self._here, "is_telling", False):
            return
        self._here.is_telling = True
        try:
            tell(identify(record), partial(super().emit, record))
        except Exception as error:  # the page must still come
            logger.error("No mail tells of this error (%s); the log has it. Look at the database.", error)
        finally:
            self._here.is_telling = False

    def send_mail(self, subject: Any, message: Any, *args: Any, **options: Any) -> None:
        mail_admins(visible(hide(subject))[:MAX_SUBJECT], visible(hide(message)))
