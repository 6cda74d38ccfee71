"""The index by which a mail's language is found, built while visitors are stored."""

from django.db import migrations, models

from flasky.mail.migrating.online import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("accounts", "0002_language")]

    operations = [AddIndexOnline("user", models.Index(fields=["email"], name="accounts_user_email"))]
