"""Register the reports of faults with Django."""

from django.apps import AppConfig


class FaultsConfig(AppConfig):
    name = "flasky.faults"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from flasky.faults.telling import tell_counts_now_and_then
        from flasky.mail.signals import swept

        swept.connect(tell_counts_now_and_then, dispatch_uid="flasky.faults")
