"""Where a mail comes from: the door through which somebody came, who it was, and with which request."""

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from flasky.mail.models import MAX_PERSON, Door

Origin = Callable[[], tuple[str, str, str]]  # door, person and id of the request, when a mail asks for them
MAX_REQUEST_ID = 64  # characters

_origin: ContextVar[Origin] = ContextVar("origin", default=lambda: (Door.OTHER.value, "", ""))


def origin() -> dict[str, str]:
    """Return the fields of an outbox message that say where it comes from."""
    door, person, request_id = _origin.get()()
    return {"door": door, "person": person[:MAX_PERSON], "request_id": request_id[:MAX_REQUEST_ID]}


@contextmanager
def coming_from(door: str, person: str) -> Iterator[None]:
    with _from(lambda: (door, person, "")):
        yield


def noting_origin(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let the mails of a request, as middleware, know where they come from.

    The id is the one that another middleware, before this one, has set as `request.request_id`.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        with _from(lambda: (_door(request), _person(request), _request_id(request))):
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


def _door(request: HttpRequest) -> str:
    if request.resolver_match and request.resolver_match.app_name == "admin":
        return Door.ADMIN.value
    return Door.FORM.value if request.method == "POST" else Door.OTHER.value


def _person(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    return user.get_username() if user is not None and user.is_authenticated else ""


def _request_id(request: HttpRequest) -> str:
    return str(getattr(request, "request_id", ""))
