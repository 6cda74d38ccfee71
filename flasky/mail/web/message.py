"""The pages of one message, the same in the admin and in the development mailbox."""

from typing import Any, Protocol

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import content_disposition_header

from flasky.mail.models import OutboxMessage
from flasky.mail.status.explanations import about, pruned, why
from flasky.mail.web.cause import Cause
from flasky.mail.web.preview import has_own_dark, html_for, remote_hosts
from flasky.mail.web.recipients import Address, addresses
from flasky.mail.web.refresh import live_seconds
from flasky.mail.web.timeline import history, origin_of
from flasky.mail.wire.mime import SHOWN, Parts

LABELS = {
    "html": "HTML",
    "text": "Text",
    "headers": "Headers",
    "source": "Source",
    "attachments": "Attachments",
    "history": "History",
}
THEMES = ("light", "dark")
ADDRESSES_SHOWN = 10  # the others unfold
HOSTS_NAMED = 5

# The mail's own HTML may style itself and show embedded images. It runs, loads, sends and navigates nothing.
NOTHING = "sandbox; default-src 'none'; form-action 'none'; frame-ancestors 'self'"
ISOLATED = f"{NOTHING}; style-src 'unsafe-inline'; img-src data:"
WITH_REMOTE = (
    f"{NOTHING}; style-src 'unsafe-inline' http: https:; img-src data: http: https:; font-src data: http: https:"
)
DOWNLOADED = "sandbox; default-src 'none'"


class Url(Protocol):
    """The address of a message's page: `message`, `html`, `eml`, `attachment` (and its number); `list` or `charts`."""

    def __call__(self, name: str, *numbers: int) -> str: ...


def message_context(request: HttpRequest, message: OutboxMessage, url: Url) -> dict[str, Any]:
    parts = Parts(message.content)
    tabs = tabs_of(message, parts)
    tab = request.GET.get("tab", "")
    if tab not in tabs:
        tab = next(iter(tabs))
    return {
        "message": message,
        "why": why(message),
        "notices": about(message),
        "addresses": shown_addresses(message, parts),
        "origin": origin_of(message),
        "cause": Cause.of(message, request),
        "list_url": url("list"),
        "eml_url": "" if message.is_pruned else url("eml", message.pk),
        "size": len(parts.content),
        "live": live_seconds(request),
        "tabs": tabs,
        "tab": tab,
        "panel": f"outbox/message/{tab}.html",
        **PANELS[tab](request, message, parts, url),
    }


def tabs_of(message: OutboxMessage, parts: Parts) -> dict[str, str]:
    """Return the label of each tab that has something to show, by its name in the address; the first is the default."""
    if message.is_pruned:
        return {"history": LABELS["history"]}
    tabs = dict(LABELS)
    if not parts.html:
        del tabs["html"]
    if count := len(parts.attachments):
        tabs["attachments"] += f" ({count})"
    else:
        del tabs["attachments"]
    return tabs


def shown_addresses(message: OutboxMessage, parts: Parts) -> list[tuple[str, list[Address], list[Address]]]:
    """Return for each kind of address the first few and the others."""
    found = addresses(message, parts)
    return [(name, several[:ADDRESSES_SHOWN], several[ADDRESSES_SHOWN:]) for name, several in found.items()]


# What each tab shows


def html_panel(request: HttpRequest, message: OutboxMessage, parts: Parts, url: Url) -> dict[str, Any]:
    theme, remote = chosen_theme(request), wants_remote(request)
    hosts = remote_hosts(parts.html)
    options = {"theme": theme} if theme else {}
    if remote:
        options["remote"] = "1"
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return {
        "frame_url": f"{url('html', message.pk)}{'?' if query else ''}{query}",
        "width": "phone" if request.GET.get("width") == "phone" else "",
        "theme": theme,
        "no_dark": theme == "dark" and not has_own_dark(parts.html),
        "remote": remote,
        "hosts": hosts[:HOSTS_NAMED],
        "more_hosts": len(hosts[HOSTS_NAMED:]),
    }


def text_panel(request: HttpRequest, message: OutboxMessage, parts: Parts, url: Url) -> dict[str, Any]:
    return {"text": parts.text[:SHOWN], "cut": len(parts.text) > SHOWN, "shown": SHOWN}


def headers_panel(request: HttpRequest, message: OutboxMessage, parts: Parts, url: Url) -> dict[str, Any]:
    cut = {"cut": parts.headers_are_cut, "shown": SHOWN}
    return {"headers": parts.headers, "options": message.provider_options, **cut}


def source_panel(request: HttpRequest, message: OutboxMessage, parts: Parts, url: Url) -> dict[str, Any]:
    return {"source": parts.source, "cut": len(parts.content) > SHOWN, "shown": SHOWN}


def attachments_panel(request: HttpRequest, message: OutboxMessage, parts: Parts, url: Url) -> dict[str, Any]:
    return {"attachments": [(part, url("attachment", message.pk, part.number)) for part in parts.attachments]}


def history_panel(request: HttpRequest, message: OutboxMessage, parts: Parts, url: Url) -> dict[str, Any]:
    entries = history(message)
    others = OutboxMessage.objects.filter(pk__in={entry.other for entry in entries if entry.other})
    existing = set(others.values_list("pk", flat=True)) if any(entry.other for entry in entries) else set()
    return {"history": [(entry, url("message", entry.other) if entry.other in existing else "") for entry in entries]}


PANELS = {
    "html": html_panel,
    "text": text_panel,
    "headers": headers_panel,
    "source": source_panel,
    "attachments": attachments_panel,
    "history": history_panel,
}


def chosen_theme(request: HttpRequest) -> str:
    theme = request.GET.get("theme", "")
    return theme if theme in THEMES else ""


def wants_remote(request: HttpRequest) -> bool:
    return request.GET.get("remote") == "1"


# What is not a page


def html_response(request: HttpRequest, message: OutboxMessage) -> HttpResponse:
    if message.is_pruned:
        return gone(message)
    remote = wants_remote(request)
    body = html_for(Parts(message.content), chosen_theme(request), remote)
    headers = {
        "Content-Security-Policy": WITH_REMOTE if remote else ISOLATED,
        "Referrer-Policy": "no-referrer",
        "X-DNS-Prefetch-Control": "off",
        "X-Frame-Options": "SAMEORIGIN",
    }
    return HttpResponse(body, content_type="text/html; charset=utf-8", headers=headers)


def eml_response(message: OutboxMessage) -> HttpResponse:
    if message.is_pruned:
        return gone(message)
    return download(bytes(message.content), f"message-{message.pk}.eml", "message/rfc822")


def attachment_response(message: OutboxMessage, number: int) -> HttpResponse:
    if message.is_pruned:
        return gone(message)
    for attachment in Parts(message.content).attachments:
        if attachment.number == number:
            return download(attachment.content, attachment.name)
    raise Http404(f"Message {message.pk} has no attachment {number}.")


def download(content: bytes, name: str, content_type: str = "application/octet-stream") -> HttpResponse:
    headers = {
        "Content-Disposition": content_disposition_header(True, name) or "attachment",
        "Content-Security-Policy": DOWNLOADED,
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(content, content_type=content_type, headers=headers)


def gone(message: OutboxMessage) -> HttpResponse:
    return HttpResponse(f"{pruned(message)}\n", status=410, content_type="text/plain; charset=utf-8")
