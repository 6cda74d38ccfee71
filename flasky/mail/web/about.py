"""Name the objects that messages are about, and find messages by these names, as far as the person may see them.

Both stay quick with a million messages and a million objects: a name is looked for among all objects only where it is
whole and unique, and part of one among the newest NEWEST objects of each kind.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import Error as DatabaseFailure
from django.db.models import CharField, Model, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from flasky.mail import cause_of
from flasky.mail.models import OutboxMessage
from flasky.mail.web.cause import apart
from flasky.mail.web.permissions import may_view_other

NEWEST = 10_000  # objects of a kind
MOST_FOUND = 50  # objects of a kind
MOST_KINDS = 10  # of objects
BEHIND_ALL_KEYS = "zzzz"  # in the order of every database


class Objects:
    """The objects that a person may see in an admin site."""

    def __init__(self, request: HttpRequest, site: AdminSite) -> None:
        self.request, self.site = request, site

    def names(self, causes: Iterable[str]) -> dict[str, str]:
        """Return the name of each of the objects that is there, by its cause, with one query for each kind."""
        keys: dict[str, set[str]] = defaultdict(set)
        for label, _, key in (cause.partition(":") for cause in causes):
            keys[label].add(key)
        found = [instance for label, wanted in keys.items() for instance in self._stored(label, wanted)]
        return {cause_of(instance): str(instance) for instance in found}

    def named(self, words: str) -> list[str]:
        """Return the causes of the objects whose names are these words, or have them in it."""
        searched = (self._searched(model, words) for model in self._kinds() if self.site.is_registered(model))
        return [cause_of(instance) for instances in searched for instance in instances]

    def _stored(self, label: str, keys: set[str]) -> list[Model]:
        model = self._visible(label)
        if model is None:
            return []
        good = {key for key in keys if _is_key(model, key)}
        return self._seen([model._default_manager.filter(pk__in=good)])

    def _searched(self, model: type[Model], words: str) -> list[Model]:
        pages: Any = self.site.get_model_admin(model)
        if not pages.get_search_fields(self.request):
            return []
        objects = model._default_manager.all()
        keys = objects.order_by("-pk").values("pk")
        oldest = Coalesce(Subquery(keys[NEWEST - 1 : NEWEST]), Subquery(objects.order_by("pk").values("pk")[:1]))
        some, _ = pages.get_search_results(self.request, objects.filter(pk__gte=oldest), words)
        whole = objects.filter(_is_exactly(model, pages.get_search_fields(self.request), words))
        return self._seen([some.order_by("-pk")[:MOST_FOUND], whole.order_by()[:MOST_FOUND]])

    def _kinds(self) -> Iterator[type[Model]]:
        """Yield the models of what messages are about; the index of the causes is asked for the first of each."""
        causes, last = OutboxMessage.objects.order_by("cause").values_list("cause", flat=True), ""
        for _ in range(MOST_KINDS):
            cause = causes.filter(cause__gt=last)[:1].first()
            if cause is None:
                return
            label = cause.partition(":")[0]
            last = max(cause, f"{label}:{BEHIND_ALL_KEYS}")
            if model := self._visible(label):
                yield model

    def _visible(self, label: str) -> type[Model] | None:
        """Return the model, if the person may see objects of it."""
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError):
            return None
        return model if may_view_other(self.request, self.site, model) else None

    def _seen(self, several: list[QuerySet[Any]]) -> list[Model]:
        found = []
        try:
            for objects in several:
                with apart(objects.db):
                    found += list(objects)
        except DatabaseFailure:  # a model without its table, or in a database that is away
            return []
        return [each for each in found if may_view_other(self.request, self.site, type(each), each)]


def _is_key(model: type[Model], text: str) -> bool:
    field = model._meta.pk
    try:
        field.run_validators(field.to_python(text))
    except (ValueError, ValidationError):
        return False
    return True


def _is_exactly(model: type[Model], fields: Iterable[str], words: str) -> Q:
    """Return the condition that one of these fields that no two share is these words; of no field, that none is."""
    condition = Q(pk__in=[])
    for name in fields:
        try:
            field = model._meta.get_field(name.lstrip("^=@"))
        except FieldDoesNotExist:  # of another model, or a look-up
            continue
        if isinstance(field, CharField) and field.unique:
            condition |= Q(**{field.name: words})
    return condition
