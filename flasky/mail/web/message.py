"""Prepare the page of one message and its tabs, the same in the admin and in the development mailbox."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from flasky.mail.models import OutboxMessage, ProviderStatus
from flasky.mail.status.explanations import about, why
from flasky.mail.web.about import Objects
from flasky.mail.web.cause import Cause
from flasky.mail.web.digests import digest_context
from flasky.mail.web.links import Url
from flasky.mail.web.neighbours import neighbours_context
from flasky.mail.web.opening import why_closed
from flasky.mail.web.preview import frame_context
from flasky.mail.web.recipients import ROLES, Address, addresses
from flasky.mail.web.refresh import refresh_seconds
from flasky.mail.web.timeline import Entry, history
from flasky.mail.wire.mime import MOST_SHOWN, Parts

LABELS = {
    "html": gettext_lazy("HTML"),
    "text": gettext_lazy("Text"),
    "headers": gettext_lazy("Headers"),
    "source": gettext_lazy("Source"),
    "attachments": gettext_lazy("Attachments"),
}
HISTORY = "history"  # which stands beside each tab; alone, it opens nothing
ADDRESSES_SHOWN = 10  # the others unfold


def message_context(
    request: HttpRequest, message: OutboxMessage, url: Url, site: AdminSite, may_open: bool
) -> dict[str, Any]:
    is_open = may_open and not message.is_sensitive
    parts = Parts(message.content if is_open else b"")
    tabs = tabs_of(parts)
    tab = request.GET.get("tab", "")
    if tab not in tabs and tab != HISTORY:
        tab = next(iter(tabs), HISTORY)
    return {
        "message": message,
        "why": why(message),
        "notices": [*about(message), *why_closed(message, may_open)],
        "shows_content": tab != HISTORY,
        "addresses": shown_addresses(message, parts),
        "cause": Cause.of(message, request, site),
        "list_url": url("list"),
        "eml_url": "" if not parts.content else url("eml", message.pk),
        "size": len(parts.content),
        "refresh": refresh_seconds(request),
        "tabs": tabs,
        "tab": tab,
        "panel": "" if tab == HISTORY else f"flasky_mail/web/message/{tab}.html",
        **({} if tab == HISTORY else getattr(Panels(request, message, parts, url), tab)()),
        **neighbours_context(request, message, url, Objects(request, site)),
        **digest_context(message, url),
        "history": shown_history(message, url),
    }


def tabs_of(parts: Parts) -> dict[str, str]:
    """Return the label of each tab that has something to show, by its name in the query; the first is the default."""
    if not parts.content:
        return {}
    tabs = {name: str(label) for name, label in LABELS.items()}
    if not parts.html:
        del tabs["html"]
    if count := len(parts.attachments):
        tabs["attachments"] = _("Attachments (%(count)s)") % {"count": count}
    else:
        del tabs["attachments"]
    return tabs


def shown_addresses(message: OutboxMessage, parts: Parts) -> list[tuple[str, list[Address], list[Address]]]:
    """Return for each kind of address the first few and the others."""
    found = addresses(message, parts, ProviderStatus.objects.filter(message=message))
    return [(str(ROLES[role]), several[:ADDRESSES_SHOWN], several[ADDRESSES_SHOWN:]) for role, several in found.items()]


class Panels:
    """Say what each tab shows, in a method with the tab's name."""

    def __init__(self, request: HttpRequest, message: OutboxMessage, parts: Parts, url: Url) -> None:
        self.request, self.message, self.parts, self.url = request, message, parts, url

    def html(self) -> dict[str, Any]:
        return frame_context(
            self.request, self.parts, *(self.url(page, self.message.pk) for page in ("html", "remote"))
        )

    def text(self) -> dict[str, Any]:
        return {"text": self.parts.text[:MOST_SHOWN], "cut": len(self.parts.text) > MOST_SHOWN, "shown": MOST_SHOWN}

    def headers(self) -> dict[str, Any]:
        cut = {"cut": self.parts.headers_are_cut, "shown": MOST_SHOWN}
        return {"headers": self.parts.headers, "options": self.message.provider_options, **cut}

    def source(self) -> dict[str, Any]:
        return {"source": self.parts.source, "cut": len(self.parts.content) > MOST_SHOWN, "shown": MOST_SHOWN}

    def attachments(self) -> dict[str, Any]:
        each = self.parts.attachments
        return {"attachments": [(part, self.url("attachment", self.message.pk, part.number)) for part in each]}


def shown_history(message: OutboxMessage, url: Url) -> list[tuple[Entry, str]]:
    """Return what happened to the message, each with the URL of the other message that it names, if that is there."""
    entries = history(message)
    others = {entry.other for entry in entries if entry.other}
    existing = set(OutboxMessage.objects.filter(pk__in=others).values_list("pk", flat=True)) if others else set()
    pages = {key: url("message", key) for key in existing}
    return [(entry, pages.get(entry.other or 0, "")) for entry in entries]
