"""The mail that every subject stores and sends: what an administrator gets when a user is new."""

from functools import cache

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMultiAlternatives

from flasky.mail import render_email

TO = "admin@example.com"


@cache
def new_user():
    return get_user_model().objects.get_or_create_visitor("Ann")[0]


@cache
def rendered():
    """Return what a peer is given: texts that are rendered already, outside its time after the first call."""
    email = render_email(TO, "New User", "mail/new_user", user=new_user())
    return {"subject": email.subject, "text": email.body, "html": email.alternatives[0][0]}


def composed(mail):
    """Return Django's email, for peers that take one."""
    headers = {"Auto-Submitted": "auto-generated"}
    email = EmailMultiAlternatives(mail["subject"], mail["text"], settings.DEFAULT_FROM_EMAIL, [TO], headers=headers)
    email.attach_alternative(mail["html"], "text/html")
    return email
