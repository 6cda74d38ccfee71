"""Let an ASGI application meet whole requests only, and none that is larger than the site can use."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings

from flasky.guard.bodies import number, refusal_of, text_of
from flasky.guard.headers import ALWAYS

Application = Callable[[Any, Any, Any], Awaitable[None]]


def whole_requests(application: Application) -> Application:
    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        length = number(headers.get(b"content-length", b"").decode("latin-1"))
        refusal = refusal_of(length, b"transfer-encoding" in headers)
        if refusal is None:
            try:
                messages = await asyncio.wait_for(_all_of(receive), settings.REQUEST_TIMEOUT)
            except asyncio.TimeoutError:
                refusal = HTTPStatus.REQUEST_TIMEOUT
        if refusal is None:
            await application(scope, _first(messages, receive), send)
        else:
            await _refuse(refusal, send)

    return guarded


async def _all_of(receive: Any) -> list[Any]:
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def _first(messages: list[Any], receive: Any) -> Any:
    """Return what hands out these messages, and then what comes after them."""

    async def replay() -> Any:
        return messages.pop(0) if messages else await receive()

    return replay


async def _refuse(refusal: HTTPStatus, send: Any) -> None:
    # A server that has refused the request itself, for what follows its head, tells us that it is over only now.
    await asyncio.sleep(0)
    text = text_of(refusal).encode()
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(text)).encode()),
        (b"connection", b"close"),
        *((name.lower().encode(), value.encode()) for name, value in ALWAYS.items()),
    ]
    await send({"type": "http.response.start", "status": refusal.value, "headers": headers})
    await send({"type": "http.response.body", "body": text})
