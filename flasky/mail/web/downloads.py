"""Answer with what of a message is a file: its source and its attachments."""

from django.http import Http404, HttpResponse
from django.utils.http import content_disposition_header

from flasky.mail.models import OutboxMessage
from flasky.mail.status.explanations import pruned
from flasky.mail.wire.mime import Parts

DOWNLOADED = "sandbox; default-src 'none'"  # a browser may show the file all the same


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
