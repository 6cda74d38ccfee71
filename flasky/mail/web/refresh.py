"""Pages that keep themselves current, if their address says that the viewer wants it."""

from django.http import HttpRequest

SECONDS = 5  # between two looks


def live_seconds(request: HttpRequest) -> int:
    return SECONDS if request.GET.get("live") == "1" else 0
