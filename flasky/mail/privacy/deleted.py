"""Erase the mails about an object together with it, if MAIL_ERASE_WITH names its model."""

import logging
from typing import Any

from django.apps import apps
from django.db.models.signals import post_delete

from flasky.mail import cause_of
from flasky.mail.conf import conf
from flasky.mail.privacy.erasure import erase
from flasky.mail.privacy.trail import Person

logger = logging.getLogger(__name__)


def connect() -> None:
    """Listen to those models only: a receiver for all would slow every deletion of the project down."""
    for label in conf.MAIL_ERASE_WITH:
        try:
            model = apps.get_model(label)
        except (AttributeError, LookupError, ValueError):  # a check says so
            continue
        post_delete.connect(erase_mails_about, sender=model, dispatch_uid=f"flasky.mail.privacy.{label}")


def erase_mails_about(sender: Any, instance: Any, **signal: Any) -> None:
    erased = erase(Person(causes=frozenset({cause_of(instance)})))
    if erased.removed:
        logger.info("%s was deleted, and with it %d messages about it.", cause_of(instance), erased.removed)
