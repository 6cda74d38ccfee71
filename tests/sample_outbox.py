"""An outbox with messages in every state, for the browser tests and the pictures of the docs."""

NAME, PASSWORD = "Grace", "for this site only"
VIEWER = "Vera"  # may look and not act; the same password

# Run by `manage.py shell` of the site.
SCRIPT = f"""
from datetime import timedelta
from django.contrib.auth.models import Permission
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone
from flasky.mail import cause_of, send_email
from flasky.mail.models import Attempt, Process, OutboxMessage, State, HourlyCount

now = timezone.now()
User.objects.create_superuser("{NAME}", "grace@example.com", "{PASSWORD}")
viewer = User.objects.create_user("{VIEWER}", "vera@example.com", "{PASSWORD}", is_staff=True)
viewer.user_permissions.add(*Permission.objects.filter(codename__in=["view_outboxmessage", "open_outboxmessage"]))
OutboxMessage.objects.all().delete()

ENDS = {{
    State.QUEUED: ("postponed", "451 4.7.1 Greylisted, please try again later"),
    State.SENDING: ("", ""),
    State.SENT: ("accepted", "250 2.0.0 Ok: queued as 4F1C2"),
    State.FAILED: ("refused", "550 5.1.1 <ann@example.com>: Recipient address rejected: User unknown"),
    State.HELD: ("unknown", "Nothing was heard of web-1 4711 after it had claimed the message."),
    State.CANCELLED: ("", ""),
}}
for number in range(60):
    state = list(ENDS)[number % 6]
    is_scheduled = number == 6
    outcome, reply = ("", "") if is_scheduled else ENDS[state]
    user = User(username=f"Zoë O'Brien {{number}}", pk=1)
    to = [f"ann{{number}}@example.com", f"bob{{number}}@example.net"][: 1 + number % 2]
    subject = "New User" if number % 5 else "A longer subject, " * 8
    message = send_email(to, subject, "mail/new_user", cause=user, user=user).outbox_message
    message.state = state
    message.source = ["index", "admin", "sendtestemail", ""][number % 4]
    message.actor = "" if number % 4 == 0 else "{NAME}"
    message.created_at = now - timedelta(minutes=7, hours=number)
    message.next_attempt_at = now + (timedelta(days=1) if is_scheduled else timedelta(minutes=5 + number))
    message.attempt_count = int(bool(outcome))
    message.priority = {{0: "urgent", 6: "bulk"}}.get(number % 10, "normal")
    message.queued_at = message.next_attempt_at if is_scheduled else message.created_at
    message.last_reply = reply
    message.possible_duplicate = number % 12 == 2
    if state == State.SENDING:
        message.claimed_by, message.lease_expires_at = "web-1 4711 mail_2", now + timedelta(seconds=40)
    if state in (State.SENT, State.FAILED):
        message.finished_at = message.created_at + timedelta(seconds=2)
        message.outcomes = {{address: {{"accepted": state == State.SENT, "reply": reply}} for address in to}}
    message.save()
    if outcome:
        message.attempts.create(
            outcome=outcome, reply=reply, server="mail.example.com:587", secured=True, logged_in=True,
            worker="web-1 4711 mail_2", seconds=0.12, started_at=message.created_at + timedelta(seconds=1),
        )
email = EmailMultiAlternatives(
    "[Flasky] Invoice", "See it.", None, ["ann@example.com"], cc=["carl@example.org"], bcc=["dora@example.org"]
)
email.attach_alternative('<h1>Invoice</h1><img src="https://images.example/pixel.png" alt="">', "text/html")
email.attach("invoice.csv", "1;2;3", "text/csv")
email.send()
this_hour = now.replace(minute=0, second=0, microsecond=0)
for ago in range(24 * 30):
    hour = this_hour - timedelta(hours=ago)
    HourlyCount.objects.create(hour=hour, slot=0, sent=20 + ago * 37 % 91, failed=ago * 13 % 7)
Process.objects.heartbeat("web-1 4711", 4)
print(email.outbox_message.pk)
"""
