"""Report a failure, on the debug page and in a mail: nothing secret, and nothing that it has to ask for.

Django's own prints what it finds. The repr of a QuerySet or of a lazy user asks the database, which may be what is
away; and a setting, a cookie or a typed password stays for as long as the mail does.
"""

from collections.abc import ItemsView
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.template import TemplateDoesNotExist
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from flasky.faults.secrets import HARMLESS, hide

HIDDEN = "…"
MAX_NAME, MAX_TEXT = 40, 200  # characters
MAX_NUMBER = 10**18  # Python refuses to write numbers of thousands of digits
SCALARS = (bool, bytes, float, int, str, type(None))
SIZED = (bytes, dict, frozenset, list, set, str, tuple)
# Of a request's META, which under runserver has the whole environment too.
SHOWN_META = frozenset(
    {
        "CONTENT_LENGTH",
        "CONTENT_TYPE",
        "HTTP_ACCEPT",
        "HTTP_ACCEPT_LANGUAGE",
        "HTTP_HOST",
        "HTTP_USER_AGENT",
        "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_REQUEST_ID",
        "REMOTE_ADDR",
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
    }
)


class ReportFilter(SafeExceptionReporterFilter):
    """Let through what is on a list, and of the rest nothing."""

    def get_safe_settings(self) -> dict[str, Any]:
        return {name: getattr(settings, name) for name in sorted(HARMLESS) if hasattr(settings, name)}

    def get_safe_request_meta(self, request: Any) -> dict[str, Any]:
        return {name: hide(str(value)) for name, value in request.META.items() if name in SHOWN_META} if request else {}

    def get_safe_cookies(self, request: Any) -> dict[str, Any]:
        return _names(request.COOKIES) if request else {}

    def get_post_parameters(self, request: Any) -> dict[str, Any]:
        return _names(request.POST) if request else {}

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> ItemsView[str, Any]:
        """Return the local variables for the debug page; a mail has none."""
        shown = tb_frame.f_locals if settings.DEBUG else {}
        return {name: outline(name, value) for name, value in shown.items()}.items()


class Report(ExceptionReporter):
    def __init__(self, request: Any, kind: Any, error: Any, tb: Any, is_email: bool = False) -> None:
        told = double(error) if isinstance(error, BaseException) else error
        request = RequestOutline(request) if request else None
        super().__init__(request, kind, told, tb, is_email)
        self.filter = ReportFilter()

    def get_traceback_text(self) -> Any:
        return hide(super().get_traceback_text())


class RequestOutline:
    """A request as a report may show it: the names of what was sent, without the values. Reads nothing of a body."""

    def __init__(self, request: HttpRequest) -> None:
        self.scheme, self.method = request.scheme, request.method
        self.path, self.path_info = request.path, request.path_info
        self.resolver_match = request.resolver_match
        self.META, self.COOKIES = request.META, request.COOKIES
        self.GET = _names(vars(request).get("GET", {}))
        self.POST = _names(vars(request).get("_post", {}))
        self.FILES: dict[str, Any] = {}
        # Asked for by nobody yet, a user would cost a look into the database.
        user = getattr(request, "_cached_user", None)
        self.user = f"number {user.pk}" if user is not None and user.pk else "nobody, or not asked for"

    def get_full_path(self) -> str:
        return self.path + (f"?{HIDDEN}" if self.META.get("QUERY_STRING") else "")

    def _get_raw_host(self) -> str:
        return str(self.META.get("HTTP_HOST") or self.META.get("SERVER_NAME", ""))


class Outline:
    """What stands in a value's place."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def outline(name: str, value: Any) -> Outline:
    """Return what a report tells of a variable. No method of the value is called: its repr may ask a database."""
    kind = type(value)
    if kind in (bool, float, type(None)) or (kind is int and abs(value) < MAX_NUMBER):
        return Outline(repr(value))
    if kind is str and not ReportFilter.hidden_settings.search(name):
        hidden = hide(value)
        return Outline(repr(hidden if len(hidden) <= MAX_TEXT else f"{hidden[:MAX_TEXT]}{HIDDEN}"))
    return Outline(f"<{kind.__name__}, {len(value)} long>" if kind in SIZED else f"<{kind.__name__}>")


class Double(Exception):
    """Stands in for an exception in its report: with a text that asks nobody and has no secret."""


def double(error: BaseException, known: dict[int, Double] | None = None) -> Double:
    """Return the exception's double, those that led to it included."""
    known = {} if known is None else known
    if id(error) in known:
        return known[id(error)]
    known[id(error)] = told = Double(text_of(error)).with_traceback(error.__traceback__)
    for name in ("__cause__", "__context__"):
        if before := getattr(error, name):
            setattr(told, name, double(before, known))
    told.__suppress_context__ = error.__suppress_context__  # setting a cause has changed it
    if notes := getattr(error, "__notes__", None):
        told.__notes__ = [hide(str(note)) for note in notes]  # type: ignore[attr-defined]
    if isinstance(error, TemplateDoesNotExist):
        told.chain = error.chain  # type: ignore[attr-defined]
    if template := getattr(error, "template_debug", None):
        told.template_debug = template | {"message": str(told)}  # type: ignore[attr-defined]
    return told


def text_of(error: BaseException) -> str:
    """Return what the error says, without its secrets; only the type of what it would have to ask."""
    if not _is_plain(error.args):
        return hide(", ".join(part if type(part) is str else f"<{type(part).__name__}>" for part in error.args))
    try:
        return hide(str(error))
    except Exception:  # it is written by anybody
        return f"<{type(error).__name__} without a text>"


def _is_plain(value: Any, depth: int = 4) -> bool:
    """Say whether the value's repr is Python's own, down to all that is in it."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return depth > 0 and all(_is_plain(part, depth - 1) for part in value)
    if kind is dict:
        return depth > 0 and all(_is_plain(part, depth - 1) for pair in value.items() for part in pair)
    return kind in SCALARS


def _names(sent: Any) -> dict[str, str]:
    """Return the names of what was sent, if they look like names: a body that is no form has become one."""
    return {name: HIDDEN for name in sent if len(name) <= MAX_NAME and name.replace("-", "_").isidentifier()}
