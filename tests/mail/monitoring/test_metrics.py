"""flasky.mail.monitoring.metrics and flasky.mail.status.stats: what Prometheus reads, and that it never falls."""

import sys
from datetime import timedelta
from importlib import reload
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flasky.mail import checks
from flasky.mail.delivery import deliver_due
from flasky.mail.models import HourlyCount, OutboxMessage, Process, RelayOutage, State
from flasky.mail.monitoring import metrics
from flasky.mail.runtime import deadline
from flasky.mail.status import stats

if not find_spec("prometheus_client"):
    pytest.skip("prometheus_client is not here: requirements-metrics.txt", allow_module_level=True)
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-token-of-the-tests"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture(autouse=True)
def new_process(settings):
    settings.MAIL_METRICS_TOKEN = TOKEN
    stats._settled.cache_clear()
    yield
    stats._settled.cache_clear()


def scrape(token=TOKEN, **headers):
    return Client().get("/metrics", headers={"authorization": f"Bearer {token}", **headers})


def read():
    """Return each sample by its name and labels, as Prometheus has them."""
    response = scrape()
    assert response.status_code == 200, response.content
    samples = [sample for family in parse_text(response.content.decode()) for sample in family.samples]
    return {
        sample.name.removeprefix("flasky_mail_")
        + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for sample in samples
    }


def store(seconds=0, **fields):
    email = EmailMessage("Hi", "Hello", "ann@example.com", ["b@example.com"])
    email.send()
    moment = timezone.now() - timedelta(seconds=seconds)
    dated = dict.fromkeys(("created_at", "queued_at", "next_attempt_at"), moment) | fields
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(**dated)
    return email.outbox_message


def deliver(relay, reply=None, **fields):
    relay.replies = {"RCPT": reply} if reply else {}
    message = store(**fields)
    deliver_due()
    return message


# The page


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}x", "ä"])
def test_who_has_not_the_token_reads_nothing(token):
    response = scrape(token)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert b"flasky_mail" not in response.content


def test_a_token_elsewhere_is_none():
    assert Client().get(f"/metrics?token={TOKEN}").status_code == 401
    assert Client().get("/metrics", headers={"authorization": TOKEN}).status_code == 401


def test_without_a_token_there_is_no_such_page(settings):
    settings.MAIL_METRICS_TOKEN = ""
    assert scrape("").status_code == scrape().status_code == 404


def test_prometheus_gets_it_without_tls_and_by_any_name(settings):
    settings.SECURE_SSL_REDIRECT = True
    assert scrape(host="10.0.0.7:8000").status_code == 200


def test_both_formats_are_read_by_prometheus_own_parsers():
    text, openmetrics = scrape(), scrape(accept=OPENMETRICS)
    assert text["Content-Type"].startswith("text/plain")
    assert openmetrics["Content-Type"].startswith("application/openmetrics-text")
    plain = {family.name for family in parse_text(text.content.decode())}
    assert plain == {family.name for family in parse_openmetrics(openmetrics.content.decode())}
    assert len(plain) == 19


def test_every_metric_has_a_name_of_its_kind_and_a_meaning():
    for family in parse_text(scrape().content.decode()):
        assert family.name.startswith(("flasky_mail_", "flasky_logins_"))
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "summary")
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)


def test_every_metric_is_in_the_documentation():
    documented = (Path(__file__).parents[3] / "docs/operating.md").read_text()
    for family in parse_text(scrape().content.decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"| `{name}`" in documented


def test_a_database_that_fails_is_no_page_of_zeros(monkeypatch, caplog):
    def fail():
        raise OperationalError("no connection to 10.1.2.3")

    monkeypatch.setattr(metrics, "_look", deadline.SingleFlight(fail))
    response = scrape()
    assert response.status_code == 503
    assert b"10.1.2.3" not in response.content
    assert "10.1.2.3" in caplog.text


def test_without_the_package_there_is_no_page_and_a_check_says_so(monkeypatch):
    assert list(checks.check_metrics()) == []
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    reload(metrics)
    assert scrape().status_code == 404
    [error] = checks.check_metrics()
    assert (error.id, "requirements-metrics.txt" in error.hint) == ("flasky.E030", True)


@pytest.mark.parametrize("token", ["short", "with space in the middle", '"quoted-token-quoted"', "ünïcode-ünïcode"])
def test_a_token_that_is_weak_or_cannot_be_sent_is_an_error(settings, token):
    settings.MAIL_METRICS_TOKEN = token
    [error] = checks.check_metrics()
    assert error.id == "flasky.E031"
    assert token not in str(error)


@pytest.mark.parametrize("path", ["accounts.metrics.nobody", "no.such.module"])
def test_metrics_of_other_apps_that_are_not_there_are_an_error(settings, path):
    settings.MAIL_METRICS_ALSO = [path]
    [error] = checks.check_metrics()
    assert error.id == "flasky.E045"
    assert path in error.msg


# The counters


def test_an_empty_outbox_has_all_stats_at_zero():
    OutboxMessage.objects.all().delete()
    found = read()
    assert len(found) > 20
    assert all(value == 0 for name, value in found.items() if not name.startswith(("stored_total", "clock_ahead")))


def test_attempts_are_counted_by_their_outcome_and_messages_by_their_end(relay):
    before = read()
    deliver(relay)
    deliver(relay, "550 no")
    postponed = deliver(relay, "451 later")
    OutboxMessage.objects.filter(pk=postponed.pk).update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    relay.replies = {}
    deliver_due()
    grown = {name: value - before[name] for name, value in read().items() if value != before[name]}
    assert {name: grown[name] for name in grown if name.startswith(("attempts", "accepted", "failed", "retries"))} == {
        "attempts_total{accepted}": 2,
        "attempts_total{refused}": 1,
        "attempts_total{postponed}": 1,
        "accepted_total": 2,
        "failed_total": 1,
        "retries_total": 1,
    }


def test_attempts_whose_process_died_are_counted_when_another_takes_over():
    message = store(1)
    before = read()
    for _ in range(2):
        OutboxMessage.objects.claim(1)
        OutboxMessage.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        assert OutboxMessage.objects.take_over_expired() == 1
        assert OutboxMessage.objects.take_over_expired() == 0
    grown = {name: value - before[name] for name, value in read().items() if value != before[name]}
    assert (grown["attempts_total{unknown}"], grown["retries_total"]) == (2, 1)
    assert message.attempts.count() == 2


def test_how_long_messages_have_waited_is_summed_up(relay):
    for waited in (0.2, 100, 90_000):
        deliver(relay, seconds=waited)
    found = read()
    assert found["acceptance_seconds_count"] == 3
    assert 90_100 <= found["acceptance_seconds_sum"] <= 90_160


def test_a_clock_that_is_behind_makes_no_negative_wait(relay):
    deliver(relay, queued_at=timezone.now() + timedelta(seconds=100))
    assert read()["acceptance_seconds_count"] == 1
    assert read()["acceptance_seconds_sum"] == 0


def test_no_counter_falls_when_everything_is_pruned(relay):
    for reply in (None, "550 no", None):
        deliver(relay, reply)
    before = read()
    OutboxMessage.objects.update(finished_at=timezone.now() - timedelta(days=400))
    call_command("prune_mail", verbosity=0)
    assert not OutboxMessage.objects.exists()
    after = read()
    counters = [name for name in before if name.split("{")[0].endswith(("_total", "_count", "_sum"))]
    assert [after[name] for name in counters] == [before[name] for name in counters]
    newer = store()
    assert read()["stored_total"] == newer.pk == before["stored_total"] + 1


def test_what_was_pruned_before_does_not_lower_the_number():
    HourlyCount.objects.note_number(12_000_000)
    HourlyCount.objects.note_number(11_000_000)
    assert read()["stored_total"] == 12_000_000


def test_old_hours_count_and_are_read_once_by_a_process():
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    for days in (0, 1, 2, 400):
        HourlyCount.objects.create(hour=now - timedelta(days=days), slot=0, sent=1, failed=0)
    assert read()["accepted_total"] == 4
    HourlyCount.objects.filter(hour__lt=now - timedelta(days=300)).update(sent=100)
    HourlyCount.objects.filter(hour=now).update(sent=7)
    assert read()["accepted_total"] == 10


# What is going on


def test_the_queue_is_told_by_state_with_its_depth_and_age():
    store(100)
    store(50, next_attempt_at=timezone.now() + timedelta(hours=1))
    store(30, state=State.HELD)
    store(1000, state=State.SENT)
    found = read()
    assert [found[f"messages{{{state}}}"] for state in ("queued", "sending", "held")] == [2, 0, 1]
    assert 100 <= found["oldest_seconds{queued}"] <= 160
    assert 30 <= found["oldest_seconds{held}"] <= 90
    assert found["oldest_seconds{sending}"] == 0
    assert found["due_messages"] == 1
    assert 100 <= found["overdue_seconds"] <= 160


def test_what_waits_for_a_time_of_its_own_has_no_age(monkeypatch):
    tomorrow = timezone.now() + timedelta(days=1)
    store(500, queued_at=tomorrow, next_attempt_at=tomorrow)
    assert read()["oldest_seconds{queued}"] == 0
    store(100)
    store(200, next_attempt_at=timezone.now() + timedelta(hours=1), created_at=timezone.now() - timedelta(days=9))
    assert 200 <= read()["oldest_seconds{queued}"] <= 260
    monkeypatch.setattr("flasky.mail.models.message.MOST_COMPARED", 1)
    assert 100 <= read()["oldest_seconds{queued}"] <= 160


def test_each_claim_is_one_attempt_in_flight():
    for _ in range(5):
        store(1)
    OutboxMessage.objects.claim(2)
    OutboxMessage.objects.claim(2)
    assert read()["in_flight_attempts"] == 2
    assert read()["messages{sending}"] == 4


def test_who_delivers_and_which_relay_is_away_is_told():
    Process.objects.heartbeat("host 1", 4)
    Process.objects.heartbeat("host 2", 8, stuck_for=400)
    RelayOutage.objects.note("mail.secret.test:25", "away", timezone.now())
    found = read()
    assert (found["deliverers"], found["deliverer_threads"], found["relays_away"]) == (2, 12, 1)
    assert found["deliverers_stuck"] == 1
    assert b"secret" not in scrape().content


def test_counts_end_somewhere(monkeypatch):
    monkeypatch.setattr(stats, "HIGHEST_STAT", 2)
    for _ in range(4):
        store(1)
    assert read()["messages{queued}"] == read()["due_messages"] == 2


def test_a_look_reads_no_message_whole():
    store(1)
    with CaptureQueriesContext(connection) as queries:
        stats.read_stats()
    assert len(queries) <= 17
    assert not any('"content"' in query["sql"] or "`content`" in query["sql"] for query in queries)
