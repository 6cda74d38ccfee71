"""Register the outbox with the admin, to look at it and act on messages. What is stored is never edited."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from flasky.mail.models import OutboxMessage
from flasky.mail.web.admin import OutboxPages


@admin.register(OutboxMessage)
class OutboxMessageAdmin(OutboxPages):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
