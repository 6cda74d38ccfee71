from django.db import migrations, models

from flasky.mail.runtime import clock

OF_NOW = {
    'action': ['at'],
    'attempt': ['started_at'],
    'outboxmessage': ['created_at', 'queued_at', 'next_attempt_at'],
    'providerstatus': ['at'],
    'relayoutage': ['since'],
}
NAMES = {'created_at': {'verbose_name': 'stored at'}, 'queued_at': {'verbose_name': 'age counts from'}}


class Migration(migrations.Migration):

    dependencies = [
        ('flasky_mail', '0003_record_at_once'),
    ]

    operations = [
        migrations.AddField(
            model_name='process',
            name='clock_ahead',
            field=models.FloatField(db_default=0, default=0),
        ),
        # Whose now it is, only Python knows: SQLite need not write a million rows anew for that.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(model, name, models.DateTimeField(default=clock.now, **NAMES.get(name, {})))
                for model, names in OF_NOW.items()
                for name in names
            ]
        ),
    ]
