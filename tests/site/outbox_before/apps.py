from django.apps import AppConfig


class OutboxOfBefore(AppConfig):
    name = "tests.site.outbox_before"
    label = "mail"
