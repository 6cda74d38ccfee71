"""Let go of what the mail budget holds, the oldest first, as far as the budget allows."""

import logging
from collections.abc import Iterator

from django.db import connections
from django.db.models import Min, Q

from flasky.mail.limits.budget import limits_of, shares_of
from flasky.mail.limits.spent import Limit, Share, left
from flasky.mail.models import OutboxMessage, OverBudget, OverBudgetQuerySet, Priority
from flasky.mail.models.one_database import write_transaction

logger = logging.getLogger(__name__)

WHO = "the mail budget"  # in the history
MOST_GROUPS, MOST_OF_A_GROUP = 1000, 100  # recipients, and messages of each, that one look compares

Rooms = dict[Limit, int]


def release_what_fits() -> int:
    """Queue what was held beyond the budget and is within it by now; return how many messages.

    Of several processes one does so at a time: the others would find the same room once more.
    """
    waiting = OverBudget.objects.waiting()
    oldest = waiting.order_by("pk").values_list("pk", flat=True).first()
    if oldest is None:
        return 0
    urgent, rooms = Q(message__priority=Priority.URGENT), Rooms()
    can_skip = connections[waiting.db].features.has_select_for_update_skip_locked
    with write_transaction(waiting.db):
        # Nobody waits for the lock: who has it may be cut off, and does all there is to do otherwise.
        if not waiting.filter(pk=oldest).select_for_update(skip_locked=can_skip):
            return 0
        chosen = [*_fitting(waiting.filter(urgent), True, rooms), *_fitting(waiting.exclude(urgent), False, rooms)]
        OverBudget.objects.note_release(chosen)
        released = OutboxMessage.objects.filter(pk__in=chosen).let_go(WHO)
    if released:
        logger.info("The mail budget allows %d of the messages that are held.", released)
    return released


def _fitting(waiting: OverBudgetQuerySet, is_urgent: bool, rooms: Rooms) -> Iterator[int]:
    """Yield the keys of the messages for which each of their limits has room, and take that room."""
    kinds = waiting.exclude(message__kind="").values_list("message__kind", flat=True).distinct()
    full = [kind for kind in kinds if not _have_room(limits_of(Share("kind", kind, is_urgent)), rooms)]
    waiting = waiting.exclude(message__kind__in=full)
    groups = waiting.values_list("message__first_recipient").annotate(first=Min("message")).order_by("first")
    everybody = limits_of(Share("urgent" if is_urgent else "total", "", is_urgent))
    for recipient, _ in groups[:MOST_GROUPS]:
        if not _have_room(everybody, rooms):
            break
        if not _have_room(limits_of(Share("recipient", recipient, is_urgent)), rooms):
            continue
        group = waiting.filter(message__first_recipient=recipient).order_by("message").values_list("message", flat=True)
        messages = OutboxMessage.objects.filter(pk__in=list(group[:MOST_OF_A_GROUP])).order_by("pk")
        for message in messages.only("recipients", "kind", "priority"):
            limits = [limit for share in shares_of(message) for limit in limits_of(share)]
            if not _have_room(limits, rooms):
                continue
            for limit in limits:
                rooms[limit] -= 1
            yield message.pk


def _have_room(limits: list[Limit], rooms: Rooms) -> bool:
    for limit in limits:
        if limit not in rooms:
            rooms[limit] = left(limit)
        if rooms[limit] <= 0:
            return False
    return True
