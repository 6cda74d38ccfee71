"""Answer with the line about the notification, for the script that keeps it current."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from accounts.notification import notification_of
from accounts.visitor import visitor_of


@cache_control(no_store=True)
@vary_on_cookie
@require_safe
def notification(request: HttpRequest) -> HttpResponse:
    """Answer with the line alone, for the cause in the visitor's own cookie; 204 if there is nothing to tell."""
    found = notification_of(visitor_of(request).cause)
    if found is None:
        return HttpResponse(status=204)
    return render(request, "notification.html", {"notification": found})
