"""Keep pages current whose query string says that the viewer wants it."""

from django.http import HttpRequest

SECONDS = 5  # between two looks


def refresh_seconds(request: HttpRequest) -> int:
    return SECONDS if request.GET.get("refresh") == "1" else 0
