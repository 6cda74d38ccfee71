"""Providers' APIs: what becomes of a mail when they hang up, are silent, answer nonsense or want a pause."""

import os
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from io import StringIO

import pytest
from anymail.signals import pre_send
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from flasky.mail.delivery import deliver_due, worker
from flasky.mail.delivery.worker import Worker
from flasky.mail.models import Attempt, OutboxMessage, State
from flasky.mail.transports import TransportUnavailable, borrow, new_transport
from flasky.mail.transports.answers import LONGEST_PAUSE, SHORTEST_PAUSE, retry_after
from flasky.mail.transports.replies import Verdict
from flasky.mail.wire.compose import compose
from tests.conftest import running, wait_until
from tests.http_provider import HANG_UP, HttpProvider, answer

TAKEN = {
    "postmark": answer(200, {"ErrorCode": 0, "Message": "OK", "MessageID": "id-1", "To": "b@example.com"}),
    "resend": answer(200, {"id": "id-1"}),
    "amazon_ses": answer(200, {"MessageId": "id-1"}),
    "mailjet": answer(200, {"Messages": [{"Status": "success", "To": [{"Email": "b@example.com", "MessageID": 1}]}]}),
}

UNVERIFIED = {
    "resend": answer(403, {"name": "validation_error", "message": "The one.example domain is not verified."}),
    "postmark": answer(422, {"ErrorCode": 400, "Message": "The From address is no Sender Signature on your account."}),
}


@pytest.fixture
def api(settings, monkeypatch):
    """A function that starts a provider with the answers that it will give."""
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    settings.MAIL_TIMEOUT = 2
    open_ones = []

    def start(name, *answers):
        provider = HttpProvider(*answers)
        open_ones.append(provider.__enter__())
        use(settings, name, provider.url)
        return provider

    yield start
    for provider in open_ones:
        provider.__exit__()


def use(settings, name, url, **client_params):
    settings.MAIL_TRANSPORT = f"anymail.backends.{name}.EmailBackend"
    keys = dict.fromkeys(("API_KEY", "SECRET_KEY", "API_TOKEN", "SERVER_TOKEN"), "key") | {"API_URL": url}
    settings.ANYMAIL = {f"{name.upper()}_{key}": value for key, value in keys.items()}
    settings.ANYMAIL["AMAZON_SES_CLIENT_PARAMS"] = {"endpoint_url": url, **client_params}


def a_message(*recipients, **fields):
    return OutboxMessage(**compose(an_email(*recipients, **fields)))


def an_email(*recipients, **fields):
    return EmailMessage("Hi", "Hello", "Ann <ann@example.com>", list(recipients) or ["b@example.com"], **fields)


def deliver(message=None):
    with borrow() as transport:
        [reply] = transport.deliver(message or a_message()).values()
        return reply


@pytest.mark.django_db(transaction=True)
def test_a_mail_that_amazon_may_have_is_marked_before_it_is_sent_again(api):
    provider = api("amazon_ses", HANG_UP, TAKEN["amazon_ses"])
    an_email().send()
    assert deliver_due() == {State.QUEUED: 1}
    message = OutboxMessage.objects.get()
    assert message.possible_duplicate
    assert Attempt.objects.get().outcome == Attempt.Outcome.UNKNOWN
    OutboxMessage.objects.update(next_attempt_at=message.queued_at)
    assert deliver_due() == {State.SENT: 1}
    assert len(provider.requests) == 2


def test_missing_credentials_cost_no_attempt(api, monkeypatch):
    provider = api("amazon_ses", TAKEN["amazon_ses"])
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(TransportUnavailable, match="Unable to locate credentials"):
        deliver()
    assert provider.requests == []


def test_an_answer_that_says_yes_and_speaks_of_a_quota_leaves_a_doubt(api):
    """Or the same mail would be sent with each probe."""
    api("postmark", answer(200, "<html>You are near your daily sending quota"))
    assert deliver().verdict == Verdict.UNKNOWN


def test_what_cannot_be_put_into_the_providers_words_is_refused_with_the_reason(api):
    provider = api("postmark", TAKEN["postmark"])
    message = a_message()
    message.provider_options = {"metadata": {"a": "b"}, "tags": ["one", "two"]}  # Postmark takes one tag
    reply = deliver(message)
    assert (reply.verdict, "tags" in reply.text) == (Verdict.REFUSED, True)
    assert provider.requests == []


@pytest.mark.parametrize(
    ("error", "verdict"), [(KeyError, Verdict.REFUSED), (OSError, Verdict.POSTPONED), (ValueError, Verdict.REFUSED)]
)
def test_a_receiver_that_fails_before_the_request_leaves_no_doubt(api, error, verdict):
    def receiver(**signal):
        raise error("a bug")

    provider = api("postmark", TAKEN["postmark"])
    pre_send.connect(receiver)
    try:
        assert deliver().verdict == verdict
    finally:
        pre_send.disconnect(receiver)
    assert provider.requests == []


def test_whoever_configures_boto3_himself_knows_better(api, settings):
    provider = api("amazon_ses", answer(500, {"message": "our fault"}))
    config = {"retries": {"total_max_attempts": 2, "mode": "standard"}, "user_agent_extra": "site"}
    use(settings, "amazon_ses", provider.url, config=config)
    deliver()
    assert len(provider.requests) == 2
    assert new_transport().backend.client_params["config"].read_timeout == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["resend", "postmark"])
def test_a_sender_whose_domain_is_not_verified_stops_no_other_and_goes_on_when_it_is(api, name):
    is_verified = []

    def say(header, body):
        return TAKEN[name] if is_verified or "two.example" in body else UNVERIFIED[name]

    api(name, say)
    for domain in ("one.example", "two.example", "one.example", "two.example", "one.example"):
        EmailMessage("Hi", "Hello", f"ann@{domain}", ["b@example.com"]).send()
    with pytest.raises(TransportUnavailable, match="wants an address verified first"):
        deliver_due()
    assert set(states_of("ann@two.example")) == {State.SENT}
    assert set(states_of("ann@one.example")) == {State.QUEUED}
    is_verified.append(True)
    OutboxMessage.objects.filter(state=State.QUEUED).update(next_attempt_at=datetime.now(timezone.utc))
    assert deliver_due() == {State.SENT: 3}


def states_of(sender):
    return OutboxMessage.objects.filter(envelope_sender=sender).values_list("state", flat=True)


@pytest.mark.django_db(transaction=True)
def test_a_403_that_says_nothing_more_is_tried_again_by_the_plan_and_stops_nobody(api):
    provider = api("postmark", answer(403, "<html>Forbidden"), TAKEN["postmark"])
    an_email().send()
    an_email().send()
    assert deliver_due() == {State.QUEUED: 1, State.SENT: 1}
    assert Attempt.objects.filter(outcome=Attempt.Outcome.POSTPONED).count() == 1
    assert len(provider.requests) == 2


# Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), ("0", SHORTEST_PAUSE), ("1.5", 1.5), ("9" * 500, LONGEST_PAUSE), (" 7 ", 7)]
    + [(value, None) for value in ("", "soon", "-5", "1e3", "٣", "Fri, 99 Foo 2026 00:00:00 GMT")],
)
def test_a_retry_after_in_seconds_is_read_within_limits(value, seconds):
    assert retry_after(value) == seconds


def test_a_retry_after_can_be_a_date():
    later = datetime.now(timezone.utc) + timedelta(seconds=90)
    assert 88 < retry_after(format_datetime(later, usegmt=True)) <= 90
    assert retry_after("Sun, 06 Nov 1994 08:49:37 GMT") == SHORTEST_PAUSE
    assert retry_after("Sun, 06 Nov 2094 08:49:37 GMT") == LONGEST_PAUSE


@given(st.text(max_size=60))
def test_any_retry_after_is_read_without_an_error(value):
    pause = retry_after(value)
    assert pause is None or SHORTEST_PAUSE <= pause <= LONGEST_PAUSE


@pytest.mark.django_db(transaction=True)
def test_while_a_provider_wants_a_pause_no_thread_asks_it_and_no_attempt_is_spent(api, settings):
    settings.MAIL_WORKERS = 2
    provider = api("postmark", answer(429, {"Message": "Rate limit"}, Retry_After="2"), TAKEN["postmark"])
    for _ in range(6):
        an_email().send()
    with running(Worker()) as working:
        wait_until(lambda: working._rest_until)
        wait_until(lambda: working._busy == 0)
        asked, until = len(provider.requests), working._rest_until
        wait_until(lambda: time.monotonic() > until - 0.2)
        assert len(provider.requests) == asked
        wait_until(lambda: not OutboxMessage.objects.exclude(state=State.SENT).exists())
    assert not Attempt.objects.exclude(outcome=Attempt.Outcome.ACCEPTED).exists()
    assert set(OutboxMessage.objects.values_list("attempt_count", flat=True)) == {1}


def test_a_wanted_pause_is_longer_than_ours_and_never_shortened(monkeypatch):
    working, now = Worker(), [100.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: now[0])
    working._is_news("429", 60)
    assert 160 <= working._probe_at <= 166
    working._is_news("429", 1)
    working._is_news("connection refused")
    assert working._probe_at >= 160
    assert working._must_rest()
    now[0] = working._probe_at
    assert not working._must_rest()
    working.stop()


@pytest.mark.django_db(transaction=True)
def test_deliver_mail_says_for_how_long_the_provider_wants_a_pause(api):
    api("postmark", answer(503, "", Retry_After="90"))
    an_email().send()
    with pytest.raises(CommandError, match=r"asks for a pause of 90 s\. Nothing is lost"):
        call_command("deliver_mail", stdout=StringIO())
    message = OutboxMessage.objects.get()
    assert (message.state, message.attempt_count) == (State.QUEUED, 0)


# Headers


def test_a_header_that_somebody_has_set_himself_stays_and_the_providers_reason_is_shown(api):
    errors = [{"ErrorCode": "send-0011", "StatusCode": 400, "ErrorMessage": "Header cannot be customized"}]
    provider = api("mailjet", answer(400, {"Messages": [{"Status": "error", "Errors": errors}]}))
    given = {"message-ID": "<mine@example.com>", "Auto-Submitted": "auto-replied", "X-Own": "1"}
    reply = deliver(a_message(headers=given))
    assert (reply.verdict, "Header cannot be customized" in reply.text) == (Verdict.REFUSED, True)
    assert provider.bodies()[0]["Globals"]["Headers"] == given
