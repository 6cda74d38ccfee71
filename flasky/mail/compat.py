"""Bridge what differs in mail from one Django to the next. No other module asks which Django this is.

Until 6.0 the EMAIL_* settings lead to one backend; from 6.1 on MAILERS names several, and forbids them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from email.encoders import encode_base64
from email.message import Message, MIMEPart
from email.mime.base import MIMEBase
from email.policy import SMTP
from inspect import signature
from typing import Any

import django
from django.conf import settings
from django.core import mail

TRANSPORT = "transport"  # the alias beside `default`

HAS_MAILERS = django.VERSION >= (6, 1)
HAS_MODERN_PARTS = django.VERSION >= (6, 0)

LineBreakInHeader: type[ValueError] = ValueError if HAS_MODERN_PARTS else mail.BadHeaderError


_asked_for: ContextVar[str] = ContextVar("_asked_for", default="")


@contextmanager
def asked_for(alias: str) -> Iterator[None]:
    """Let the settings of the relay be those of another alias in MAILERS, for whoever tries that one out."""
    token = _asked_for.set(alias)
    try:
        yield
    finally:
        _asked_for.reset(token)


def is_another_asked_for() -> bool:
    return bool(_asked_for.get())


def relay_option(option: str, djangos: str) -> tuple[Any, str]:
    """Return what the project tells Django of the relay, and the name of the setting that says it.

    Until 6.0 each option has a setting of its own; from 6.1 on they are those of an alias in MAILERS.
    """
    mailers = _mailers()
    if not mailers:
        return getattr(settings, djangos, None), djangos
    alias = _asked_for.get() or TRANSPORT
    mailer, name = mailers.get(alias, {}), f'MAILERS["{alias}"]'
    if option == "BACKEND":
        return mailer.get(option), name
    return mailer.get("OPTIONS", {}).get(option), f'{name}["OPTIONS"]["{option}"]'


def backends_of_the_project() -> dict[str, Any]:
    """Return the path of each back end that the project sends with, by the name of the setting that says it."""
    mailers = _mailers()
    if not mailers:
        return {"EMAIL_BACKEND": getattr(settings, "EMAIL_BACKEND", None)}
    return {f'MAILERS["{alias}"]': mailer.get("BACKEND") for alias, mailer in mailers.items() if alias != TRANSPORT}


def _mailers() -> dict[str, Any]:
    return getattr(settings, "MAILERS", None) or {} if HAS_MAILERS else {}


def addresses_of(people: Sequence[Any]) -> list[str]:
    """Return the addresses in ADMINS or MANAGERS."""
    return [person if isinstance(person, str) else person[1] for person in people]


def aliases() -> list[str]:
    """Return the names in MAILERS; none until Django 6.0, which has no such setting."""
    return [*_mailers()]


def backend_of_alias(alias: str = TRANSPORT) -> Any:
    """Return a new back end as MAILERS describes it, by itself the one behind the outbox; None if it does not."""
    return mail.mailers[alias] if alias in aliases() else None


def lacks_transport() -> bool:
    """Return whether MAILERS has mailers, but none behind the outbox."""
    mailers = _mailers()
    return bool(mailers) and TRANSPORT not in mailers


def made_as_alias() -> dict[str, str]:
    """Return the option without which Django 6.1 takes a back end for one that was made in the way of before."""
    return {"alias": TRANSPORT} if HAS_MAILERS else {}


def message_of(email: mail.EmailMessage) -> Any:
    """Return what Django's SMTP back end would have made of the email: from 6.0 on with CRLF inside of base64, too."""
    takes = signature(email.message).parameters.values()
    if HAS_MODERN_PARTS and any(each.name == "policy" or each.kind == each.VAR_KEYWORD for each in takes):
        return email.message(policy=SMTP)  # type: ignore[call-arg]
    return email.message()


def attachable(part: MIMEPart) -> MIMEPart | MIMEBase:
    """Return a parsed part as EmailMessage.attach() takes it."""
    if HAS_MODERN_PARTS:
        return part
    legacy = MIMEBase(*part.get_content_type().split("/"))
    for name, value in part.items():
        if name.lower() != "content-type":
            legacy[name] = str(value)
    legacy.set_payload(part.get_payload())
    return legacy


def part_of_bytes(name: str | None, content: bytes, mimetype: str, charset: str) -> MIMEPart | MIMEBase:
    """Return an attachment in base64, as EmailMessage.attachments takes it."""
    maintype, subtype = mimetype.split("/", 1)
    if HAS_MODERN_PARTS:
        part = MIMEPart()
        part.set_content(
            content, maintype, subtype, disposition="attachment", filename=name or None, params={"charset": charset}
        )
        return part
    return _in_base64(MIMEBase(maintype, subtype, charset=charset), content, "attachment", name)


def image_part(name: str, content: bytes, subtype: str, content_id: str) -> MIMEPart | MIMEBase:
    """Return an image that the HTML of a mail shows, as EmailMessage.attachments takes it."""
    if HAS_MODERN_PARTS:
        part = MIMEPart()
        part.set_content(content, "image", subtype, disposition="inline", filename=name, cid=f"<{content_id}>")
        return part
    legacy = _in_base64(MIMEBase("image", subtype), content, "inline", name)
    legacy["Content-ID"] = f"<{content_id}>"
    return legacy


def _in_base64(legacy: MIMEBase, content: bytes, disposition: str, name: str | None) -> MIMEBase:
    legacy.set_payload(content)
    encode_base64(legacy)
    if name:
        legacy.add_header("Content-Disposition", disposition, filename=name if name.isascii() else ("utf-8", "", name))
    return legacy


def add_related(body: Any, parts: Sequence[Any]) -> None:
    """Make of a mail's HTML, in its place, a multipart/related of it and of these parts, which it shows."""
    if HAS_MODERN_PARTS:
        body.make_related()
    else:  # a MIMEText takes no parts, but is written as what its type says
        root: Any = Message()
        root.set_payload(body.get_payload())
        for name, value in body.items():
            if name.lower().startswith("content-"):
                root[name] = value
                del body[name]
        body.set_payload([root])
        body["Content-Type"] = "multipart/related"
    body.set_param("type", "text/html")  # RFC 2387, section 3.1
    body.get_payload().extend(parts)
