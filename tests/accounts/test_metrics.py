"""accounts.metrics: Prometheus is told how often a log-in has failed, the same by every process."""

from importlib.util import find_spec

import pytest
from django.test import Client

from flasky.guard import limits

if not find_spec("prometheus_client"):
    pytest.skip("prometheus_client is not here: requirements-metrics.txt", allow_module_level=True)
from prometheus_client.parser import text_string_to_metric_families as parse

pytestmark = pytest.mark.django_db(transaction=True)  # the figures are read in a thread

TOKEN = "a-token-of-the-tests"


@pytest.fixture(autouse=True)
def few_guesses(settings):
    settings.MAIL_METRICS_TOKEN = TOKEN
    settings.LOGINS_PER_NAME = 2


def failures():
    response = Client().get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    [family] = [family for family in parse(response.content.decode()) if family.name == "flasky_logins_failed"]
    return family.samples[0].value


def guess(password="wrong"):
    return Client().post("/admin/login/", {"username": "boss", "password": password}).status_code


def test_each_failure_counts_and_a_refused_guess_does_not():
    assert failures() == 0
    assert [guess() for _ in range(4)] == [200, 200, 429, 429]
    assert failures() == 2


def test_a_log_in_counts_nothing(django_user_model):
    django_user_model.objects.create_superuser("boss", password="correct horse battery")
    assert guess("correct horse battery") == 302
    assert failures() == 0


def test_the_count_is_not_removed_with_the_periods_that_are_over(monkeypatch):
    guess()
    monkeypatch.setattr(limits, "_clean_at", 0)
    monkeypatch.setattr(limits.time, "time", lambda: 4_000_000_000)
    guess()
    assert failures() == 2
