"""Show the HTML of a mail in a sandbox: the page's frame, the policy of what is in it, and the HTML made harmless."""

import html
import re
from base64 import b64encode
from typing import Any
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.translation import ngettext

from flasky.mail.models import OutboxMessage
from flasky.mail.status.written import separator
from flasky.mail.web.downloads import gone
from flasky.mail.wire.mime import Attachment, Parts, best_of

# The mail's own HTML may style itself and show embedded images. It runs, loads, sends and navigates nothing.
NOTHING = "sandbox; default-src 'none'; form-action 'none'; frame-ancestors 'self'"
ISOLATED = f"{NOTHING}; style-src 'unsafe-inline'; img-src data:"
WITH_REMOTE = (
    f"{NOTHING}; style-src 'unsafe-inline' http: https:; img-src data: http: https:; font-src data: http: https:"
)
THEMES = ("light", "dark")
HOSTS_NAMED = 5
EMBEDDED = 20_000_000  # bytes of images in an HTML body: a mail can show one image a thousand times
# Every repetition has a limit: without one, a hostile mail could keep these busy for hours.
CID = re.compile(r"cid:([^\s\"'<>()]{1,998})", re.I)
# What neither policy nor sandbox holds back: a <link rel=preconnect> connects, and an <iframe> can have one in its
# srcdoc; a link in <svg> or with a target of its own does not heed the <base>.
ESCAPING_ELEMENT = re.compile(r"<(?=(?:iframe|svg)[\s/>])", re.I)
CONNECTING_ELEMENT = re.compile(r"<(?=link[\s/>])", re.I)
TARGET = re.compile(r"(?<=[\s/\"'])(?=target[\s=/>])", re.I)
DOCTYPE = re.compile(r"\s{0,99}<!doctype[^<>]{0,999}>", re.I)
REMOTE = re.compile(
    r"""(?:\b(?:src|srcset|background|poster)\s{0,9}=|<(?:link|base|image)\b[^<>]{0,999}?\bhref\s{0,9}=|url\(|@import)"""
    r"""\s{0,9}["']?\s{0,9}(?:https?:)?//([^\s/?#"'<>()\\]{1,255})""",
    re.I,
)


def frame_context(request: HttpRequest, parts: Parts, url: str, remote_url: str) -> dict[str, Any]:
    """Return what the page shows around the frame, in which the HTML from one of the URLs is.

    The two are paths of their own, and the page's policy allows its frame one of them only: no mail can lead its own
    frame to what its reader has not asked for.
    """
    theme, remote = request.GET.get("theme", ""), request.GET.get("remote") == "1"
    hosts = remote_hosts(parts.html)
    frame_url = remote_url if remote else url
    return {
        "frame_url": frame_url,
        "frame_source": request.build_absolute_uri(frame_url),
        "width": "phone" if request.GET.get("width") == "phone" else "",
        "theme": theme if theme in THEMES else "",
        "no_dark": theme == "dark" and not has_own_dark(parts.html),
        "remote": remote,
        "hosts": named_hosts(hosts),
    }


def named_hosts(hosts: list[str]) -> str:
    """Return the first few of the hosts, and how many others there are."""
    named = format_html_join(separator(), "<bdi>{}</bdi>", ((host,) for host in hosts[:HOSTS_NAMED]))
    others = len(hosts[HOSTS_NAMED:])
    if not others:
        return named
    sentence = ngettext("{hosts} and {count} more", "{hosts} and {count} more", others)
    return format_html(sentence, hosts=named, count=others)


def html_response(message: OutboxMessage, remote: bool) -> HttpResponse:
    """Return what is in the frame."""
    if message.is_pruned:
        return gone(message)
    return sandboxed(html_for(Parts(message.content), remote), WITH_REMOTE if remote else ISOLATED)


def sandboxed(body: str, policy: str = ISOLATED) -> HttpResponse:
    """Return HTML that a page of ours may have in a frame."""
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-DNS-Prefetch-Control": "off",
        "X-Frame-Options": "SAMEORIGIN",
    }
    return HttpResponse(body, content_type="text/html; charset=utf-8", headers=headers)


def html_for(parts: Parts, remote: bool = False) -> str:
    """Return the HTML with its own images inside, and, without `remote`, with nothing that connects to a host."""
    body = ESCAPING_ELEMENT.sub("<x-", parts.html)
    if not remote:
        body = CONNECTING_ELEMENT.sub("<x-", body)
    return with_images(links_opening_nowhere(body), parts.attachments)


def links_opening_nowhere(body: str) -> str:
    """Let links open a new window, which the sandbox forbids: a click leaves the mail where it is."""
    body = TARGET.sub("x-", body)
    doctype = DOCTYPE.match(body)
    start = doctype.end() if doctype else 0
    return f'{body[:start]}<base target="_blank">{body[start:]}'


def with_images(body: str, attachments: list[Attachment]) -> str:
    """Put the images that the HTML refers to by cid: into it."""
    images = {attachment.content_id: attachment for attachment in attachments if attachment.is_embedded}
    room = EMBEDDED

    def data_uri(found: re.Match[str]) -> str:
        nonlocal room
        image = images.get(unquote(html.unescape(found[1])))
        if image is None or image.size > room:
            return found[0]
        room -= image.size
        return f"data:{image.mimetype};base64,{b64encode(image.content).decode()}"

    return CID.sub(data_uri, body) if images else body


def has_own_dark(body: str) -> bool:
    return bool(re.search(r"prefers-color-scheme|color-scheme[^>;}]{0,99}\bdark\b", body, re.I))


def remote_hosts(body: str) -> list[str]:
    """Return the hosts from which the HTML would load something."""
    # Python refuses to read the number in &#999…; if it is very long.
    plain = best_of(lambda: html.unescape(body), lambda: body)
    return sorted({host.lower() for host in REMOTE.findall(plain)})
