"""Serve the site by ASGI: `uvicorn flasky.asgi:application --no-proxy-headers`."""

import os
from typing import Any

from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flasky.settings")
django_application = get_asgi_application()

from flasky.guard.whole import whole_requests  # noqa: E402
from flasky.mail import dispatchers  # noqa: E402 (needs the apps that the line above loads)
from flasky.site.requests import TolerantASGIRequest  # noqa: E402
from flasky.site.serving import refuse_wrong_settings  # noqa: E402

refuse_wrong_settings()
django_application.request_class = TolerantASGIRequest  # type: ignore[assignment]
guarded_application = whole_requests(django_application)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Serve Django, which has no answer to the protocol by which a server says that it starts and stops."""
    if scope["type"] != "lifespan":
        await guarded_application(scope, receive, send)
        return
    await receive()
    dispatchers.serve()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await sync_to_async(dispatchers.stop)()
    await send({"type": "lifespan.shutdown.complete"})
