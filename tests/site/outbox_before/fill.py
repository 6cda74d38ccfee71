"""Store messages in every state, with all that belongs to them, in the database of before."""

import json
from datetime import timedelta

import django

django.setup()

from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402
from django.utils import timezone  # noqa: E402

loader = MigrationExecutor(connection).loader
newest = max(name for app, name in loader.applied_migrations if app == "mail")
apps = loader.project_state(("mail", newest)).apps
models = {model.__name__: model for model in apps.get_models() if model._meta.app_label == "mail"}
now = timezone.now()


def new(name, /, **fields):
    """Return a new row; what the model of that time has no column for is left out."""
    model = models.get(name)
    columns = {field.name for field in model._meta.fields} if model else ()
    known = {key: value for key, value in fields.items() if key in columns or key == "message_id"}
    return model.objects.create(**known) if model else None


STATES = ("queued", "sending", "sent", "failed", "held", "cancelled")
OUTCOMES = ("accepted", "refused", "partly accepted", "refused for now", "unknown", "too late")
VERBS = ("requeued", "released", "held", "cancelled", "sent again", "made", "forwarded")
DOORS = ("form", "admin", "sendtestemail", "other")

for number, state in enumerate(STATES):
    ended = now - timedelta(hours=2) if state in ("sent", "failed", "cancelled") else None
    message = new(
        "OutboxMessage", state=state, subject=f"Grüße {state} 中文 🐍", from_header="Ann <ann@example.com>",
        recipients=["Bob@Example.com", "eve@example.com"], first_recipient="bob@example.com", outcomes={},
        content=bytes(range(256)), provider_options={"tags": ["a"]}, event="mail/new_user", cause="accounts.user:7",
        door=DOORS[number % 4], person="Ann", finished_at=ended, claim_token="0" * 31 + "7", last_reply="250 ok",
        request_id="r1", possible_duplicate=True, attempt_count=3, message_id=f"<{number}@x>",
    )  # fmt: skip
    new("FurtherRecipient", message_id=message.pk, address="eve@example.com", created_at=message.created_at)
    for outcome in OUTCOMES:
        new("Attempt", message_id=message.pk, outcome=outcome, reply="250 ok", worker="host 1 2")
    for verb in VERBS:
        new("Action", message_id=message.pk, verb=verb, person="Ann", other=7)
highest = new("OutboxMessage", state="sent", from_header="x", content=b"", message_id="<pruned@x>").pk
models["OutboxMessage"].objects.filter(pk=highest).delete()
for name in ("Relay", "RelayTrouble"):
    new(name, server="mail.example.com:25", reason="away", next_probe_at=now)
new("Seat", server="mail.example.com:25", number=0)
new("Deliverer", name="host 1", threads=4)
new("Tally", hour=now, slot=1, sent=5, failed=2, accepted=4, waited_ms=70, highest_number=3)
new("WriteProbe", content=b"x")
rows = {name: model.objects.count() for name, model in models.items()}
content_type = ContentType.objects.create(app_label="mail", model="outboxmessage").pk
print(json.dumps({"rows": rows, "content_type": content_type, "highest": highest}))
