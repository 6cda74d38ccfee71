"""Say who may look at the outbox and act on it, and who may see what its mails are about."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import get_permission_codename
from django.db.models import Model
from django.http import HttpRequest

from flasky.mail.models import OutboxMessage


def may_view(request: HttpRequest) -> bool:
    """Return whether the person may look at every message."""
    return _has(request, "view", OutboxMessage) or may_act(request)


def may_act(request: HttpRequest) -> bool:
    return _has(request, "change", OutboxMessage)


def may_open(request: HttpRequest) -> bool:
    """Return whether the person may see what messages say, and not only that they exist."""
    return may_view(request) and _has(request, "open", OutboxMessage)


def may_view_other(request: HttpRequest, site: AdminSite, model: type[Model], instance: Model | None = None) -> bool:
    """Return whether the person may see this object of another model, or, without one, any of that model at all."""
    if site.is_registered(model):
        pages: Any = site.get_model_admin(model)
        return (
            hasattr(request, "user")
            and site.has_permission(request)
            and pages.has_view_or_change_permission(request, instance)
        )
    return _has(request, "view", model) or _has(request, "change", model)


def _has(request: HttpRequest, action: str, model: type[Model]) -> bool:
    name = f"{model._meta.app_label}.{get_permission_codename(action, model._meta)}"
    return hasattr(request, "user") and request.user.has_perm(name)
