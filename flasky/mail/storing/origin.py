"""Say where a mail comes from: from which page or command, who caused it there, and with which request."""

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from flasky.mail.models import MAX_ACTOR, MAX_REQUEST_ID, MAX_SOURCE, Source

Origin = Callable[[], tuple[str, str, str]]  # source, actor and id of the request, when a mail asks for them

_origin: ContextVar[Origin] = ContextVar("origin", default=lambda: (Source.UNKNOWN.value, "", ""))


def origin() -> dict[str, str]:
    """Return the fields of an outbox message that say where it comes from."""
    source, actor, request_id = _origin.get()()
    return {
        "source": source[:MAX_SOURCE],
        "actor": actor[:MAX_ACTOR],
        "request_id": request_id[:MAX_REQUEST_ID],
    }


@contextmanager
def coming_from(source: str, actor: str) -> Iterator[None]:
    with _from(lambda: (source, actor, "")):
        yield


def noting_origin(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let the mails of a request, as middleware, know where they come from.

    The id is the one that another middleware, before this one, has set as `request.request_id`.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        with _from(lambda: (_source(request), _actor(request), _request_id(request))):
            return get_response(request)

    return middleware


def operator() -> str:
    """Return who runs this command, as the system knows them."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container may run as a number without a name
        return ""


@contextmanager
def _from(where: Origin) -> Iterator[None]:
    token = _origin.set(where)
    try:
        yield
    finally:
        _origin.reset(token)


def _source(request: HttpRequest) -> str:
    """Return the name of the request's route, whatever page it is; of the admin's many the app's."""
    route = request.resolver_match
    if route is None:  # a middleware sends before any view is found
        return Source.UNKNOWN.value
    return Source.ADMIN.value if route.app_name == "admin" else route.view_name


def _actor(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    return user.get_username() if user is not None and user.is_authenticated else ""


def _request_id(request: HttpRequest) -> str:
    return str(getattr(request, "request_id", ""))
