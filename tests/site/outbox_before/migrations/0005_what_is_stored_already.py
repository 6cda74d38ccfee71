from collections import Counter

from django.db import migrations
from django.db.models import F
from django.db.models.functions import TruncHour

BATCH = 1000


def name_recipients(apps, schema_editor):
    """Let the search find what was stored before it had an index."""
    OutboxMessage, FurtherRecipient = (apps.get_model("mail", name) for name in ("OutboxMessage", "FurtherRecipient"))
    messages = OutboxMessage.objects.using(schema_editor.connection.alias)
    last = 0
    while batch := list(messages.filter(pk__gt=last).order_by("pk").only("recipients", "created_at")[:BATCH]):
        for message in batch:
            message.first_recipient = message.recipients[0].lower()[:254] if message.recipients else ""
        messages.bulk_update(batch, ["first_recipient"])
        FurtherRecipient.objects.using(messages.db).bulk_create(
            FurtherRecipient(message_id=message.pk, address=address.lower()[:254], created_at=message.created_at)
            for message in batch
            for address in message.recipients[1:]
        )
        last = batch[-1].pk


def count_what_has_ended(apps, schema_editor):
    OutboxMessage, Tally = (apps.get_model("mail", name) for name in ("OutboxMessage", "Tally"))
    using = schema_editor.connection.alias
    ended = OutboxMessage.objects.using(using).filter(state__in=("sent", "failed"), finished_at__isnull=False)
    hours = {}
    for hour, state in ended.annotate(hour=TruncHour(F("finished_at"))).values_list("hour", "state").iterator():
        hours.setdefault(hour, Counter())[state] += 1
    Tally.objects.using(using).bulk_create(
        Tally(hour=hour, slot=0, sent=states["sent"], failed=states["failed"]) for hour, states in hours.items()
    )


class Migration(migrations.Migration):
    dependencies = [("mail", "0004_what_became_of_each")]
    operations = [
        migrations.RunPython(name_recipients, migrations.RunPython.noop),
        migrations.RunPython(count_what_has_ended, migrations.RunPython.noop),
    ]
