"""flasky.guard.whole: an ASGI application gets what has come whole, and in time."""

import asyncio

import pytest

from flasky.guard.whole import whole_requests


def call(messages, **headers):
    """Return the status, and what the application has read of a client that sends these messages and no more."""
    messages, sent, read = list(messages), [], []

    async def receive():
        if not messages:
            await asyncio.sleep(60)
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    async def application(scope, receive, send):
        while True:
            read.append(await receive())
            if not read[-1].get("more_body"):
                await send({"type": "http.response.start", "status": 200})
                return

    scope = {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}
    asyncio.run(whole_requests(application)(scope, receive, send))
    return sent[0]["status"], read


def piece(body, more):
    return {"type": "http.request", "body": body, "more_body": more}


def test_the_application_reads_what_came():
    pieces = [piece(b"na", True), piece(b"me", False)]
    assert call(pieces) == (200, pieces)


def test_it_is_told_that_the_client_has_gone():
    gone = [piece(b"na", True), {"type": "http.disconnect"}]
    assert call(gone)[1] == gone


def test_a_body_that_does_not_come_in_time_is_not_waited_for(settings):
    settings.REQUEST_TIMEOUT = 0.01
    assert call([piece(b"na", True)]) == (408, [])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_length": "9" * 5000}, 413),
        ({"Content_Length": "262145"}, 413),
        ({"transfer_encoding": "chunked"}, 411),
    ],
)
def test_what_is_too_large_is_not_read(headers, status):
    assert call([], **headers) == (status, [])


def test_a_refusal_waits_until_the_server_has_told_who_is_gone():
    told = []

    async def send(message):
        assert told

    async def refused():
        asyncio.get_running_loop().call_soon(told.append, True)
        await whole_requests(None)({"headers": [(b"transfer-encoding", b"chunked")]}, None, send)

    asyncio.run(refused())
