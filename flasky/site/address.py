"""Say where the site is, for the links in mails: no request is there to tell."""

from django.conf import settings

DEVELOPMENT = "http://127.0.0.1:8000"  # where `make run` serves it


def site_url() -> str:
    """Return FLASKY_SITE_URL; without one the first host of ALLOWED_HOSTS that is a whole name; else nothing."""
    if settings.FLASKY_SITE_URL:
        return str(settings.FLASKY_SITE_URL)
    hosts = [host for host in settings.ALLOWED_HOSTS if not host.startswith((".", "*"))]
    if hosts:
        scheme = "https" if settings.HTTPS else "http"
        return f"{scheme}://{hosts[0]}"
    return DEVELOPMENT if settings.DEBUG else ""
