from django.apps import AppConfig
from django.core.signals import request_started


class MailConfig(AppConfig):
    name = "flasky.mail"
    label = "mail"
    verbose_name = "Outbox"

    def ready(self) -> None:
        from flasky.mail import checks, dispatchers  # noqa: F401 (importing the checks registers them)

        request_started.connect(dispatchers.serve, dispatch_uid="flasky.mail.dispatchers.serve")
