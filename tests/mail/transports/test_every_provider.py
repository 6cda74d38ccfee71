"""Every provider that Anymail has, at an HTTP server on loopback that answers as its manual says.

What an answer means is one of the words of tests.mail.transports.provider_answers.
"""

import base64
import json
import os
import pkgutil
import re
import time
from concurrent.futures import ThreadPoolExecutor

import anymail.backends
import botocore.session
import pytest
from django.core.mail import EmailMessage
from django.utils.module_loading import import_string

from flasky.mail.models import OutboxMessage
from flasky.mail.transports import TransportUnavailable, new_transport
from flasky.mail.transports.providers import OUTBOX_ID, PROVIDERS
from flasky.mail.transports.replies import Verdict, names_settings
from flasky.mail.wire.compose import compose
from tests.http_provider import DEAF, DRIP, HANG_UP, SILENCE, HttpProvider, answer
from tests.mail.transports.provider_answers import (
    BY_HTTP,
    MAKES_IDS,
    REFUSALS,
    SAYS_NOTHING,
    TAKEN,
    B,
    postmark,
    resend,
)
from tests.own_servers import free_port

PROGRAMMERS_WORDS = re.compile(r"\w(?:Error|Exception)\b|object at|Traceback|0x[0-9a-f]+")
pytestmark = pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid")


@pytest.fixture(scope="module")
def server():
    with HttpProvider() as server:
        yield server


@pytest.fixture
def use(settings, monkeypatch, server):
    """A function that makes ready a transport to this provider, which will give these answers."""
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    settings.MAIL_TIMEOUT = 5
    opened = []

    def start(name, *answers, url=""):
        server.answers[:], server.requests[:] = answers or [TAKEN[name]], []
        settings.MAIL_TRANSPORT = f"anymail.backends.{name}.EmailBackend"
        settings.ANYMAIL = options(name, url or server.url)
        opened.append(new_transport())
        return opened[-1]

    yield start
    for transport in opened:
        transport.close()


READ_ONCE = botocore.session.Session()  # the description of Amazon's API, which takes a while
AWS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


def options(name, url):
    keys = dict.fromkeys(("API_KEY", "SECRET_KEY", "API_TOKEN", "SERVER_TOKEN", "PROJECT_ID"), "key") | {"API_URL": url}
    ours = {f"{name.upper()}_{key}": value for key, value in keys.items()}
    boto3 = {"CLIENT_PARAMS": {"endpoint_url": url}, "SESSION_PARAMS": {"botocore_session": READ_ONCE}}
    return ours | {f"AMAZON_SES_{key}": value for key, value in boto3.items()}


def a_message(*recipients, number=17, **fields):
    email = EmailMessage("Hi", "Hello", "Ann <ann@example.com>", list(recipients) or [B])
    vars(email).update(fields)
    return OutboxMessage(pk=number, **compose(email))


def deliver(transport, message=None):
    """Return the reply to the message, or why no message is taken."""
    try:
        transport.open()
        [reply] = transport.deliver(message or a_message()).values()
        return reply
    except TransportUnavailable as error:
        return error


def meaning(reply):
    if isinstance(reply, TransportUnavailable):
        if reply.is_about_account:
            return "account"
        return "now" if reply.retry_after or reply.is_crowded else "settings"
    if reply.verdict == Verdict.REFUSED:
        return "sender" if names_settings(reply) else "mail"
    return {Verdict.ACCEPTED: "sent", Verdict.POSTPONED: "later", Verdict.UNKNOWN: "unknown"}[reply.verdict]


def sentence_of(reply):
    return str(reply) if isinstance(reply, TransportUnavailable) else reply.text


# What it is asked, and what becomes of the answer


def test_no_provider_of_the_installed_anymail_is_left_out():
    modules = {each.name for each in pkgutil.iter_modules(anymail.backends.__path__)}
    assert modules - {"base", "base_requests", "console", "test", "sendinblue"} == TAKEN.keys() == REFUSALS.keys()
    names = {import_string(f"anymail.backends.{name}.EmailBackend").esp_name for name in TAKEN}
    assert names == PROVIDERS.keys() - {"SendinBlue"}


@pytest.mark.parametrize("name", TAKEN)
def test_a_provider_takes_a_mail_and_its_id_and_status_are_noted(use, server, name):
    transport = use(name)
    reply = deliver(transport)
    assert meaning(reply) == "sent", reply
    assert (reply.receipt.provider, reply.receipt.status in ("sent", "queued")) == (transport.backend.esp_name, True)
    assert reply.receipt.provider_id == "id-1" or (name in MAKES_IDS and len(reply.receipt.provider_id) == 36)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_providers_manual_says_has_its_scope_and_its_time(use, server, name):
    silent = [("sent" if name == "sendgrid" else "unknown", said) for said in SAYS_NOTHING]
    for expected, said in [*REFUSALS[name], *BY_HTTP, *silent]:
        reply = deliver(use(name, said))
        assert meaning(reply) == expected, (said, reply)
        assert len(server.requests) == 1, said
        ours, _, _ = sentence_of(reply).partition(" answered ")  # what follows is the provider's
        assert not PROGRAMMERS_WORDS.search(ours), ours


def test_a_pause_that_is_asked_for_is_passed_on_by_all(use):
    for name in TAKEN:
        error = deliver(use(name, answer(429, {"message": "later"}, Retry_After="42")))
        assert (name, error.retry_after, error.is_crowded) == (name, 42, False)


def all_at_once(use, said):
    """Return each provider's reply, and after how many seconds the last one came."""
    transports = [use(name, said) for name in TAKEN]
    messages = [a_message() for _ in transports]
    started = time.monotonic()
    with ThreadPoolExecutor(len(transports)) as pool:
        replies = list(pool.map(deliver, transports, messages))
    return dict(zip(TAKEN, replies, strict=True)), time.monotonic() - started


@pytest.mark.parametrize("said", [SILENCE, DRIP])
def test_no_provider_is_waited_for_longer_than_the_timeout_however_it_answers(use, settings, said):
    settings.MAIL_TIMEOUT = 5  # in which a request gets out, if the machine is busy too
    replies, seconds = all_at_once(use, said)
    assert {name: meaning(reply) for name, reply in replies.items()} == dict.fromkeys(TAKEN, "unknown")
    assert all("did not answer within 5 s" in reply.text for reply in replies.values()), replies
    assert seconds < 60  # the drip has no end; a busy machine may take a while


def test_a_provider_that_does_not_take_the_whole_request_in_time_has_not_got_the_mail(use, settings):
    """As test_in_time.py has it of a library of Python's; this one is Amazon's."""
    settings.MAIL_TIMEOUT = 2
    message = a_message(attachments=[("all.bin", b"x" * 5_000_000, "application/octet-stream")])
    reply = deliver(use("amazon_ses", DEAF), message)
    assert (meaning(reply), "MAIL_TIMEOUT" in reply.text) == ("later", True), reply


@pytest.mark.parametrize("name", TAKEN)
def test_a_provider_that_cannot_be_reached_costs_no_attempt_and_the_settings_are_named(use, server, name):
    nobody = f"127.0.0.1:{free_port()}"
    for url, words in [
        (f"http://{nobody}/", f"Nothing answers at {nobody} (connection refused)"),
        (server.url.replace("http:", "https:"), "No encrypted connection to"),
    ]:
        reply = deliver(use(name, url=url))
        assert meaning(reply) == "settings", reply
        assert words in str(reply)
        assert "look at the network, and at MAIL_TRANSPORT and its settings" in str(reply)
        assert not PROGRAMMERS_WORDS.search(str(reply)), str(reply)


@pytest.mark.parametrize("name", ["postmark", "amazon_ses"])
def test_a_host_that_nobody_knows_is_named(use, name):
    reply = deliver(use(name, url="http://no-such-host.invalid/"))
    assert (meaning(reply), "There is no host named no-such-host.invalid" in str(reply)) == ("settings", True)


# What we add to a mail


def sent_headers(name, header, body):
    """Return the names of the headers that the provider is asked to write, and the metadata that it is to keep."""
    if name == "mailgun":
        return {each.split(":", 1)[1].lower() for each in fields_of(body) if each.startswith("h:")}
    data = json.loads(body)
    found = {
        "brevo": lambda: data.get("headers", {}),
        "mailersend": lambda: [each["name"] for each in data.get("headers", ())],
        "mailjet": lambda: data["Globals"].get("Headers", {}),
        "mailtrap": lambda: data.get("headers", {}),
        "mandrill": lambda: data["message"].get("headers", {}),
        "postal": lambda: data.get("headers", {}),
        "postmark": lambda: [each["Name"] for each in data.get("Headers", ())],
        "resend": lambda: data.get("headers", {}),
        "scaleway": lambda: [each["key"] for each in data.get("additional_headers", ())],
        "sendgrid": lambda: data.get("headers", {}),
        "sparkpost": lambda: data["content"].get("headers", {}),
        "unisender_go": lambda: data["message"].get("headers", {}),
    }[name]()
    return {each.lower() for each in found}


def fields_of(form):
    return [line.split("=", 1)[0].replace("%3A", ":") for line in form.split("&")]


@pytest.mark.parametrize("name", TAKEN.keys() - {"amazon_ses"})
def test_a_provider_gets_of_our_headers_those_that_it_is_known_to_take(use, server, name):
    transport = use(name)
    email_headers = {"Auto-Submitted": "auto-generated"}
    deliver(transport, a_message(extra_headers=email_headers))
    [(header, body)] = server.requests
    ours = sent_headers(name, header, body) & {"message-id", "date", "auto-submitted"}
    assert ours == PROVIDERS[transport.backend.esp_name].headers


@pytest.mark.parametrize("name", TAKEN)
def test_our_number_travels_in_the_metadata_where_there_is_any(use, server, name):
    transport = use(name)
    deliver(transport)
    [(_, body)] = server.requests
    sent = body if name != "amazon_ses" else raw_mail(body)
    assert (OUTBOX_ID in sent) == PROVIDERS[transport.backend.esp_name].has_metadata


def raw_mail(body):
    return base64.b64decode(json.loads(body)["Content"]["Raw"]["Data"]).decode()


def test_somebodys_own_metadata_stays_and_is_not_overridden(use, server):
    deliver(use("postmark"), a_message(metadata={OUTBOX_ID: "mine", "order": "7"}))
    deliver(use("sparkpost"), a_message(metadata={"order": "7"}))
    many = {f"k{number}": "v" for number in range(10)}
    deliver(use("mandrill"), a_message(metadata=many))
    [(_, body)] = server.requests
    assert json.loads(body)["message"]["metadata"] == many


def key_of(name, request):
    header, body = request
    return header.get("idempotency-key") or json.loads(body).get("headers", {}).get("idempotencyKey")


@pytest.mark.parametrize("name", ["brevo", "resend"])
def test_a_repeat_for_the_same_recipients_has_the_same_key_and_nothing_else_has_it(use, server, name):
    message = a_message(B, "c@example.com")
    transport = use(name, HANG_UP, answer(500, {}), TAKEN[name])
    for each in (message, message, message, a_message(B, "c@example.com", number=18)):
        transport.open()
        transport.deliver(each)
    message.outcomes = {B: {"accepted": True, "reply": ""}}
    transport.deliver(message)
    keys = [key_of(name, request) for request in server.requests]
    assert len(keys) == 5
    assert all(keys)
    assert (len(set(keys[:3])), len(set(keys))) == (1, 3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("brevo", answer(400, {"code": "duplicate_parameter", "message": "idempotencyKey was used"})),
        ("resend", resend(409, "invalid_idempotent_request")),
    ],
)
def test_a_repeat_that_the_provider_swallows_after_a_doubt_was_taken_before(use, name, said):
    message = a_message()
    message.possible_duplicate = True
    assert meaning(deliver(use(name, said), message)) == "sent"


def test_a_provider_that_spells_an_address_otherwise_means_the_same(use):
    taken = {"Status": "success", "To": [{"Email": "bob@xn--bcher-kva.example", "MessageID": 1}]}
    for address in ("Bob@xn--bcher-kva.example", "bob@bücher.example"):
        reply = deliver(use("mailjet", answer(200, {"Messages": [taken]})), a_message(address))
        assert (meaning(reply), reply.receipt.provider_id) == ("sent", "1")


def test_what_is_said_of_one_of_several_recipients_takes_the_mail_from_none(use):
    """One sender may be of the account's, and the message to another have met a quota: nobody gets it twice."""
    failed = {"Status": "error", "Errors": [{"ErrorCode": "x", "ErrorMessage": "Your account is suspended"}]}
    taken = {"Status": "success", "To": [{"Email": B, "MessageID": 1}]}
    transport = use("mailjet", answer(200, {"Messages": [failed, taken]}))
    transport.open()
    replies = transport.deliver(a_message(B, "c@example.com", merge_data={}))
    assert [reply.verdict for reply in replies.values()] == [Verdict.ACCEPTED, Verdict.POSTPONED]


def test_what_the_answer_does_not_say_of_each_recipient_is_not_taken_for_a_yes(use):
    bad = postmark(300, "Invalid 'To' address: 'c@example.com'.")
    transport = use("postmark", bad)
    transport.open()
    replies = transport.deliver(a_message(B, "c@example.com"))
    assert [reply.verdict for reply in replies.values()] == [Verdict.POSTPONED, Verdict.REFUSED]
