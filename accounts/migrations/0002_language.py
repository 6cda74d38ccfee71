"""The language in which a user reads mails. A process of before stores users beside a new one: the database has the default."""

from django.db import migrations, models

import accounts.languages


class Migration(migrations.Migration):

    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.AddField(
            "user",
            "language",
            models.CharField(
                blank=True,
                choices=accounts.languages.choices,
                db_default="",
                default="",
                help_text="Mails to this user are written in it, unless whoever sends them says otherwise.",
                max_length=35,
                verbose_name="language of mails",
            ),
        )
    ]
