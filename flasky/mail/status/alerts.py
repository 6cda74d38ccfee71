"""Say that nobody delivers, that mail is overdue, or that a relay gets fewer connections."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import dateformat, timezone
from django.utils.timesince import timesince

from flasky.mail.models import CALM, SIGNS_MISSED, Deliverer, OutboxMessage, Relay

DELIVERERS = (
    "Start the server (with MAIL_DISPATCHER=threads) or a worker (manage.py deliver_mail --loop); "
    "manage.py deliver_mail delivers once, now."
)
INLINE = "flasky.mail.dispatchers.inline"
MOST_COUNTED = 10_000


def delivery_notice(relay_is_away: bool) -> str:
    """Return that nobody delivers, or that mail is overdue, and what to do; nothing if all is well."""
    late = overdue()
    if late and not relay_is_away:
        return f"{late} Nobody delivers, or not fast enough. {DELIVERERS}"
    if somebody_delivers():
        return late
    seconds = SIGNS_MISSED * settings.MAIL_SWEEP_INTERVAL
    nobody = f"Nobody delivers: no process has given a sign of life in the last {seconds} s. {DELIVERERS}"
    return f"{late} {nobody}".lstrip()


def somebody_delivers() -> bool:
    return delivers_inline() or Deliverer.objects.alive().exists()


def delivers_inline() -> bool:
    return settings.MAIL_DISPATCHER == INLINE


def overdue() -> str:
    """Return how many messages have been due for too long, and for how long; nothing if none has."""
    messages = OutboxMessage.objects.overdue()
    oldest = messages.values_list("next_attempt_at", flat=True).first()
    if oldest is None:
        return ""
    count = messages.values("pk")[: MOST_COUNTED + 1].count()
    counted = f"More than {MOST_COUNTED:,}" if count > MOST_COUNTED else f"{count:,}"
    waited = timesince(oldest, timezone.now(), depth=1).replace("\xa0", " ")
    return f"{counted} message{' is' if count == 1 else 's are'} overdue, the oldest by {waited}."


def fewer_connections() -> list[str]:
    """Return for each relay that refused connections how many it may have for now, and how that ends."""
    limit = settings.MAIL_MAX_CONNECTIONS
    return [_fewer_connections(relay, limit) for relay in Relay.objects.lowered(limit)] if limit else []


def _fewer_connections(relay: Relay, limit: int) -> str:
    grows_at = relay.allowed_since + timedelta(seconds=CALM)
    following = f"at {_time_of_day(grows_at)}" if grows_at > timezone.now() else "with the next mail"
    return (
        f"At most {relay.allowed} connection{'' if relay.allowed == 1 else 's'} to {relay.server} for now, not {limit} "
        f"(MAIL_MAX_CONNECTIONS), because it refused more; while mail leaves, one more every {CALM} s, "
        f"the next {following}."
    )


def _time_of_day(moment: datetime) -> str:
    return dateformat.format(timezone.localtime(moment), "H:i:s e")
