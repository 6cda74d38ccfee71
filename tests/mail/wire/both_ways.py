"""Send an email by Anymail's back end, once directly and once through the outbox, and return what each made of it."""

import re

from anymail.utils import Attachment, EmailAddress
from django.conf import settings
from django.core import mail
from django.utils.module_loading import import_string
from requests.structures import CaseInsensitiveDict

from flasky.mail.models import OutboxMessage
from flasky.mail.transports import new_transport

HEADERS_OF_OURS = ("message-id", "date")  # which every stored mail has
NEW_IDS = re.compile(r"[\d.]+(?=\.img@inline)")


def directly(email):
    """Return nothing, or why the email is refused."""
    try:
        import_string(settings.MAIL_TRANSPORT)().send_messages([email])
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def stored(email):
    """Return the message of the email as the database gives it back. Raise what the outbox raises at the call."""
    import_string(settings.OUTBOX)().send_messages([email])
    return OutboxMessage.objects.get(pk=email.outbox_message.pk)


def delivered(message):
    """Return what the transport says of the message."""
    [replies] = new_transport().deliver_each([message])
    return next(iter(replies.values())).text


def through_the_outbox(email):
    return delivered(stored(email))


def payload(send, email):
    """Return what Anymail's test back end gets as things that can be compared, or why the email is refused."""
    mail.outbox = []
    try:
        said = send(email)
    except ValueError as error:
        said = str(error)
    return comparable(mail.outbox[-1].anymail_test_params) if mail.outbox else said


def comparable(value):
    """Return the value without Anymail's classes, without the ids that it makes anew, and as JSON has it."""
    if isinstance(value, EmailAddress):
        return str(value)
    if isinstance(value, Attachment):
        names = ("name", "mimetype", "content_type", "content", "charset", "inline", "content_id")
        return {name: comparable(getattr(value, name)) for name in names}
    if isinstance(value, (dict, CaseInsensitiveDict)):
        return {key: comparable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(comparable, value))
    if isinstance(value, str):
        return NEW_IDS.sub("", str(value))
    return value


def without_ours(payload, given):
    """Return the payload without the headers that the outbox adds to an email that does not have them."""
    headers = payload.get("extra_headers", {})
    kept = {name: value for name, value in headers.items() if name.lower() not in HEADERS_OF_OURS or name in given}
    others = {name: value for name, value in payload.items() if name != "extra_headers"}
    return others | ({"extra_headers": kept} if kept else {})
