"""flasky.site.logs: no mail address and no password in the log, and what else a line has."""

import json
import logging

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.log import log_response
from hypothesis import given, settings
from hypothesis import strategies as st

from flasky.site.logs import JsonFormatter, MaskingFormatter, RefusalsLeftOut, mask, mask_addresses
from flasky.site.request_id import with_request_id


def logged(message, *args, error=None):
    """Return the line that the log would get."""
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("flasky", logging.INFO, __file__, 1, message, args, exc_info)
    return MaskingFormatter("{levelname} {name}: {message}", style="{").format(record)


def test_an_address_in_the_message_is_shortened():
    assert logged("Sent to ann@example.com.") == "INFO flasky: Sent to a…@example.com."


def test_an_address_among_the_arguments_is_shortened():
    assert logged("Sent to %s in %d s", "ann@example.com", 2) == "INFO flasky: Sent to a…@example.com in 2 s"
    assert logged("Sent to %s", ["ann@example.com", "bob@example.org"]).endswith("['…@example.com', '…@example.org']")


def raised(message, cause=None):
    """Return an error that has a traceback."""
    with pytest.raises(OSError) as caught:  # noqa: PT011
        raise OSError(message) from cause
    return caught.value


def test_an_address_in_a_traceback_is_shortened():
    line = logged("Refused", error=raised("550 <ann@example.com>: no such user"))
    assert "Traceback" in line
    assert "550 <a…@example.com>: no such user" in line
    assert "ann@" not in line


def test_an_address_in_the_cause_of_an_error_is_shortened():
    line = logged("Refused", error=raised("delivery failed", raised("ann@example.com")))
    assert "delivery failed" in line
    assert "a…@example.com" in line
    assert "ann@" not in line


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Ann <ann@example.com>", "Ann <a…@example.com>"),
        ('"Ann" <ann@example.com>', '"Ann" <a…@example.com>'),
        ("ann@example.com,bob@example.org", "a…@example.com,b…@example.org"),
        ("mailto:ann@example.com", "mailto:a…@example.com"),
        ("ann.lee+news@mail.example.co.uk", "a…@mail.example.co.uk"),
        ("änne@exämple.de", "ä…@exämple.de"),
        ("{'ann@example.com': (550, b'no')}", "{…@example.com': (550, b'no')}"),
        ("From: ann@example.com\nTo: bob@example.org", "From: a…@example.com\nTo: b…@example.org"),
        ("a@example.com", "a…@example.com"),
        ("root@localhost", "r…@localhost"),
    ],
)
def test_an_address_is_found_in_what_usually_surrounds_it(text, masked):
    assert mask_addresses(text) == masked


@pytest.mark.parametrize("text", ["", "no address here", "@", "a @ b", "@decorator", "ann at example.com", "100 %"])
def test_text_without_an_address_stays_as_it_is(text):
    assert mask_addresses(text) == text


def test_masking_twice_changes_no_more():
    assert mask_addresses(mask_addresses("ann@example.com")) == "a…@example.com"


def test_every_line_of_the_project_goes_through_the_mask():
    stderr = logging.getLogger().handlers
    assert any(isinstance(handler.formatter, MaskingFormatter) for handler in stderr)


@given(st.text(max_size=30), st.emails(), st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_no_full_address_survives(before, address, after):
    assert address not in logged("%s %s %s", before, address, after)
    assert address not in logged(f"to=<{address}>")


@pytest.mark.parametrize("address", ["ann'@example.com", '"ann lee"@example.com', "ann@[192.0.2.1]"])
def test_no_rare_address_survives(address):
    assert address not in logged("Sent to %s", address)


def test_masking_a_long_line_is_quick():
    """A regular expression that backtracks would need minutes for this."""
    for piece in ("a", "a@", "@", "a://", "a://b:c", "token=", "token='", "Bearer ", "Authorization: a ", "…"):
        mask(piece * (100_000 // len(piece)))
        mask(piece * (100_000 // len(piece)) + "@")


# Credentials


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("amqp://flasky:hunter2@mq.test:5672//", "amqp://…@mq.test:5672//"),
        ("postgres://flasky:hunter2@db.test:5432/flasky", "postgres://…@db.test:5432/flasky"),
        ("redis://:hunter2@127.0.0.1:6379/0", "redis://…@127.0.0.1:6379/0"),
        ("https://hunter2@api.test/v1", "https://…@api.test/v1"),
        ("'amqp://flasky:hunter2@mq.test'", "'amqp://…@mq.test'"),
        ("amqp://flasky:hunt/er@2@mq.test/", "amqp://…@mq.test/"),
        ("amqp://flasky:2/hunter@mq.test", "amqp://…@mq.test"),
        ("sentinel://:hunter2@a.test:1;sentinel://:hunter2@b.test:2", "sentinel://…@b.test:2"),
        ("Authorization: Bearer hunter2hunter2", "Authorization: Bearer …"),
        ("{'Authorization': 'Basic aHVudGVyMg=='}", "{'Authorization': 'Basic …'}"),
        ("sent Bearer hunter2hunter2 to it", "sent Bearer … to it"),
        ("host=db.test user=flasky password=hunter2 port=1", "host=db.test user=flasky password=… port=1"),
        ("password='hunter2 hunter2' port=1", "password=… port=1"),
        ("GET /v1?api_key=hunter2&page=2", "GET /v1?api_key=…&page=2"),
        ('{"aws_secret_access_key": "hunter2", "region": "x"}', '{"aws_secret_access_key": …, "region": "x"}'),
        ("{'MAILGUN_API_KEY': 'hunter2'}", "{'MAILGUN_API_KEY': …}"),
    ],
)
def test_no_password_is_in_the_log(text, masked):
    assert mask(text) == masked
    assert mask(masked) == masked
    assert "hunt" not in logged("The server said: %s", text)
    assert "hunt" not in logged("Failed", error=raised(text))


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8000/admin/",
        "redis://127.0.0.1:6379/0 is away",
        "Look at MAIL_USERNAME and MAIL_PASSWORD; many providers want a password made for applications.",
        "Send MAIL_METRICS_TOKEN as bearer token.",
        "MAIL_PASSWORD would travel unencrypted. Set it: see the documentation.",
    ],
)
def test_what_is_no_password_stays_as_it_is(text):
    assert mask(text) == text


def test_a_port_that_could_begin_a_password_is_taken_for_one():
    assert mask("http://x.test:8000/?q=ann@example.com") == "http://…@example.com"
    assert mask("http://x.test/?q=ann@example.com") == "http:/…@example.com"


# The request that a line is about


def line_of(record):
    return MaskingFormatter("{message}{of_request}", style="{").format(record)


def record_of(message="Done", *args, level=logging.INFO, exc_info=None, **extra):
    return logging.getLogger("flasky").makeRecord("flasky", level, __file__, 1, message, args, exc_info, extra=extra)


@pytest.fixture
def within():
    """Return a function that calls another one within a request that has this id."""

    def call(given, function):
        request = RequestFactory().get("/", headers={"X-Request-ID": given})
        found = []
        with_request_id(lambda request: found.append(function(request)) or HttpResponse())(request)
        return found[0]

    return call


def test_a_line_within_a_request_has_its_id_and_another_has_none(within):
    assert within("7f3c2a", lambda request: line_of(record_of())) == "Done [request 7f3c2a]"
    assert line_of(record_of()) == "Done"


def test_a_line_about_a_mail_has_the_id_of_the_request_that_stored_it(within):
    """A server that delivers in the request's own thread delivers others' mails too."""
    assert within("7f3c2a", lambda request: line_of(record_of(fields={"request_id": "old"}))) == "Done [request old]"
    assert within("7f3c2a", lambda request: line_of(record_of(fields={"request_id": ""}))) == "Done"


def test_a_line_that_django_writes_after_the_middleware_has_the_id_too(within):
    record = within("7f3c2a", lambda request: record_of(request=request))
    assert line_of(record) == "Done [request 7f3c2a]"


def test_the_id_stands_before_a_traceback(within):
    error = raised("no")
    record = record_of(exc_info=(OSError, error, error.__traceback__))
    assert within("7f3c2a", lambda request: line_of(record)).startswith("Done [request 7f3c2a]\nTraceback")


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "address"), [("get", "/no-such-page"), ("put", "/notification/")])
def test_what_django_says_about_a_request_has_its_id(client, method, address, stderr):
    getattr(client, method)(address, headers={"X-Request-ID": "7f3c2a"})
    [line] = stderr()
    assert line.endswith("[request 7f3c2a]")


@pytest.fixture
def stderr():
    """Return what the log gets by the project's own formatter."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    root = logging.getLogger()
    formatter = root.handlers[0].formatter
    root.addHandler(handler)
    yield lambda: [formatter.format(record) for record in records]
    root.removeHandler(handler)


# What is the client's fault


@pytest.mark.django_db
def test_a_body_that_cannot_be_read_is_one_line(client, caplog):
    [handler] = logging.getLogger().handlers[:1]
    client.post("/", b"x", content_type="multipart/form-data; boundary=")
    [record] = [record for record in caplog.records if handler.filter(record)]
    assert handler.format(record).startswith("WARNING django.request: Bad request (Unable to parse request body): / ")
    assert "\n" not in handler.format(record)


@pytest.mark.parametrize("status", [None, 500])
def test_what_is_ours_keeps_its_traceback(status):
    record = record_of(exc_info=(OSError, OSError("no"), None), **({"status_code": status} if status else {}))
    logging.getLogger().handlers[0].filter(record)
    assert "OSError: no" in line_of(record)


# JSON


def entry(*arguments, **options):
    line = JsonFormatter().format(record_of(*arguments, **options))
    assert "\n" not in line
    return json.loads(line)


def test_json_has_the_time_in_utc_the_level_the_logger_and_the_message():
    record = record_of("Sent in %d s", 2, level=logging.WARNING)
    record.created = 1_795_000_000.25
    assert json.loads(JsonFormatter().format(record)) == {
        "time": "2026-11-18T11:06:40.250+00:00",
        "level": "WARNING",
        "logger": "flasky",
        "message": "Sent in 2 s",
    }


def test_json_has_the_fields_with_their_types():
    fields = {"message_number": 12, "seconds": 0.5, "outcome": "accepted", "secured": True}
    logged = entry(fields=fields)
    assert {name: logged[name] for name in fields} == fields


def test_a_field_takes_no_others_place():
    assert entry(fields={"message": "x", "level": "x", "logger": "x", "time": "x"})["message"] == "Done"


def test_what_is_no_json_is_written_as_text():
    assert entry(fields={"found": {"a"}, "nothing": None}) | {"time": ""} == entry() | {
        "time": "",
        "found": "{'a'}",
        "nothing": None,
    }


def test_json_has_the_id_of_the_request(within):
    assert within("7f3c2a", lambda request: entry())["request_id"] == "7f3c2a"
    assert "request_id" not in entry()


def test_a_traceback_is_one_field_of_one_line():
    error = raised("550 <ann@example.com>: no such user")
    logged = entry("Refused", exc_info=(OSError, error, error.__traceback__))
    assert logged["message"] == "Refused"
    assert logged["exception"].startswith("Traceback")
    assert "550 <a…@example.com>" in logged["exception"]


@given(st.text(max_size=30), st.emails(), st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_no_full_address_survives_in_json(before, address, after):
    line = JsonFormatter().format(record_of("%s %s %s", before, address, after, fields={"to": address}))
    logged = json.loads(line)
    assert address not in logged["message"]
    assert address not in logged["to"]
    assert line.isascii()


@pytest.mark.parametrize("text", ["a\nERROR flasky: forged", '"}{"level": "ERROR"', "\u2028", "\ud800", "\x1b[31m"])
def test_no_text_becomes_a_line_or_an_entry_of_its_own(text):
    assert entry("%s", text, fields={"reply": text}) | {"time": ""} == {
        "time": "",
        "level": "INFO",
        "logger": "flasky",
        "message": text,
        "reply": text,
    }


def test_of_refusals_the_log_has_only_what_the_refusing_says(rf, caplog):
    caplog.handler.addFilter(RefusalsLeftOut())
    for status in (429, 404):
        log_response("%s", status, response=HttpResponse(status=status), request=rf.get("/"))
    assert [record.getMessage() for record in caplog.records] == ["404"]


def test_djangos_line_about_a_request_goes_through_that_filter():
    assert any(isinstance(found, RefusalsLeftOut) for found in logging.getLogger("django.request").filters)
