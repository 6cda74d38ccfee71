"""The log's handler that tells the administrators of errors by mail."""

import logging
from typing import Any

from django.core.mail import mail_admins
from django.utils.log import AdminEmailHandler

from flasky.faults.secrets import hide

logger = logging.getLogger(__name__)  # not below "django": what fails here is not mailed in its turn

MAX_SUBJECT = 200  # characters


class ErrorMailHandler(AdminEmailHandler):
    def send_mail(self, subject: Any, message: Any, *args: Any, **options: Any) -> None:
        """Mail it without the secrets that the error's own text may repeat."""
        try:
            mail_admins(hide(subject)[:MAX_SUBJECT], hide(message))
        except Exception:  # the page must still come
            logger.exception("The details of an error, for the administrators, could not be stored and are lost.")
