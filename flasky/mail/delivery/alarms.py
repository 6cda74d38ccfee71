"""Tell a fault of the settings by mails that are refused alike, before it fails one after the other.

One mail that is refused for good is to blame itself. When more are refused with the same words, and nothing was
accepted between, it is the sender, a DNS record or a login that the relay wants: the queue is kept, and those that had
failed before this could be known are taken back. The history of the attempts is what all processes know of it.

While it is one sender or two, only their mails are kept back, and each is tried when its pause is over: the relay takes
the others'. When it is more, no mail is worth a try.
"""

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from flasky.mail.conf import conf
from flasky.mail.db.connections import release_connection
from flasky.mail.delivery.giving_up import given_up_before, is_too_old
from flasky.mail.models import Attempt, OutboxMessage, RelayOutage, State
from flasky.mail.runtime import clock
from flasky.mail.transports import TransportUnavailable
from flasky.mail.transports.diagnosis import advise
from flasky.mail.transports.replies import Reply, is_alike, may_be_about_settings, names_settings, texts_of
from flasky.mail.transports.sentences import REFUSED_ALIKE

logger = logging.getLogger(__name__)

SURE, UNSURE = 2, 3  # mails refused alike: where the reply names the sender or its domain; where it only may mean them
MANY_SENDERS = 3  # refused alike: then it is not they
NEWEST = 1000  # attempts that one look reads
FIRST_PAUSE, LONGEST_PAUSE = 1, 60  # s for which a sender's mails are kept back: as long as they have waited already
KEPT_BACK = timedelta(seconds=FIRST_PAUSE / 2)  # at least: a new mail is due within microseconds
TAKEN_BACK_BY = "the alarm: refused alike"  # in the history of a message
ACCEPTED = {Attempt.Outcome.ACCEPTED, Attempt.Outcome.PARTLY}


@dataclass(frozen=True)
class Refused:
    """A message that was refused alike."""

    key: int
    recipient: str
    sender: str


def alarm_after(message: OutboxMessage, replies: dict[str, Reply], server: str) -> TransportUnavailable | None:
    """Return why no mail is worth a try until somebody has mended the settings, if these replies say so.

    Take back the mails that have failed of the same. Raise what the database raises.
    """
    refusal = next(iter(replies.values()), None)
    if refusal is None or not all(map(may_be_about_settings, replies.values())) or is_too_old(message, clock.now()):
        return None
    if not all(is_alike(refusal.text, reply.text) for reply in replies.values()):
        return None
    alike = _refused_alike(refusal, message, server)
    before = [each for each in alike if each.key != message.pk]
    if not (_are_enough(before, message, names_settings(refusal)) or _goes_on(len(before) < len(alike), message)):
        return None
    _take_back([each.key for each in before])
    release_connection()
    said = REFUSED_ALIKE % {"server": server, "reply": refusal.text.rstrip(".")}
    text = f"{said} {advise(refusal)}"
    senders = {each.sender for each in before} | {message.envelope_sender}
    if len(senders) >= MANY_SENDERS or "" in senders:  # whoever has no name cannot be kept back by it
        return TransportUnavailable(text)
    age = (clock.now() - message.queued_at).total_seconds()
    pause = min(max(age, FIRST_PAUSE), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
    return TransportUnavailable(text, retry_after=pause, senders=frozenset(senders))


def _are_enough(before: list[Refused], message: OutboxMessage, is_sure: bool) -> bool:
    who = {each.recipient for each in before} | {message.recipients[0].lower()}
    return len(before) + 1 >= SURE if is_sure else len(who) >= UNSURE


def _goes_on(was_refused_alike: bool, message: OutboxMessage) -> bool:
    """Tell whether an alarm has taken the message back, for what it is refused again: the others were not tried yet."""
    return was_refused_alike and message.actions.filter(actor=TAKEN_BACK_BY).exists()


def keep_back(alarm: TransportUnavailable, server: str) -> None:
    """Let the mails of the alarm's senders wait for its pause, so that the others' can leave, and raise the alarm.

    Those that are too old to wait are due: they end with their next refusal. Raise what the database raises.
    """
    until = clock.now() + timedelta(seconds=alarm.retry_after or LONGEST_PAUSE)
    too_old = given_up_before(clock.now())
    waiting = OutboxMessage.objects.due().filter(envelope_sender__in=alarm.senders, queued_at__gt=too_old)
    waiting.update(next_attempt_at=until, last_reply=str(alarm))
    noted = [RelayOutage.objects.note(server, str(alarm), until, sender) for sender in alarm.senders]
    if any(noted):
        logger.error("%s The mails of that sender wait in the outbox.", alarm)


def end_alarm(message: OutboxMessage, server: str) -> None:
    """Note that a mail was accepted, if it may be one that was kept back. Raise what the database raises."""
    if message.next_attempt_at - message.queued_at > KEPT_BACK:
        RelayOutage.objects.clear(server, message.envelope_sender)


def _refused_alike(refusal: Reply, message: OutboxMessage, server: str) -> list[Refused]:
    """Return the messages refused so since the relay has last accepted one, and the sender's before that.

    Not those from before a mail of the same sender was accepted.
    """
    found: dict[int, Refused] = {}
    is_from_all = True
    for outcome, reply, refused in _newest_attempts(server):
        is_same_sender = refused.sender == message.envelope_sender
        if outcome in ACCEPTED:
            if is_same_sender:
                break
            is_from_all = False
        elif outcome == Attempt.Outcome.REFUSED and (is_same_sender or is_from_all) and _is_alike(refusal, reply):
            found[refused.key] = refused
    return list(found.values())


def _is_alike(refusal: Reply, summary: str) -> bool:
    return all(is_alike(refusal.text, text) for text in texts_of(summary))


def _newest_attempts(server: str) -> Iterator[tuple[str, str, Refused]]:
    newest = Attempt.objects.filter(started_at__gt=clock.now() - timedelta(days=conf.MAIL_GIVE_UP_DAYS))
    columns = "outcome", "server", "reply", "message_id", "message__first_recipient", "message__envelope_sender"
    for outcome, where, reply, *refused in newest.order_by("-pk").values_list(*columns)[:NEWEST]:
        if where == server[:255]:
            yield outcome, reply, Refused(*refused)


def _take_back(keys: list[int]) -> None:
    too_old = given_up_before(clock.now())
    failed = OutboxMessage.objects.filter(pk__in=keys, state=State.FAILED, queued_at__gt=too_old)
    if count := failed.take_back(TAKEN_BACK_BY):
        logger.warning("%d mails that had failed of the same are queued again.", count)
