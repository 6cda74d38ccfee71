"""The line that tells a visitor what became of the notification, for the script that keeps it current."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_cookie

from accounts.notification import fate_of
from accounts.visitor import visitor_of


@cache_control(no_store=True)
@vary_on_cookie
@require_safe
def notification(request: HttpRequest) -> HttpResponse:
    """Answer with the line alone, for the cause in the visitor's own cookie; 204 if there is nothing to tell."""
    fate = fate_of(visitor_of(request).cause)
    if fate is None:
        return HttpResponse(status=204)
    return render(request, "outbox/fate.html", {"fate": fate})
