"""Wire the outbox up when Django is ready."""

from django.apps import AppConfig
from django.core.signals import request_started
from django.utils.translation import gettext_lazy


class MailConfig(AppConfig):
    name = "flasky.mail"
    label = "flasky_mail"  # `mail` alone is the label of many apps
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = gettext_lazy("Outbox")

    def ready(self) -> None:
        from flasky.mail import checks, dispatchers  # noqa: F401 (importing the checks registers them)
        from flasky.mail.migrating import announcing
        from flasky.mail.privacy import deleted

        request_started.connect(dispatchers.serve_requests, dispatch_uid="flasky.mail.dispatchers.serve_requests")
        deleted.connect()
        announcing.connect(self)
