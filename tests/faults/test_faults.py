"""flasky.faults: one mail for each fault and hour, with a count, and none about a probe."""

import logging
import threading
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from django.core.mail import send_mail
from django.db import DatabaseError, connection, connections, transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path
from django.utils import timezone

from flasky import urls
from flasky.faults import handler as handler_module
from flasky.faults import telling
from flasky.faults.identity import identify
from flasky.faults.models import Fault
from flasky.mail.limits import budget
from flasky.mail.models import OutboxMessage, State
from flasky.mail.monitoring import readiness
from flasky.mail.runtime import deadline
from flasky.mail.signals import swept
from tests.running_site import Site, Visitor


def broken(request, number=0):
    raise ZeroDivisionError(f"division of {number} by zero")


def broken_elsewhere(request):
    raise ZeroDivisionError


def broken_in_many_ways(request, number):
    raise type(f"Error{number}", (Exception,), {})


def unavailable(request):
    return HttpResponse("later", status=503)


urlpatterns = [
    path("broken/<int:number>", broken),
    path("broken-too", broken),
    path("broken-elsewhere", broken_elsewhere),
    path("many/<int:number>", broken_in_many_ways),
    path("unavailable/<int:number>", lambda request, number: unavailable(request)),
    path("unavailable-too", unavailable),
    path("", include(urls.urlpatterns)),
]

with_broken_pages = pytest.mark.urls(__name__)


@pytest.fixture
def browser(db, client):
    client.raise_request_exception = False
    return client


def subjects():
    return list(OutboxMessage.objects.order_by("pk").values_list("subject", flat=True))


def text(message):
    return message_from_bytes(bytes(message.content), policy=policy.default).get_body(("plain",)).get_content()


def an_hour_passes():
    Fault.objects.update(told_at=timezone.now() - timedelta(seconds=3601))


# Probes


@pytest.mark.parametrize("url", ["/readyz", "/readyz?x=1", "/readyz/"])
def test_no_probe_of_a_site_that_is_not_ready_is_mailed(browser, monkeypatch, url):
    monkeypatch.setattr(readiness, "readiness", lambda: readiness.Readiness(["Late mail."], []))
    monkeypatch.setattr(readiness, "_look", deadline.SingleFlight(lambda: None))
    for method in ("get", "head", "post", "options"):
        for _ in range(5):
            assert getattr(browser, method)(url).status_code in (404, 503)
    assert subjects() == []


@pytest.mark.parametrize("url", ["/healthz", "/readyz", "/metrics", "/readyz/", "/metrics/more"])
@pytest.mark.parametrize("logger", ["django.request", "django", "django.db.backends"])
def test_no_error_in_a_probe_is_mailed_whoever_logs_it(browser, settings, url, logger):
    settings.MIDDLEWARE = ["flasky.faults.probes.noting_probes", f"{__name__}.logging_and_failing"]
    Client(raise_request_exception=False).get(url, headers={"logger": logger})
    assert subjects() == []
    Client(raise_request_exception=False).get("/", headers={"logger": logger})
    assert len(subjects()) == 2


def logging_and_failing(get_response):
    def middleware(request):
        logging.getLogger(request.headers["logger"]).error("It broke")  # without the request
        raise ZeroDivisionError

    return middleware


def test_a_probe_below_the_prefix_that_a_server_names_is_one_too(browser):
    request = RequestFactory(SCRIPT_NAME="/app").get("/readyz")
    assert (request.path, request.path_info) == ("/app/readyz", "/readyz")
    logging.getLogger("django.request").error("Service Unavailable", extra={"request": request})
    assert subjects() == []


def test_what_is_logged_while_a_probe_looks_at_the_database_is_not_mailed(browser, monkeypatch):
    def look():
        logging.getLogger("django.db.backends").error("It broke")
        return readiness.Readiness([], [])

    told = []
    monkeypatch.setattr("flasky.faults.handler.tell", lambda *arguments: told.append(arguments))
    monkeypatch.setattr(readiness, "_look", deadline.SingleFlight(look))
    assert browser.get("/readyz").status_code == 200
    assert told == []


@pytest.mark.parametrize("url", ["/", "/admin/readyz", "/readyzzz"])
def test_what_is_no_probe_is_mailed(browser, url):
    request = RequestFactory().get(url)
    logging.getLogger("django.request").error("Service Unavailable", extra={"request": request})
    assert len(subjects()) == 1


def test_fifty_probes_of_a_site_with_late_mail_store_no_mail(tmp_path):
    with Site(tmp_path, MAIL_DISPATCHER="none", MAIL_READY_AGE="1") as site:
        visitor = Visitor(site)
        visitor.submit("Ann")
        site.shell("OutboxMessage.objects.update(next_attempt_at='2026-01-01T00:00Z')")
        assert {visitor.get("/readyz").status_code for _ in range(50)} == {503}
        assert site.count("OutboxMessage") == 1


# One mail for each fault and hour


@with_broken_pages
def test_a_page_that_fails_twenty_times_is_mailed_once_and_then_with_its_count(browser):
    for number in range(20):
        assert browser.get(f"/broken/{number}").status_code == 500
    assert subjects() == ["[Flasky] ERROR (EXTERNAL IP): Internal Server Error: /broken/0"]
    an_hour_passes()
    browser.get("/broken-elsewhere")  # the next error of any kind tells it
    [_, count, other] = OutboxMessage.objects.order_by("pk")
    assert count.subject.startswith(
        "[Flasky] ERROR: 19 more times: ZeroDivisionError in broken, tests/faults/test_faults.py line"
    )
    assert "This has happened 19 more times since the mail of" in text(count)
    assert other.subject.endswith("/broken-elsewhere")


@with_broken_pages
@pytest.mark.django_db
def test_what_happens_once_is_mailed_once_and_forgotten(browser):
    browser.get("/broken-too")
    an_hour_passes()
    telling.tell_counts()
    assert (len(subjects()), Fault.objects.count()) == (1, 0)
    browser.get("/broken-too")
    assert len(subjects()) == 2


@with_broken_pages
def test_what_goes_on_is_told_once_an_hour_and_no_count_is_lost(browser):
    for _ in range(3):
        for _ in range(5):
            browser.get("/broken-too")
        an_hour_passes()
    telling.tell_counts()
    counts = [subject.split(": ")[1] for subject in subjects()]
    assert counts == ["Internal Server Error", "4 more times", "5 more times", "5 more times"]


@with_broken_pages
def test_a_sweep_of_a_process_that_delivers_tells_the_count_of_a_burst_that_has_ended(browser, monkeypatch):
    monkeypatch.setattr(telling, "_look_at", 0)
    browser.get("/broken-too")
    browser.get("/broken-too")
    swept.send_robust(sender=None)
    assert len(subjects()) == 1
    an_hour_passes()
    swept.send_robust(sender=None)  # it has looked a moment ago
    assert len(subjects()) == 1
    monkeypatch.setattr(telling, "_look_at", 0)
    swept.send_robust(sender=None)
    assert "1 more time: " in subjects()[1]


@with_broken_pages
def test_kind_place_and_route_make_a_fault_and_not_what_a_visitor_can_vary(browser):
    for url in ("/broken/1", "/broken/2?x=3", "/broken-too", "/broken-elsewhere", "/many/1", "/many/2"):
        browser.get(url)
    for url in ("/unavailable/1", "/unavailable/2", "/unavailable-too"):
        browser.get(url)
    ends = [subject.rpartition("/")[2] for subject in subjects()]
    assert subjects()[0].endswith("/broken/1")
    assert ends == ["1", "broken-too", "broken-elsewhere", "1", "2", "1", "unavailable-too"]


@with_broken_pages
def test_different_errors_are_mailed_up_to_a_limit_then_one_says_that_there_are_more(browser, settings):
    settings.ERROR_MAIL_LIMIT = 3
    for number in range(10):
        browser.get(f"/many/{number}")
    assert len(subjects()) == 4
    assert subjects()[3] == "[Flasky] ERROR: more than 3 different errors"
    assert Fault.objects.count() == 4
    browser.get("/many/0")  # it has its own count
    an_hour_passes()
    telling.tell_counts()
    [count, others] = [subject.partition("ERROR: ")[2] for subject in subjects()[4:]]
    assert count.startswith(
        "1 more time: tests.faults.test_faults.Error0 in broken_in_many_ways, tests/faults/test_faults.py line"
    )
    assert others == "6 more times: errors of other kinds"


def test_lines_that_differ_in_numbers_are_one_fault(browser):
    for number in range(3):
        logging.getLogger("django.tasks").error(f"Task {number} failed")
        logging.getLogger("django.tasks").error("Job %s failed", f"of {number}")
    assert len(subjects()) == 2


def test_an_error_from_a_library_has_its_place_there():
    try:
        "x".encode("no-such-codec")
        raise AssertionError
    except LookupError as error:
        record = logging.makeLogRecord({"exc_info": (LookupError, error, error.__traceback__)})
    assert identify(record).title.startswith("LookupError in test_an_error_from_a_library_has_its_place_there")


def test_an_error_without_a_traceback_is_a_fault_too():
    record = logging.makeLogRecord({"exc_info": (None, None, None), "msg": "Lost amqp://a:hunter2@mq.test"})
    assert identify(record).title.endswith(": Lost amqp://…@mq.test")
    error = ValueError()
    assert identify(logging.makeLogRecord({"exc_info": (ValueError, error, None)})).title == "ValueError"


@pytest.mark.django_db(transaction=True)
def test_of_many_processes_that_see_it_at_once_one_mails_it_and_all_are_counted():
    start = threading.Barrier(8)

    def fail():
        start.wait(60)
        for _ in range(5):
            logging.getLogger("django.tasks").error("It broke")
        connections.close_all()

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(subjects()) == 1
    assert Fault.objects.get().untold == 39


@pytest.mark.django_db(transaction=True)
def test_of_many_processes_that_end_the_hour_at_once_one_tells_the_count():
    for _ in range(2):
        logging.getLogger("django.tasks").error("It broke")
    an_hour_passes()
    start = threading.Barrier(8)

    def look():
        start.wait(60)
        with transaction.atomic():
            telling.tell_counts()
        connections.close_all()

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(subjects()) == 2


# When it cannot be told


def test_an_error_in_a_broken_transaction_stops_nothing_and_is_in_the_log(browser, caplog):
    with transaction.atomic():
        transaction.set_rollback(True)
        logging.getLogger("django.tasks").error("It broke")
    assert "No mail tells of this error" in caplog.text
    logging.getLogger("django.tasks").error("It broke")
    assert len(subjects()) == 1


def test_a_mail_that_cannot_be_stored_is_not_taken_for_told(browser, monkeypatch):
    def fail(*arguments):
        raise DatabaseError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("flasky.faults.handler.mail_admins", fail)
        logging.getLogger("django.tasks").error("It broke")
    assert not Fault.objects.exists()
    logging.getLogger("django.tasks").error("It broke")
    assert len(subjects()) == 1


def test_an_error_while_a_mail_is_stored_is_not_mailed_in_its_turn(browser, monkeypatch):
    calls = []

    def store(*arguments):
        calls.append(arguments)
        logging.getLogger("django.db").error("A callback failed")

    monkeypatch.setattr("flasky.faults.handler.mail_admins", store)
    logging.getLogger("django.tasks").error("It broke")
    assert len(calls) == 1


def test_without_administrators_nothing_is_asked_and_nothing_kept(settings, django_assert_num_queries, db):
    settings.ADMINS = []
    with django_assert_num_queries(0):
        logging.getLogger("django.tasks").error("It broke")
        telling.tell_counts_now_and_then()


def test_a_long_address_makes_no_long_subject(browser):
    request = RequestFactory().get("/" + "x" * 5000)
    logging.getLogger("django.request").error("Failed: %s", request.path, extra={"request": request})
    assert len(subjects()[0]) < 220


@pytest.mark.django_db(transaction=True)
def test_an_error_does_not_wait_for_the_row_of_a_host_that_was_cut_off(monkeypatch, caplog):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite locks no rows, and its timeout is in the settings")
    monkeypatch.setattr(telling, "LOCK_TIMEOUT", 1)  # s
    logging.getLogger("django.tasks").error("It broke")
    with transaction.atomic():
        Fault.objects.update(untold=5)
        fail = threading.Thread(target=log_and_hang_up)
        fail.start()
        fail.join(60)
        assert not fail.is_alive(), "it waits for as long as the lock lasts"
    assert "No mail tells of this error" in caplog.text


def log_and_hang_up():
    logging.getLogger("django.tasks").error("It broke")
    connections.close_all()


def test_while_one_error_waits_for_the_database_neither_another_nor_a_probe_waits_for_it(monkeypatch):
    """A row that a host was cut off with stays locked for long; the log's own lock must not be held meanwhile."""
    waits, goes_on = threading.Event(), threading.Event()

    def wait(identity, mail):
        waits.set()
        assert goes_on.wait(60)

    monkeypatch.setattr(handler_module, "tell", wait)
    handler = handler_module.ErrorMailHandler()
    record = logging.makeLogRecord({"name": "django", "msg": "down", "levelno": logging.ERROR})
    first = threading.Thread(target=handler.handle, args=(record,))
    first.start()
    assert waits.wait(60)
    second = threading.Thread(target=handler.handle, args=(record,))
    waits.clear()
    second.start()
    assert waits.wait(60), "the second error waits for the first"
    goes_on.set()
    first.join()
    second.join()


@pytest.mark.parametrize("character", ["\0", "\r", "\ud800"])
def test_an_error_is_mailed_whatever_characters_it_has(db, character, caplog):
    record = {"name": "django.tasks", "levelname": "ERROR", "levelno": logging.ERROR}
    handler_module.ErrorMailHandler().handle(logging.makeLogRecord(record | {"msg": f"It broke: {character}!"}))
    said = f"It broke: {ascii(character)[1:-1]}!"
    assert said in OutboxMessage.objects.get().subject
    assert said in text(OutboxMessage.objects.get())
    assert "No mail tells of this error" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_administrators_are_told_once_by_mail_that_a_mail_budget_is_used_up(settings):
    settings.MAIL_BUDGET_TOTAL = (1,)
    for _process in range(2):
        budget.forget()
        send_mail("Hi", "Hello", "ann@example.com", ["bob@example.com"])
        send_mail("Hi", "Hello", "ann@example.com", ["bob@example.com"])
    budget.forget()
    [told] = OutboxMessage.objects.filter(kind="error")
    assert (told.recipients, told.state) == (["admin@example.com"], State.QUEUED)
    assert "The mail budget is used up: more than 1 in 60 s (MAIL_BUDGET_TOTAL)" in text(told)
