"""Say that nobody delivers, that mail is overdue, or that a relay gets fewer connections."""

from datetime import timedelta

from django.db.models import Count, Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from flasky.mail.conf import conf
from flasky.mail.dispatchers import delivers_inline
from flasky.mail.models import CALM, SIGNS_MISSED, OutboxMessage, OverBudget, Process, Relay
from flasky.mail.runtime import clock
from flasky.mail.status.written import joined, number, since, time_of_day

DELIVERERS = gettext_lazy(
    "Start the server (with MAIL_DISPATCHER=threads) or a worker (manage.py deliver_mail --loop); "
    "manage.py deliver_mail delivers once, now."
)
MOST_OVERDUE_COUNTED = 10_000


def delivery_notice(relay_is_away: bool, somebody_delivers: bool) -> str:
    """Return that nobody delivers, or that mail is overdue, and what to do; nothing if all is well."""
    late = overdue()
    if late and not relay_is_away:
        return joined(late, _("Nobody delivers, or not fast enough."), DELIVERERS)
    if somebody_delivers:
        return late
    seconds = SIGNS_MISSED * conf.MAIL_SWEEP_INTERVAL
    nobody = _("Nobody delivers: no process has given a sign of life in the last %(seconds)s s.") % {"seconds": seconds}
    return joined(late, nobody, DELIVERERS)


def somebody_delivers() -> bool:
    return delivers_inline() or Process.objects.alive().exists()


def overdue() -> str:
    """Return how many messages have been due for too long, and for how long; nothing if none has."""
    messages = OutboxMessage.objects.overdue()
    oldest = messages.values_list("next_attempt_at", flat=True).first()
    if oldest is None:
        return ""
    count, waited = messages.values("pk")[: MOST_OVERDUE_COUNTED + 1].count(), since(oldest, clock.now())
    if count > MOST_OVERDUE_COUNTED:
        sentence = _("More than %(count)s messages are overdue, the oldest by %(age)s.")
        return sentence % {"count": number(MOST_OVERDUE_COUNTED), "age": waited}
    sentence = ngettext(
        "%(count)s message is overdue, the oldest by %(age)s.",
        "%(count)s messages are overdue, the oldest by %(age)s.",
        count,
    )
    return sentence % {"count": number(count), "age": waited}


def over_budget() -> str:
    """Return how many messages the mail budget holds, and what to do; nothing if it holds none."""
    found = OverBudget.objects.waiting().aggregate(count=Count("pk"), newest=Max("pk"))
    count, newest = found["count"], OverBudget.objects.filter(pk=found["newest"]).first() if found["count"] else None
    if newest is None:
        return ""
    sentence = ngettext(
        "%(count)s message is held by the mail budget. It leaves by itself when the budget allows: release or cancel "
        "it, or raise the limit (%(setting)s).",
        "%(count)s messages are held by the mail budget. They leave by themselves when the budget allows: release or "
        "cancel them, or raise the limit (%(setting)s).",
        count,
    )
    return sentence % {"count": number(count), "setting": newest.setting}


def fewer_connections() -> list[str]:
    """Return for each relay that refused connections how many it may have for now, and how that ends."""
    limit = conf.MAIL_MAX_CONNECTIONS
    return [_fewer_connections(relay, limit) for relay in Relay.objects.lowered(limit)] if limit else []


def _fewer_connections(relay: Relay, limit: int) -> str:
    grows_at, allowed = relay.allowed_since + timedelta(seconds=CALM), relay.allowed or 0
    if grows_at > clock.now():
        sentence = ngettext(
            "At most %(allowed)s connection to %(server)s for now, not %(limit)s (MAIL_MAX_CONNECTIONS), because it "
            "refused more; while mail leaves, one more every %(seconds)s s, the next at %(time)s.",
            "At most %(allowed)s connections to %(server)s for now, not %(limit)s (MAIL_MAX_CONNECTIONS), because it "
            "refused more; while mail leaves, one more every %(seconds)s s, the next at %(time)s.",
            allowed,
        )
    else:
        sentence = ngettext(
            "At most %(allowed)s connection to %(server)s for now, not %(limit)s (MAIL_MAX_CONNECTIONS), because it "
            "refused more; while mail leaves, one more every %(seconds)s s, the next with the next mail.",
            "At most %(allowed)s connections to %(server)s for now, not %(limit)s (MAIL_MAX_CONNECTIONS), because it "
            "refused more; while mail leaves, one more every %(seconds)s s, the next with the next mail.",
            allowed,
        )
    return sentence % {
        "allowed": allowed,
        "server": relay.server,
        "limit": limit,
        "seconds": CALM,
        "time": time_of_day(grows_at),
    }
