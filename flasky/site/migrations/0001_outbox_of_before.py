"""Move what the outbox of before has stored: until 27 November 2026 its label and its tables were named `mail`."""

from collections import Counter
from itertools import islice

from django.db import migrations
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F, Field
from django.db.models.fields import NOT_PROVIDED
from django.db.models.functions import TruncHour

LABEL_BEFORE, LABEL = "mail", "flasky_mail"
# The model, its name of before, the names of before of its columns, and the values of before of its codes; no table
# before one that it refers to.
MODELS = (
    (
        "OutboxMessage",
        "outboxmessage",
        {"kind": "event", "source": "door", "actor": "person"},
        {"source": {"other": ""}},
    ),
    (
        "Attempt",
        "attempt",
        {},
        {"outcome": {"partly accepted": "partly", "refused for now": "postponed", "too late": "late"}},
    ),
    ("Action", "action", {"actor": "person"}, {"verb": {"sent again": "sent_again", "made": "copied"}}),
    ("FurtherRecipient", "furtherrecipient", {}, {}),
    ("HourlyCount", "tally", {}, {}),
    ("Process", "deliverer", {}, {}),
    ("Relay", "relay", {}, {}),
    ("ConnectionSlot", "seat", {}, {}),
    ("RelayOutage", "relaytrouble", {}, {}),
    ("WriteProbe", "writeprobe", {}, {}),
)
BATCH = 1000


def move(apps, schema_editor):
    """Copy each row under its own number, and drop the tables of before. May be run again after it was interrupted."""
    connection = schema_editor.connection
    tables = set(connection.introspection.table_names())
    moves = [
        (apps.get_model(LABEL, model), f"{LABEL_BEFORE}_{name}", columns, values)
        for model, name, columns, values in MODELS
        if f"{LABEL_BEFORE}_{name}" in tables
    ]
    for model, table, columns, values in moves:
        copy_rows(connection, model, table, columns, values)
        go_on_counting(connection, model._meta.db_table, table)
    if connection.vendor == "postgresql":
        keep_what_came_meanwhile(connection, moves)
    applied = MigrationRecorder(connection).migration_qs.filter(app=LABEL_BEFORE)
    if moves and not applied.filter(name__startswith="0005").exists():
        name_recipients(apps, connection)
        count_what_has_ended(apps, connection)
    move_content_type(apps, connection)
    if connection.vendor == "postgresql":
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks to come cannot be dropped
    for _, table, _, _ in reversed(moves):
        schema_editor.execute(f"DROP TABLE {connection.ops.quote_name(table)}")
    applied.delete()


def copy_rows(connection, model, table, columns, values):
    """Copy the rows that are not there yet; a column of which the table of before knows nothing gets its default."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        known = {column.name for column in connection.introspection.get_table_description(cursor, table)}
        names, expressions, parameters = [], [], []
        for field in model._meta.concrete_fields:
            before = columns.get(field.column, field.column)
            if before in known:
                codes = values.get(field.column, {})
                expression, used = coded(quote(before), codes)
            elif field.db_default is NOT_PROVIDED:
                expression, used = "%s", [field.get_db_prep_save(Field.get_default(field), connection)]
            else:
                continue
            names.append(quote(field.column))
            expressions.append(expression)
            parameters += used
        here, key = quote(model._meta.db_table), quote(model._meta.pk.column)
        cursor.execute(
            f"INSERT INTO {here} ({', '.join(names)}) SELECT {', '.join(expressions)} FROM {quote(table)} "
            f"WHERE NOT EXISTS (SELECT 1 FROM {here} WHERE {here}.{key} = {quote(table)}.{key})",
            parameters,
        )


def coded(column, codes):
    """Return the SQL expression of a column whose values of before become codes, and its parameters."""
    if not codes:
        return column, []
    whens = " WHEN %s THEN %s" * len(codes)
    return f"CASE {column}{whens} ELSE {column} END", [text for pair in codes.items() for text in pair]


def keep_what_came_meanwhile(connection, moves):
    """Let nobody write any more, and copy what a process of before has stored during the copying."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        for _, table, _, _ in moves:
            cursor.execute(f"LOCK TABLE {quote(table)} IN ACCESS EXCLUSIVE MODE")
    for model, table, columns, values in moves:
        copy_rows(connection, model, table, columns, values)
        go_on_counting(connection, model._meta.db_table, table)


def go_on_counting(connection, table, before):
    """Give no number a second time, not even that of a message that was pruned."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT MAX(seq) FROM sqlite_sequence WHERE name IN (%s, %s)", [table, before])
            (last,) = cursor.fetchone()
            if last is not None:
                cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
                cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, last])
        elif connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [before])
            cursor.execute(f"SELECT last_value, is_called FROM {cursor.fetchone()[0]}")
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s, %s)", [table, *cursor.fetchone()])
        else:
            cursor.execute(
                "SELECT AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() "
                "AND TABLE_NAME = %s",
                [before],
            )
            cursor.execute(f"ALTER TABLE {quote(table)} AUTO_INCREMENT = {int(cursor.fetchone()[0])}")


def name_recipients(apps, connection):
    """Let the search find what was stored before it had an index."""
    OutboxMessage, FurtherRecipient = (apps.get_model(LABEL, name) for name in ("OutboxMessage", "FurtherRecipient"))
    messages = OutboxMessage.objects.using(connection.alias).only("recipients", "created_at").order_by("pk").iterator()
    further = FurtherRecipient.objects.using(connection.alias)
    further.all().delete()
    while batch := list(islice(messages, BATCH)):
        for message in batch:
            message.first_recipient = message.recipients[0].lower()[:254] if message.recipients else ""
        OutboxMessage.objects.using(connection.alias).bulk_update(batch, ["first_recipient"])
        further.bulk_create(
            FurtherRecipient(message_id=message.pk, address=address.lower()[:254], created_at=message.created_at)
            for message in batch
            for address in message.recipients[1:]
        )


def count_what_has_ended(apps, connection):
    """Count by the hour what was sent and what failed before such counts were kept."""
    OutboxMessage, HourlyCount = (apps.get_model(LABEL, name) for name in ("OutboxMessage", "HourlyCount"))
    ended = OutboxMessage.objects.using(connection.alias).filter(state__in=("sent", "failed"))
    hours = {}
    for hour, state in ended.annotate(hour=TruncHour(F("finished_at"))).values_list("hour", "state").iterator():
        hours.setdefault(hour, Counter())[state] += 1
    HourlyCount.objects.using(connection.alias).all().delete()
    HourlyCount.objects.using(connection.alias).bulk_create(
        HourlyCount(hour=hour, slot=0, sent=states["sent"], failed=states["failed"])
        for hour, states in hours.items()
        if hour
    )


def move_content_type(apps, connection):
    """Keep who may see and act, and what the admin's log says of messages; nobody can have been given the rest."""
    kept = apps.get_model("contenttypes", "ContentType").objects.using(connection.alias)
    if not kept.filter(app_label=LABEL, model="outboxmessage").exists():
        kept.filter(app_label=LABEL_BEFORE, model="outboxmessage").update(app_label=LABEL)
    kept.filter(app_label=LABEL_BEFORE).delete()


class Migration(migrations.Migration):
    dependencies = [("flasky_mail", "0001_initial"), ("contenttypes", "0002_remove_content_type_name")]
    # Where a transaction cannot hold both, MariaDB, each step is done for good: the next run goes on from there.
    operations = [migrations.RunPython(move, migrations.RunPython.noop, atomic=False)]
