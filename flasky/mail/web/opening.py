"""Open the content of a message, for those who may, with a note of it in the history."""

from collections.abc import Callable
from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from flasky.mail.models import MAX_ACTOR, Action, OutboxMessage
from flasky.mail.runtime import clock
from flasky.mail.status.explanations import sensitive
from flasky.mail.web.permissions import may_open

ONE_OPENING = timedelta(minutes=10)  # in which all that one person looks at of a message is noted once


def opened(
    request: HttpRequest, message: OutboxMessage, answer: Callable[[OutboxMessage], HttpResponse]
) -> HttpResponse:
    """Answer with content of the message. What cannot be noted is not opened."""
    if message.is_sensitive:
        return sealed(message)
    if not may_open(request):
        raise PermissionDenied
    note_opening(request, message)
    return answer(message)


def sealed(message: OutboxMessage) -> HttpResponse:
    return HttpResponse(f"{sensitive(message)}\n", status=403, content_type="text/plain; charset=utf-8")


def note_opening(request: HttpRequest, message: OutboxMessage) -> None:
    actor = request.user.get_username()[:MAX_ACTOR]
    lately = clock.now() - ONE_OPENING
    if not message.actions.filter(verb=Action.Verb.OPENED, actor=actor, at__gt=lately).exists():
        message.actions.create(verb=Action.Verb.OPENED, actor=actor)


def why_closed(message: OutboxMessage, may_open: bool) -> list[str]:
    """Return why the person is shown nothing of the content; nothing if they are, or the message itself says it."""
    if may_open or message.is_sensitive or message.is_pruned:
        return []
    return [_("You may see that it exists, not what it says: for that you need the permission to open messages.")]
