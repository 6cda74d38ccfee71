"""Name the object that a message is about, to those who may see it."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from django.apps import apps
from django.contrib.admin import AdminSite
from django.core.exceptions import ValidationError
from django.db import Error as DatabaseFailure
from django.db import connections, transaction
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from flasky.mail.models import OutboxMessage
from flasky.mail.web.links import admin_url_of
from flasky.mail.web.permissions import may_view_other


@dataclass
class Cause:
    """The object that a message is about."""

    kind: str
    name: str
    reference: str  # as the list's filter takes it
    url: str = ""  # of its page in the admin

    @classmethod
    def of(cls, message: OutboxMessage, request: HttpRequest, site: AdminSite) -> "Cause | None":
        """Return what the person may know of it, and its page in the admin site; None if it is about nothing."""
        reference = message.cause
        if not reference:
            return None
        label, _colon, key = reference.partition(":")
        gone = cls("", _("%(object)s, which does not exist any more") % {"object": reference}, reference)
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError):
            return gone
        kind = str(model._meta.verbose_name)
        if not may_view_other(request, site, model):
            return cls(kind, key, reference)
        try:
            found = _stored(model, key)
        except DatabaseFailure:  # a model without its table, or in a database that is away
            name = _("%(object)s, which cannot be read now") % {"object": reference}
            return cls("", name, reference)
        if found is None:
            return gone
        if not may_view_other(request, site, type(found), found):
            return cls(kind, key, reference)
        return cls(kind, str(found), reference, admin_url_of(found, site.name))


def _stored(model: type[Model], key: str) -> Model | None:
    manager = model._default_manager
    try:
        with apart(manager.db):
            return manager.filter(pk=key).first()
    except (ValueError, ValidationError):
        return None


def apart(alias: str) -> AbstractContextManager[None]:
    """Keep an error in a query from ending the transaction around it, if there is one."""
    return transaction.atomic(using=alias) if connections[alias].in_atomic_block else nullcontext()
