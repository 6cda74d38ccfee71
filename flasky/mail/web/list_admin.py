"""The list of messages and its pictures in the admin."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.http import require_safe

from flasky.mail.web.admin import address
from flasky.mail.web.confirm import ActionPages
from flasky.mail.web.listing import charts_context, list_context


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
        if not self.has_view_permission(request):
            raise PermissionDenied
        request.current_app = self.admin_site.name
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, f"admin/mail/outboxmessage/{name}.html", shared | context)
