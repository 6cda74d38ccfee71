"""Say who may look at the outbox and who may act on it."""

from django.contrib.auth import get_permission_codename
from django.db.models import Model
from django.http import HttpRequest

from flasky.mail.models import OutboxMessage


def may_view(request: HttpRequest) -> bool:
    """Return whether the person may look at every message."""
    return _has(request, "view", OutboxMessage) or may_act(request)


def may_act(request: HttpRequest) -> bool:
    return _has(request, "change", OutboxMessage)


def _has(request: HttpRequest, action: str, model: type[Model]) -> bool:
    name = f"{model._meta.app_label}.{get_permission_codename(action, model._meta)}"
    return hasattr(request, "user") and request.user.has_perm(name)
