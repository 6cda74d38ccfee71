"""Serve the site by WSGI: `gunicorn flasky.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flasky.settings")
application = get_wsgi_application()

from flasky.site.requests import TolerantWSGIRequest  # noqa: E402 (needs the apps that the line above loads)
from flasky.site.serving import refuse_wrong_settings  # noqa: E402

application.request_class = TolerantWSGIRequest  # type: ignore[assignment]
refuse_wrong_settings()
