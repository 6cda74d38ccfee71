"""Render a mail from two templates and send it the Django way.

from flasky.mail import send_email
send_email("ann@example.com", "Welcome", "mail/welcome", user=user)
"""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

__all__ = ["render_email", "send_email"]


def send_email(to: str | Iterable[str], subject: str, template: str, **context: Any) -> EmailMultiAlternatives:
    """Send `template`.txt and `template`.html, rendered with `context`, to one address or several; return the email.

    The subject gets the configured prefix. Sent through the outbox, the email's `outbox_message` is the stored row.
    Raise TemplateDoesNotExist for a missing template, ValueError for an address or a subject that no mail can carry.
    """
    email = render_email(to, subject, template, **context)
    email.send()
    return email


def render_email(to: str | Iterable[str], subject: str, template: str, **context: Any) -> EmailMultiAlternatives:
    """Return the email that `send_email` would send."""
    email = EmailMultiAlternatives(
        subject=f"{settings.FLASKY_MAIL_SUBJECT_PREFIX} {subject}".lstrip(),
        body=render_to_string(f"{template}.txt", context, using="text"),
        from_email=settings.FLASKY_MAIL_SENDER,
        to=[to] if isinstance(to, str) else list(to),
        headers={"Auto-Submitted": "auto-generated"},  # RFC 3834: vacation responders stay silent
    )
    email.attach_alternative(render_to_string(f"{template}.html", context), "text/html")
    return email
