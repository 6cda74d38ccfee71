"""Name the object that a message is about, to those who may see it."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from django.apps import apps
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import Error as DatabaseFailure
from django.db import connections, transaction
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from flasky.mail.models import OutboxMessage
from flasky.mail.web.permissions import may_view_other


@dataclass
class Cause:
    """The object that a message is about."""

    kind: str
    name: str
    reference: str  # as the list's filter takes it
    url: str = ""  # of its page in the admin

    @classmethod
    def of(cls, message: OutboxMessage, request: HttpRequest) -> "Cause | None":
        """Return what the person may know of it; None if the message is about nothing."""
        reference = message.cause
        if not reference:
            return None
        label, _, key = reference.partition(":")
        gone = cls("", f"{reference}, which does not exist any more", reference)
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError):
            return gone
        kind = str(model._meta.verbose_name)
        if not may_view_other(request, model):
            return cls(kind, key, reference)
        try:
            found = _stored(model, key)
        except DatabaseFailure:  # a model without its table, or in a database that is away
            return cls("", f"{reference}, which cannot be read now", reference)
        if found is None:
            return gone
        if not may_view_other(request, type(found), found):
            return cls(kind, key, reference)
        return cls(kind, str(found), reference, _admin_url(found))


def _stored(model: type[Model], key: str) -> Model | None:
    manager = model._default_manager
    try:
        with _apart(manager.db):
            return manager.filter(pk=key).first()
    except (ValueError, ValidationError):
        return None


def _apart(alias: str) -> AbstractContextManager[None]:
    """Keep an error in a query from ending the transaction around it, if there is one."""
    return transaction.atomic(using=alias) if connections[alias].in_atomic_block else nullcontext()


def _admin_url(instance: Model) -> str:
    meta = instance._meta
    if not admin.site.is_registered(type(instance)):
        return ""
    return reverse(f"{admin.site.name}:{meta.app_label}_{meta.model_name}_change", args=[instance.pk])
