"""flasky.mail.delivery.worker: a relay that is away is probed when a person asks for it."""

import time
from datetime import timedelta

import pytest
from django.core.mail import EmailMessage
from django.utils import timezone

from flasky.mail.delivery.worker import Worker
from flasky.mail.models import RelayOutage, State
from flasky.mail.transports import relay_name
from tests.conftest import running, use_relay, wait_until
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def one_probe_in_ten_minutes(settings, monkeypatch):
    settings.MAIL_SWEEP_INTERVAL = 600
    monkeypatch.setattr("flasky.mail.delivery.worker.FIRST_PAUSE", 600)
    monkeypatch.setattr("flasky.mail.delivery.worker.LONGEST_PAUSE", 600)


def store():
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
    email.send()
    return email.outbox_message


def use_relay_that_is_away(settings):
    with SmtpServer() as relay:
        use_relay(settings, relay)
        return relay.port


def ask(worker):
    RelayOutage.objects.ask_now()
    worker.wake()


def test_a_relay_that_is_back_takes_the_mail_when_a_person_asks(settings, one_probe_in_ten_minutes):
    port = use_relay_that_is_away(settings)
    message = store()
    with running(Worker()) as worker:
        wait_until(lambda: RelayOutage.objects.exists())
        with SmtpServer(port=port):
            ask(worker)
            assert message.wait(60) == State.SENT
    assert not RelayOutage.objects.exists()


def test_a_relay_that_is_still_away_is_asked_once(settings, one_probe_in_ten_minutes):
    use_relay_that_is_away(settings)
    store()
    with running(Worker()) as worker:
        wait_until(lambda: RelayOutage.objects.exists())
        ask(worker)
        later = timezone.now() + timedelta(seconds=300)
        wait_until(lambda: RelayOutage.objects.get().next_probe_at > later)
        assert worker._probe_at > time.monotonic() + 300


def test_a_provider_that_wants_no_request_gets_none(settings):
    worker = Worker()
    worker._note_relay_outage("It wants no request for ten minutes.", wanted_pause=600)
    RelayOutage.objects.ask_now()
    worker._hasten_probe()
    assert worker._free_threads() == 0


def test_what_was_asked_for_once_is_done_once(settings):
    worker = Worker()
    worker._note_relay_outage("down")
    RelayOutage.objects.ask_now()
    worker._hasten_probe()
    assert worker._probe_at == 0.0
    planned = worker._probe_at = time.monotonic() + 60  # it was probed in vain, and that could not be noted
    worker._hasten_probe()
    assert worker._probe_at == planned


def test_only_probes_of_relays_that_take_nobodys_mail_are_hastened(settings):
    until = timezone.now() + timedelta(minutes=9)
    RelayOutage.objects.note(relay_name(), "not from you", until, sender="ann@example.com")
    RelayOutage.objects.ask_now()
    assert RelayOutage.objects.get().next_probe_at == until
