"""Mails that may be told of in a digest, for the tests."""

from datetime import timedelta

from django.utils import timezone

from flasky.mail import send_email
from flasky.mail.digests.making import make_digests
from flasky.mail.models import Gathered, OutboxMessage

KIND = "mail/flasky_mail/test"  # its digest is the tests' own: see conftest
ADMIN = "admin@example.com"


def send(*names, to=ADMIN, **options):
    """Send a mail about each name; return the rows."""
    emails = [send_email(to, f"New: {name}", KIND, digest={"name": name}, host=name, **options) for name in names]
    return [email.outbox_message for email in emails]


def states():
    return list(OutboxMessage.objects.order_by("pk").values_list("state", flat=True))


def let_time_pass(seconds):
    """Let the deadlines be so much nearer, and what is stored so much older."""
    by = timedelta(seconds=seconds)
    for gathered in Gathered.objects.select_related("message"):
        gathered.due_at -= by
        gathered.created_at -= by
        gathered.save()
    for message in OutboxMessage.objects.all():
        for name in ("created_at", "queued_at", "next_attempt_at"):
            setattr(message, name, getattr(message, name) - by)
        message.save()


def make_due():
    """Let the deadline of all that waits be near; return the digests that are made then."""
    before = set(OutboxMessage.objects.values_list("pk", flat=True))
    Gathered.objects.waiting().update(due_at=timezone.now())
    make_digests()
    return list(OutboxMessage.objects.exclude(pk__in=before).order_by("pk"))


def told_in(digest):
    """Return the names that the digest tells of, as it was linked to them."""
    return [each.says["name"] for each in digest.carried.order_by("message")]
