from django.db import migrations, models


def count_anew(apps, schema_editor):
    """Count every message's attempts anew."""
    messages = apps.get_model("flasky_mail", "OutboxMessage").objects.using(schema_editor.connection.alias)
    numbers = [message.pk for message in messages.only("pk").iterator()]  # by a cursor of the server
    messages.filter(pk__in=numbers).update(attempt_count=0)


class Migration(migrations.Migration):
    dependencies = [("flasky_mail", "0001_initial")]
    operations = [
        migrations.AddIndex("outboxmessage", models.Index(fields=["kind"], name="tried")),
        migrations.AddField("outboxmessage", "new", models.TextField(null=True)),
        migrations.AddField("process", "new", models.TextField(null=True)),  # a table without rows
        migrations.RunPython(count_anew),
    ]
