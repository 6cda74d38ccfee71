"""Show the list, its pictures and each message in the admin."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from flasky.mail.models import OutboxMessage
from flasky.mail.web.confirm import ActionPages
from flasky.mail.web.listing import charts_context, list_context
from flasky.mail.web.message import attachment_response, eml_response, html_response, message_context
from flasky.mail.web.permissions import may_view

ADMIN_NAMES = {"list": "changelist", "message": "change"}


class MessagePages(ActionPages):
    """Show a message on pages of its own instead of in a form: nothing of it can be edited."""

    change_form_template = "admin/mail/outboxmessage/change_form.html"

    def get_urls(self) -> list[Any]:
        pages = [
            path("<int:pk>/html/", self._page(self.html_view), name="mail_outboxmessage_html"),
            path("<int:pk>/eml/", self._page(self.eml_view), name="mail_outboxmessage_eml"),
            path(
                "<int:pk>/attachment/<int:number>/",
                self._page(self.attachment_view),
                name="mail_outboxmessage_attachment",
            ),
        ]
        return pages + super().get_urls()

    def _page(self, view: Any) -> Any:
        return self.admin_site.admin_view(require_safe(view))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        message = self.get_object(request, unquote(object_id))
        if message is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        context = {
            **self.admin_site.each_context(request),
            "title": message.subject or "(no subject)",
            "opts": self.opts,
            **message_context(request, message, address),
            "actions": self.offers(request, message),
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.change_form_template, context)

    def html_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return html_response(request, self._stored(request, pk))

    def eml_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return eml_response(self._stored(request, pk))

    def attachment_view(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        return attachment_response(self._stored(request, pk), number)

    def _stored(self, request: HttpRequest, pk: int) -> OutboxMessage:
        return get_object_or_404(self.get_queryset(request), pk=pk)


def address(name: str, *numbers: int) -> str:
    return reverse(f"admin:mail_outboxmessage_{ADMIN_NAMES.get(name, name)}", args=numbers)


class ListPages(ActionPages):
    """List messages on a page of our own: Django's counts all rows, and offers no windows."""

    def get_urls(self) -> list[Any]:
        charts = path(
            "charts/", self.admin_site.admin_view(require_safe(self.charts_view)), name="mail_outboxmessage_charts"
        )
        return [charts, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {
            "title": "Messages",
            "actions": self.offers(request),
            **list_context(request, address),
            **(extra_context or {}),
        }
        return self._list_page(request, "change_list", context)

    def charts_view(self, request: HttpRequest) -> HttpResponse:
        return self._list_page(request, "charts", {"title": "Charts", **charts_context(request, address)})

    def _list_page(self, request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, f"admin/mail/outboxmessage/{name}.html", shared | context)


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
