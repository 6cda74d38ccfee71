"""What the tests store of a person, and how they look for what is left."""

from django.apps import apps
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.utils import timezone

from flasky.mail.models import OutboxMessage, State

ANN = "ann@example.com"


def stored(*to, state=State.SENT, subject="Hi", body="Hello", sender="site@example.com", cause="", **options):
    """Store a mail, and let it be in this state; return its row."""
    email = EmailMultiAlternatives(subject, body, sender, list(to), **options)
    email.cause = cause
    email.send()
    message = email.outbox_message
    outcomes = {address: {"accepted": True, "reply": f"250 ok {address}"} for address in message.recipients}
    is_finished = state in State.finished()
    OutboxMessage.objects.filter(pk=message.pk).update(
        state=state,
        outcomes=outcomes if is_finished else {},
        finished_at=timezone.now() if is_finished else None,
        last_reply="\n".join(outcome["reply"] for outcome in outcomes.values()) if is_finished else "",
    )
    message.refresh_from_db()
    if is_finished:
        message.attempts.create(outcome="accepted", reply=message.last_reply)
        for address in message.recipients:
            message.provider_statuses.create(address=address, provider="X", provider_id=f"id-{address}", status="sent")
    return message


def attached(message):
    """Return an email about a stored one, which is in it."""
    email = EmailMessage("See", "attached", "site@example.com", ["staff@example.com"])
    email.attach("it.eml", bytes(message.content), "message/rfc822")
    return email


def rows_with(text):
    """Return each row of the outbox that has the text in any column."""
    found = []
    for model in apps.get_app_config("flasky_mail").get_models():
        for row in model.objects.all():
            values = [getattr(row, field.attname) for field in model._meta.concrete_fields]
            values = [
                bytes(each).decode(errors="replace")
                if hasattr(each, "tobytes") or isinstance(each, bytes)
                else str(each)
                for each in values
            ]
            if any(text in value for value in values):
                found.append(row)
    return found
