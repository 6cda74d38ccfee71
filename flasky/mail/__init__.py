"""Render a mail from two templates and send it the Django way.

from flasky.mail import send_email
send_email("ann@example.com", "Welcome", "mail/welcome", user=user)
"""

from collections.abc import Iterable
from datetime import datetime
from email.utils import getaddresses
from typing import TYPE_CHECKING, Any

from django.apps import apps as installed  # `apps` is a module of this package
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMultiAlternatives
from django.template import Context, Engine
from django.template.backends.django import get_installed_libraries
from django.utils import translation
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from flasky.mail.conf import conf
from flasky.mail.images import EmailWithImages, noting_images

if TYPE_CHECKING:
    from django.db.models import Model

__all__ = [
    "OutboxFull",
    "cause_of",
    "ensure_room",
    "language_for",
    "outcome_of",
    "render_email",
    "rendered_subject",
    "send_email",
    "stored_since",
]

DIGEST = "_digest"  # what the kind of a digest ends with, behind the kind that it tells of


class OutboxFull(Exception):
    """So many mails are held beyond the mail budget that no more are taken. In `seconds` there may be room again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"As many mails are held beyond the mail budget as MAIL_BUDGET_HELD allows ({conf.MAIL_BUDGET_HELD}), so "
            f"this one was not taken. Release or cancel what is held, or try again in {seconds} s."
        )
        self.seconds, self.minutes = seconds, -(-seconds // 60)


def send_email(
    to: str | Iterable[str],
    subject: "str | Promise",
    template: str,
    cause: "Model | None" = None,
    priority: str = "normal",
    send_at: datetime | None = None,
    language: str = "",
    digest: dict[str, Any] | None = None,
    **context: Any,
) -> EmailMultiAlternatives:
    """Send `template`.txt and `template`.html, rendered with `context`, to one address or several; return the email.

    The subject gets the configured prefix. The outbox links the mail to its `cause`, the object that it is about, and
    back. `priority` is urgent, normal or bulk: the more urgent overtakes the others that wait. Nobody delivers it
    before `send_at`, which has a time zone. It speaks `language`, else what `language_for` says, whatever the page
    speaks; so does a lazy subject. Where many such mails come within minutes, those with a `digest`, what a list says
    of this one, become one mail of the templates `template`_digest. Sent through the outbox, the email's
    `outbox_message` is the stored row.
    Raise TemplateDoesNotExist for a missing template, ValueError for what no mail can have.
    """
    to = [to] if isinstance(to, str) else list(to)
    with translation.override(language or language_for(to)):
        email = render_email(to, subject, template, **context)
        if digest is not None:
            _set_digest(email, digest)
    email.cause = cause_of(cause)  # type: ignore[attr-defined]
    email.priority = priority  # type: ignore[attr-defined]
    if send_at is not None:
        email.send_at = send_at  # type: ignore[attr-defined]
    email.send()
    return email


def language_for(to: Iterable[str]) -> str:
    """Return the language of a mail to these addresses: what MAIL_LANGUAGE_OF knows of them, else LANGUAGE_CODE."""
    if not conf.MAIL_LANGUAGE_OF:
        return settings.LANGUAGE_CODE
    addresses = [address for _, address in getaddresses([str(each) for each in to]) if address]
    chosen = import_string(conf.MAIL_LANGUAGE_OF)(addresses) if addresses else ""
    return str(chosen or settings.LANGUAGE_CODE)


def render_email(
    to: str | Iterable[str], subject: "str | Promise", template: str, **context: Any
) -> EmailMultiAlternatives:
    """Return the email that `send_email` would send."""
    engine = _engine()
    text, html = engine.get_template(f"{template}.txt"), engine.get_template(f"{template}.html")
    with noting_images() as images:
        in_html = html.render(Context(context, autoescape=engine.autoescape))
    email = (EmailWithImages if images else EmailMultiAlternatives)(
        subject=f"{conf.FLASKY_MAIL_SUBJECT_PREFIX} {subject}".lstrip(),
        # Plain text must not be escaped for HTML: O'Brien is not O&#x27;Brien.
        body=text.render(Context(context, autoescape=False)),
        from_email=conf.FLASKY_MAIL_SENDER,
        to=[to] if isinstance(to, str) else list(to),
        headers={"Auto-Submitted": "auto-generated"},  # RFC 3834: vacation responders stay silent
        attachments=[*images.values()],
    )
    email.attach_alternative(in_html, "text/html")
    email.kind = template  # type: ignore[attr-defined]
    return email


def rendered_subject(template: str, **context: Any) -> str:
    """Return the subject that `template`_subject.txt makes, in one line."""
    engine = _engine()
    return " ".join(engine.get_template(f"{template}_subject.txt").render(Context(context, autoescape=False)).split())


def _set_digest(email: EmailMultiAlternatives, digest: dict[str, Any]) -> None:
    engine, language = _engine(), translation.get_language()
    for ending in (".txt", ".html", "_subject.txt"):  # now, when somebody is there to hear of it
        engine.get_template(f"{email.kind}{DIGEST}{ending}")  # type: ignore[attr-defined]
    email.digest, email.language = digest, language  # type: ignore[attr-defined]


def _engine() -> Engine:
    """Return the project's engine; one for the templates of its apps, if it renders its pages by other means."""
    try:
        return Engine.get_default()
    except ImproperlyConfigured:
        return Engine(app_dirs=True, libraries=get_installed_libraries())  # with i18n and those of the apps


def cause_of(instance: "Model | None") -> str:
    """Return the name by which the outbox remembers an object, such as `accounts.user:17`; none for an unsaved one."""
    return f"{instance._meta.label_lower}:{instance.pk}" if instance and instance.pk is not None else ""


def outcome_of(cause: str) -> "tuple[int, str] | None":
    """Return number and state of the newest message with this cause; None if there is none, or no cause.

    Of one that was gathered, those of its digest.
    """
    if not cause:
        return None
    messages = installed.get_model("flasky_mail", "OutboxMessage").objects  # no import: the apps may not be ready yet
    found = messages.filter(cause=cause).order_by("-created_at", "-pk").values_list("pk", "state").first()
    if not found or found[1] != "gathered":
        return found
    return messages.filter(carried__message=found[0]).values_list("pk", "state").first() or found


def stored_since(kind: str, moment: datetime, most: int) -> int:
    """Return how many mails of this kind were stored since; an index has them, and no more than `most` are counted."""
    return int(installed.get_model("flasky_mail", "OutboxMessage").objects.count_since(kind, moment, most))


def ensure_room() -> None:
    """Raise OutboxFull if the outbox takes no mail beyond the budget any more: before anything is written."""
    if seconds := installed.get_model("flasky_mail", "OverBudget").objects.seconds_to_room():
        raise OutboxFull(seconds)
