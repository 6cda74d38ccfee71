"""flasky.mail.status.clocks: who has a wrong clock is named, wherever a person or a program looks."""

import pytest
from django.core import checks

from flasky.mail.delivery.worker import Worker
from flasky.mail.models import Process
from flasky.mail.monitoring.metrics import families
from flasky.mail.monitoring.readiness import _wrong_clock
from flasky.mail.runtime import clock
from flasky.mail.runtime.identity import host_of, this_process
from flasky.mail.status.overview import overview
from flasky.mail.status.stats import read_stats
from tests.clocks import set_clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def this_host(monkeypatch):
    """Return a function by which this host's clock differs from the database's."""
    clock.forget()
    set_clock(monkeypatch, 0)
    return lambda seconds: set_clock(monkeypatch, -seconds)


def found():
    return {each.msg: each.hint for each in checks.run_checks(databases=["default"]) if each.id == "flasky.W056"}


@pytest.mark.parametrize(("seconds", "side"), [(12.3, "12 s ahead of"), (-86_400, "86,400 s behind")])
def test_the_check_names_the_host_the_difference_and_what_to_do(this_host, seconds, side):
    Process.objects.heartbeat("web-2 42", 4, clock_ahead=seconds)
    Process.objects.heartbeat("web-2 43", 4, clock_ahead=seconds)
    assert list(found()) == [f"The clock of web-2 is {side} the database's."]
    assert "NTP" in next(iter(found().values()))


@pytest.mark.parametrize("seconds", [-5, 0, 4.9])
def test_a_little_is_no_finding(this_host, seconds):
    Process.objects.heartbeat("web-2 42", 4, clock_ahead=seconds)
    this_host(4)
    assert not found()


def test_this_host_is_named_though_nobody_delivers_here(this_host):
    this_host(-7)
    assert list(found()) == [f"The clock of {host_of(this_process())} is 7 s behind the database's."]


def test_the_dead_have_no_clock(this_host):
    Process.objects.heartbeat("web-2 42", 4, clock_ahead=12)
    Process.objects.update(seen_at="2000-01-01T00:00:00Z")
    assert not found()


def test_the_strip_says_so(this_host, admin_client):
    Process.objects.heartbeat("web-<2> 42", 4, clock_ahead=12)
    [sentence] = overview().wrong_clocks
    assert sentence.startswith("The clock of web-<2> is 12 s ahead of the database's. Mail goes by")
    page = admin_client.get("/admin/flasky_mail/outboxmessage/").content.decode()
    assert "The clock of web-&lt;2&gt; is 12 s ahead" in page


def test_readiness_tells_of_its_own_host_and_does_not_fail(this_host):
    assert not _wrong_clock().remarks
    this_host(12)
    assert _wrong_clock().remarks == ["This host's clock is 12 s ahead of the database's. Let NTP keep both."]
    assert not _wrong_clock().problems


def test_a_metric_has_each_host(this_host):
    Process.objects.heartbeat("web-2 42", 4, clock_ahead=12)
    [family] = [each for each in families(read_stats()) if each.name == "flasky_mail_clock_ahead_seconds"]
    seconds = {sample.labels["host"]: sample.value for sample in family.samples}
    assert seconds["web-2"] == 12
    assert abs(seconds[host_of(this_process())]) < 1


def test_whoever_delivers_notes_its_hosts_clock(this_host):
    this_host(12)
    Worker()._maintain([])
    assert Process.objects.get().clock_ahead == pytest.approx(12, abs=1)
