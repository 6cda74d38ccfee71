"""Reckon the end of a lease by the database's clock: the hosts' clocks may differ."""

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from flasky.mail.conf import conf

LONGEST = timedelta(hours=1)  # of another process's MAIL_LEASE, more or less


def end_of_lease() -> Any:
    return Now() + _lease()


def is_over() -> Q:
    """Return the condition under which somebody else may have what was leased."""
    return Q(lease_expires_at__lt=Now()) | Q(lease_expires_at__gt=Now() + _lease() + LONGEST)


def is_misdated() -> Q:
    """Return the condition under which the lease ended too long ago, or ends too late, for this clock to have given it.

    The database's clock has jumped over it. Or nobody has delivered meanwhile: then to wait for another lease does no
    harm.
    """
    lease = _lease()
    return Q(lease_expires_at__lt=Now() - lease) | Q(lease_expires_at__gt=Now() + lease + LONGEST)


def _lease() -> timedelta:
    return timedelta(seconds=conf.MAIL_LEASE)
