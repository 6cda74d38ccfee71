"""What people must be told about the outbox, in the sentences that the pages and the checks share."""

from django.utils import timezone
from django.utils.timesince import timesince

from flasky.mail.models import OutboxMessage, RelayTrouble, State

DELIVERERS = (
    "Start the server (with MAIL_DISPATCHER=threads) or a worker (manage.py deliver_mail --loop); "
    "manage.py deliver_mail delivers once, now."
)


def notices() -> list[str]:
    """Return a sentence for each relay that takes no mail, and one if mail is overdue, with what to do."""
    found = [str(trouble) for trouble in RelayTrouble.objects.current()]
    if late := overdue():
        found.append(late if found else f"{late} Nobody delivers, or not fast enough. {DELIVERERS}")
    return found


def overdue() -> str:
    """Return how many messages have been due for too long, and for how long; nothing if none has."""
    messages = OutboxMessage.objects.overdue()
    oldest = messages.values_list("next_attempt_at", flat=True).first()
    if oldest is None:
        return ""
    count = messages.count()
    waited = timesince(oldest, timezone.now(), depth=1).replace("\xa0", " ")
    return f"{count} message{' is' if count == 1 else 's are'} overdue, the oldest by {waited}."


def about(message: OutboxMessage) -> list[str]:
    """Return what a person who looks at the message cannot know from its state."""
    sentences = []
    if message.state == State.HELD:
        sentences.append("Held: nobody delivers it until a person requeues or cancels it.")
    if message.possible_duplicate:
        sentences.append(
            "It may arrive twice: a process died, or the connection broke, before the server's reply to it was noted. "
            "Both copies have the same Message-ID."
        )
    if message.is_pruned:
        sentences.append(pruned(message))
    return sentences


def pruned(message: OutboxMessage) -> str:
    """Return why there is no body; nothing if there is one."""
    if not message.is_pruned:
        return ""
    since = f" after {timezone.localtime(message.finished_at):%Y-%m-%d}" if message.finished_at else ""
    return f"The body was pruned{since}: bodies of old messages are not kept."
