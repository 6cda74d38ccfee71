"""Show the list, its charts and each message in the admin."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from flasky.mail.models import OutboxMessage
from flasky.mail.web.confirm import ActionPages
from flasky.mail.web.downloads import attachment_response, eml_response
from flasky.mail.web.listing import charts_context, list_context, try_now_context
from flasky.mail.web.message import message_context
from flasky.mail.web.opening import note_opening, opened
from flasky.mail.web.operations import HELPS
from flasky.mail.web.permissions import may_open, may_view
from flasky.mail.web.preview import html_response


class MessagePages(ActionPages):
    """Show a message on pages of its own instead of in a form: nothing of it can be edited."""

    change_form_template = "flasky_mail/admin/message.html"

    def get_urls(self) -> list[Any]:
        pages = [
            self.page("<int:pk>/html/", require_safe(partial(self.html_view, remote=False)), "html"),
            self.page("<int:pk>/html-with-remote/", require_safe(partial(self.html_view, remote=True)), "remote"),
            self.page("<int:pk>/eml/", require_safe(self.eml_view), "eml"),
            self.page("<int:pk>/attachment/<int:number>/", require_safe(self.attachment_view), "attachment"),
        ]
        return pages + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        message = self.get_object(request, unquote(object_id))
        if message is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        page = message_context(request, message, self.url, self.admin_site, may_open(request))
        if page["shows_content"]:
            note_opening(request, message)
        context = {
            **self.frame(request),
            "title": message.subject or _("(no subject)"),
            **page,
            "actions": self.operations(request, message),
            "helps": HELPS.get(message.state),
            "wrong_address": self.corrected_address(request, message),
            "act_url": self.url("act"),
            "next": request.get_full_path(),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.change_form_template, context)

    def html_view(self, request: HttpRequest, pk: int, remote: bool) -> HttpResponse:
        return opened(request, self._stored(request, pk), partial(html_response, remote=remote))

    def eml_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return opened(request, self._stored(request, pk), eml_response)

    def attachment_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        return opened(request, self._stored(request, pk), partial(attachment_response, number=number))

    def _stored(self, request: HttpRequest, pk: int) -> OutboxMessage:
        return get_object_or_404(self.get_queryset(request), pk=pk)


class ListPages(ActionPages):
    """List messages on a page of our own: Django's counts all rows, and offers no windows."""

    change_list_template = "flasky_mail/admin/list.html"
    charts_template = "flasky_mail/admin/charts.html"

    def get_urls(self) -> list[Any]:
        return [self.page("charts/", require_safe(self.charts_view), "charts"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        frame = self.frame(request)
        context = {
            **frame,
            "way": frame["way"][:-1],
            "title": _("Messages"),
            **list_context(request, self.url, self.admin_site, self.operations(request)),
            "act_url": f"{self.url('act')}?{request.GET.urlencode()}",
            **try_now_context(request, self.url),
            "next": request.get_full_path(),
            **(extra_context or {}),
        }
        return TemplateResponse(request, self.change_list_template, context)

    def charts_view(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.frame(request),
            "title": _("Charts"),
            **charts_context(request, self.url),
            **try_now_context(request, self.url),
        }
        return TemplateResponse(request, self.charts_template, context)


class OutboxPages(ListPages, MessagePages):
    """Ask for the permission before anything of the outbox is read, on each page, Django's own ones too."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_view(request)

    def get_urls(self) -> list[Any]:
        pages = super().get_urls()
        for page in pages:
            page.callback = self._for_viewers(page.callback)
        return pages

    def _for_viewers(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
            # Who is not logged in is asked to by the view itself.
            if self.admin_site.has_permission(request) and not may_view(request):
                raise PermissionDenied
            return view(request, *arguments, **named)

        return guarded
