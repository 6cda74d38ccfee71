"""The door for ASGI servers: `uvicorn flasky.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flasky.settings")
application = get_asgi_application()

from flasky.serving import refuse_wrong_settings  # noqa: E402 (needs the apps that the line above loads)

refuse_wrong_settings()
