"""Tell browsers, with every answer, to trust and to keep little: with probes, errors and refusals too."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Django's own pages about an error have style and code in them. They answer local names only.
OF_DEBUG_PAGES = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'"
UNUSED = (  # of what a page may ask a browser for
    *("accelerometer", "autoplay", "bluetooth", "browsing-topics", "camera", "display-capture", "encrypted-media"),
    *("fullscreen", "geolocation", "gyroscope", "hid", "idle-detection", "local-fonts", "magnetometer", "microphone"),
    *("midi", "payment", "picture-in-picture", "publickey-credentials-create", "publickey-credentials-get"),
    *("screen-wake-lock", "serial", "usb", "web-share", "xr-spatial-tracking"),
)
# What an answer has already stays: a page its policy, a static file its age.
ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": NOTHING,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in UNUSED),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def strict(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Add, as the outermost middleware, what an answer lacks."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if settings.DEBUG and response.status_code in (404, 500):
            response.setdefault("Content-Security-Policy", OF_DEBUG_PAGES)
        for name, value in ALWAYS.items():
            response.setdefault(name, value)
        return response

    return middleware
