"""Rewrite the HTML of a mail so that it can be shown: its images inside, its links harmless, in light or dark."""

import html
import re
from base64 import b64encode
from urllib.parse import unquote

from flasky.mail.wire.mime import Attachment, Parts, best_of

EMBEDDED = 20_000_000  # bytes of images in an HTML body: a mail can show one image a thousand times
# Every repetition has a limit: without one, a hostile mail could keep these busy for hours.
CID = re.compile(r"cid:([^\s\"'<>()]{1,998})", re.I)
CONNECTING_ELEMENT = re.compile(r"<(?=(?:link|iframe)[\s/>])", re.I)
DOCTYPE = re.compile(r"\s{0,99}<!doctype[^<>]{0,999}>", re.I)
REMOTE = re.compile(
    r"""(?:\b(?:src|srcset|background|poster)\s{0,9}=|<(?:link|base|image)\b[^<>]{0,999}?\bhref\s{0,9}=|url\(|@import)"""
    r"""\s{0,9}["']?\s{0,9}(?:https?:)?//([^\s/?#"'<>()\\]{1,255})""",
    re.I,
)
PREFERRED_SCHEME = re.compile(r"\(\s{0,9}prefers-color-scheme\s{0,9}:\s{0,9}(light|dark)\s{0,9}\)", re.I)
SCHEME_PROPERTY = re.compile(r"(?<![\w-])(color-scheme\s{0,9}:\s{0,9})([a-z\s]{1,99})", re.I)
SCHEME_META = re.compile(r"<meta\b[^<>]{0,99}?\bname\s{0,9}=\s{0,9}[\"']?color-scheme\b[^<>]{0,999}>", re.I)


def html_for(parts: Parts, theme: str = "", remote: bool = False) -> str:
    """Return the HTML with its own images inside; in `theme` (light or dark) whatever the viewer's system prefers."""
    body = parts.html
    if not remote:
        # No policy keeps a browser from connecting to the host that a <link rel=preconnect> names, and an <iframe>
        # can have one in its srcdoc.
        body = CONNECTING_ELEMENT.sub("<x-", body)
    if theme:
        body = in_theme(body, theme)
    return with_images(links_opening_nowhere(body), parts.attachments)


def links_opening_nowhere(body: str) -> str:
    """Let links open a new window, which the sandbox forbids: a click leaves the mail where it is."""
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


def in_theme(body: str, theme: str) -> str:
    """Answer the question which colour scheme is preferred: a frame that runs no script has no other way."""

    def answered(found: re.Match[str]) -> str:
        return "(min-width: 0)" if found[1].lower() == theme else "(max-width: 0)"

    def chosen(found: re.Match[str]) -> str:
        return f"{found[1]}{theme}" if theme in found[2].lower().split() else found[0]

    def declared(found: re.Match[str]) -> str:
        return f'<meta name="color-scheme" content="{theme}">' if theme in found[0].lower() else found[0]

    body = PREFERRED_SCHEME.sub(answered, body)
    return SCHEME_META.sub(declared, SCHEME_PROPERTY.sub(chosen, body))


def has_own_dark(body: str) -> bool:
    return bool(re.search(r"prefers-color-scheme|color-scheme[^>;}]{0,99}\bdark\b", body, re.I))


def remote_hosts(body: str) -> list[str]:
    """Return the hosts from which the HTML would load something."""
    # Python refuses to read the number in &#999…; if it is very long.
    plain = best_of(lambda: html.unescape(body), lambda: body)
    return sorted({host.lower() for host in REMOTE.findall(plain)})
