"""The request that a provider gets from the outbox is the one that it gets without it, as it is on the wire."""

import json
import threading
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl

import pytest

from flasky.mail.transports.providers import OUTBOX_ID
from tests.mail.wire.both_ways import HEADERS_OF_OURS, NEW_IDS, delivered, directly, stored
from tests.mail.wire.shapes import REFUSED, SHAPES, TAKEN

pytestmark = pytest.mark.django_db

PROVIDERS = ("postmark", "mailgun", "brevo", "resend")
OURS = (*HEADERS_OF_OURS, OUTBOX_ID, "idempotencykey")
YES = {
    "ErrorCode": 0,
    "Message": "OK",
    "MessageID": "1",
    "message": "Queued.",
    "id": "1",
    "messageId": "1",
}  # in each's words


class Provider(HTTPServer):
    """A provider that takes everything, and remembers the last request: its path, its own headers and its body."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.taken = None

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Answering(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken = self.path, self.headers["Content-Type"], body
        answer = json.dumps(YES).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    with Provider() as provider:
        yield provider


@pytest.fixture
def provider(settings, server):
    url = f"http://127.0.0.1:{server.server_port}/"
    keys = {"POSTMARK_SERVER_TOKEN": "key", "MAILGUN_SENDER_DOMAIN": "example.com"}
    for name in PROVIDERS:
        keys |= {f"{name.upper()}_API_KEY": "key", f"{name.upper()}_API_URL": url}
    settings.ANYMAIL = keys
    settings.MAIL_TRANSPORT = "anymail.backends.postmark.EmailBackend"
    return server


def request(provider, send, mail):
    """Return what the provider got, or why nothing was sent."""
    provider.taken = None
    said = send(mail)
    return readable(*provider.taken) if provider.taken else said


def readable(path, kind, body):
    if kind.startswith("multipart/"):
        form = message_from_bytes(b"Content-Type: %b\r\n\r\n%b" % (kind.encode(), body))
        content = [part_of_form(part) for part in form.get_payload()]
    elif "json" in kind:
        content = json.loads(body)
    else:
        content = parse_qsl(body.decode(), keep_blank_values=True)
    return path, without_ours(content)


def part_of_form(part):
    name = part.get_param("name", header="Content-Disposition")
    return name, part["Content-Disposition"], part["Content-Type"], part.get_payload(decode=True)


def without_ours(value):
    """Return the request without what the outbox adds, without ids that are made anew, and without what is empty."""
    if isinstance(value, dict):
        kept = {name: without_ours(inner) for name, inner in value.items() if not is_ours(name)}
        return {name: inner for name, inner in kept.items() if inner not in ({}, [])}
    if isinstance(value, (list, tuple)):
        kept = (without_ours(inner) for inner in value if not is_ours(name_of(inner)))
        return type(value)(inner for inner in kept if inner != {})
    return opened(NEW_IDS.sub("", value)) if isinstance(value, str) else value


def name_of(value):
    """Return the name of a header that is written as {"Name": "Date", …}, or of the field of a form."""
    return value.get("Name", "") if isinstance(value, dict) else value[0] if isinstance(value, tuple) and value else ""


def is_ours(name):
    return str(name).removeprefix("h:").removeprefix("v:").lower() in OURS


def opened(text):
    """Return what a field has as JSON, where the order of names means nothing."""
    try:
        return without_ours(json.loads(text)) if text.startswith("{") else text
    except ValueError:
        return text


def differences(build, provider, settings):
    """Return by provider what it gets without the outbox and through it, where that is not the same."""
    message, found = stored(build()), {}
    for name in PROVIDERS:
        settings.MAIL_TRANSPORT = f"anymail.backends.{name}.EmailBackend"
        direct, through = request(provider, directly, build()), request(provider, delivered, message)
        if direct != through and not (isinstance(direct, str) and isinstance(through, str)):
            found[name] = (direct, through)
    return found


@pytest.mark.parametrize("name", [name for name in SHAPES if name not in (*REFUSED, *TAKEN)])
def test_a_provider_gets_the_request_that_it_gets_without_the_outbox(name, provider, settings):
    assert not differences(SHAPES[name], provider, settings)


def test_the_projects_metadata_is_there_beside_our_number_and_not_where_it_is_taken_back(provider, settings):
    settings.ANYMAIL["SEND_DEFAULTS"] = {"metadata": {"by": "default"}}
    for name in ("a text", "metadata", "metadata of None", "options of the class"):
        assert not differences(SHAPES[name], provider, settings)
