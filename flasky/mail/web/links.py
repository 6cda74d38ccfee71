"""Make the URLs of the outbox's pages, in an admin site and in the development mailbox."""

from typing import Any, Protocol

from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from flasky.mail.models import OutboxMessage

ADMIN_NAMES = {"list": "changelist", "message": "change"}  # what Django calls them; the other pages are ours


class Url(Protocol):
    """The URL of a page: `list`; with a message's number `message`, `html`, `remote`, `eml`, `attachment`.

    `remote` is the HTML with what it loads from other hosts. The admin has `charts` and `act` as well; the mailbox
    `templates`, `template` and `template_html`.
    """

    def __call__(self, page: str, *arguments: int | str) -> str: ...


def admin_pages(site_name: str) -> Url:
    """Return what makes the URLs in the admin site of this name, wherever the project has put it."""

    def url(page: str, *arguments: int | str) -> str:
        name = f"{_prefix(OutboxMessage)}_{ADMIN_NAMES.get(page, page)}"
        return reverse(name, args=arguments, current_app=site_name)

    return url


def mailbox_pages(request: HttpRequest) -> Url:
    """Return what makes the URLs in the mailbox that the request is for, whatever the project calls it."""
    match: Any = request.resolver_match  # a view's request has one

    def url(page: str, *arguments: int | str) -> str:
        return reverse(f"{match.namespace}:{page}", args=arguments)

    return url


def admin_url_of(instance: Model, site_name: str) -> str:
    """Return the URL of the page that the admin site has for the object; nothing if it has none."""
    try:
        return reverse(f"{_prefix(type(instance))}_change", args=[instance.pk], current_app=site_name)
    except NoReverseMatch:
        return ""


def way_to_list(site_name: str) -> list[tuple[str, str]]:
    """Return URL and label of each page from the index of the admin site of this name to the list."""
    app: Any = OutboxMessage._meta.app_config
    return [
        (reverse("admin:index", current_app=site_name), _("Home")),
        (reverse("admin:app_list", args=[app.label], current_app=site_name), app.verbose_name),
        (admin_pages(site_name)("list"), capfirst(OutboxMessage._meta.verbose_name_plural)),
    ]


def _prefix(model: type[Model]) -> str:
    # Each admin site is an instance of the application "admin"; `current_app` says which.
    return f"admin:{model._meta.app_label}_{model._meta.model_name}"
