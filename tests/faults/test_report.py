"""flasky.faults.report and secrets: a failure's report has no secret, and asks nobody for what it tells."""

import json
import logging
import re
from email import message_from_bytes, policy

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import include, path
from django.utils.functional import SimpleLazyObject

from flasky import urls
from flasky.faults.report import Report, double, outline, text_of
from flasky.faults.secrets import hide
from flasky.mail.models import OutboxMessage

pytestmark = pytest.mark.urls(__name__)

PASSWORD = "correct-horse/battery"
SECRET_SETTINGS = {
    "CELERY_BROKER_URL": f"amqp://flasky:{PASSWORD}@mq.test:5672//",
    "SECRET_KEY_FALLBACKS": ["an-older-key-of-ours"],
    "MAIL_PASSWORD": "relay-password",
    "MAIL_METRICS_TOKEN": "token-of-the-metrics",
    "ANYMAIL": {
        "AMAZON_SES_CLIENT_PARAMS": json.dumps({"aws_secret_access_key": "json-valued-key", "region_name": "x"}),
        "MAILGUN_API_KEY": "key-of-mailgun",
        "WEBHOOK_SECRET": "name-of-hook:secret-of-hook",
    },
    "CACHES": {"default": {"BACKEND": "x", "LOCATION": "redis://:cache-password@cache.test/1"}},
    "LOGGING": {"handlers": {"chat": {"token": "token-of-the-chat", "url": "https://chat.test/hook/ABC/DEF"}}},
    "OF_A_LATER_VERSION": "https://flasky:later-password@later.test/",
}
SECRETS = [
    PASSWORD,
    "an-older-key-of-ours",
    "relay-password",
    "token-of-the-metrics",
    "json-valued-key",
    "key-of-mailgun",
    "secret-of-hook",
    "cache-password",
    "token-of-the-chat",
    "/hook/ABC/DEF",
    "later-password",
    "database-password",
    "for the tests only, and as long as a key that keeps people out",  # SECRET_KEY
]
SENT = ["typed-password", "cookie-value", "header-value", "query-value", "json-body-value", "environment-value"]


def failing(request):
    settings = dict(SECRET_SETTINGS)
    broker, key = settings["CELERY_BROKER_URL"], settings["ANYMAIL"]["MAILGUN_API_KEY"]
    password = PASSWORD if "password" in request.POST else ""
    try:
        raise ConnectionError(f"Cannot log in to {broker}; Authorization: Bearer {key}")
    except ConnectionError as error:
        error.__notes__ = [f"password={password}"]
        raise ValueError(f"Refused: {' '.join(SECRETS)}") from error


def unavailable(request):
    return HttpResponse("later", status=503)


urlpatterns = [path("failing", failing), path("unavailable", unavailable), path("", include(urls.urlpatterns))]


@pytest.fixture(autouse=True)
def secrets(settings, monkeypatch):
    for name, value in SECRET_SETTINGS.items():
        if name not in ("CACHES", "LOGGING"):  # Django warns whoever overrides the one, and would obey the other
            setattr(settings, name, value)
    monkeypatch.setitem(settings.LOGGING, "elsewhere", SECRET_SETTINGS["LOGGING"])
    monkeypatch.setitem(settings.CACHES, "elsewhere", SECRET_SETTINGS["CACHES"]["default"])
    elsewhere = settings.DATABASES["default"] | {"PASSWORD": "database-password"}
    monkeypatch.setitem(settings.DATABASES, "elsewhere", elsewhere)


def post(url, **headers):
    """Post a form with a password, a cookie, credentials and a query, to a server that has its environment in META."""
    client = Client(raise_request_exception=False, headers={"authorization": "Basic header-value"} | headers)
    client.cookies["name"] = "cookie-value"
    environment = {"SOME_VARIABLE": "environment-value"}
    return client.post(f"{url}?q=query-value", {"password": "typed-password"}, **environment)


def stored():
    """Return the mail's subject, its bytes as they are stored, and its text as it is read."""
    message = OutboxMessage.objects.get()
    content = bytes(message.content)
    text = message_from_bytes(content, policy=policy.default).get_body(("plain",)).get_content()
    return message.subject, content.decode("ascii", "replace"), text.replace("\r\n", "\n")


def assert_nothing_secret(*texts):
    for text in texts:
        unfolded = re.sub(r"=\r?\n", "", text)  # of quoted-printable
        for secret in (*SECRETS, *SENT):
            assert secret not in text
            assert secret not in unfolded


@pytest.mark.django_db
def test_no_password_key_or_token_is_in_an_error_mail():
    assert post("/failing").status_code == 500
    subject, raw, text = stored()
    assert_nothing_secret(subject, raw, text)


@pytest.mark.django_db
def test_an_error_mail_says_where_it_failed_and_what_was_asked_for():
    post("/failing")
    _, _, text = stored()
    assert "in failing\n    raise ValueError(" in text
    assert "ConnectionError" in text
    assert "Cannot log in to amqp://…@mq.test" in text or "Cannot log in to …" in text
    assert "Request URL: http://testserver/failing?…" in text
    assert "password = '…'" in text
    assert "Raised during: tests.faults.test_report.failing" in text
    assert "REQUEST_METHOD = 'POST'" in text
    assert "ROOT_URLCONF = 'tests.faults.test_report'" in text


@pytest.mark.django_db
@pytest.mark.parametrize("logger", ["django.request", "django"])
def test_no_secret_comes_in_by_the_text_of_the_log(logger):
    request = RequestFactory().get("/", headers={"authorization": "Basic header-value"})
    text = f"Lost {SECRET_SETTINGS['CELERY_BROKER_URL']} with %s"
    logging.getLogger(logger).error(text, "key-of-mailgun", extra={"request": request})
    subject, raw, text = stored()
    assert "Lost" in subject
    assert_nothing_secret(subject, raw, text)


@pytest.mark.django_db
def test_a_page_with_details_has_no_secret_either(settings):
    settings.DEBUG = True
    page = post("/failing").content.decode()
    assert "Exception Value" in page
    assert "ROOT_URLCONF" in page
    assert "CELERY_BROKER_URL" not in page.partition("settings-info")[2]
    assert_nothing_secret(page)
    plain = post("/failing", accept="text/plain").content.decode()
    assert_nothing_secret(plain)
    assert "Traceback" in plain


@pytest.mark.parametrize("settings_in", [{"DEBUG": True}, {"DEBUG": False}])
def test_every_setting_that_is_not_on_the_list_is_left_out(settings, settings_in):
    settings.DEBUG = settings_in["DEBUG"]
    text = Report(None, ValueError, ValueError("x"), None, is_email=True).get_traceback_text()
    table = text.partition("Using settings module")[2]
    named = set(re.findall(r"^([A-Z_]+) =", table, re.M))
    assert {"DEBUG", "INSTALLED_APPS", "ROOT_URLCONF"} <= named
    assert not named & {*SECRET_SETTINGS, "DATABASES", "SECRET_KEY", "MAIL_SERVER", "EMAIL_HOST", "FLASKY_ADMIN"}


# A report asks nobody


class Asking:
    """Something whose every text has to be asked for."""

    asked = 0

    def __repr__(self):
        type(self).asked += 1
        raise AssertionError("the report asked for it")

    __str__ = __bool__ = __len__ = __iter__ = __eq__ = __hash__ = __repr__


def failing_with(value, **request):
    local, lazy, query = value, SimpleLazyObject(lambda: repr(value)), get_user_model().objects.all()
    raise LookupError(local, "no such thing", lazy, [query])


@pytest.mark.parametrize("debug", [True, False])
def test_a_report_asks_neither_the_database_nor_an_object_for_its_text(settings, debug):
    """Without the mark django_db every query fails."""
    settings.DEBUG = debug
    request = RequestFactory().get("/")
    request.user = SimpleLazyObject(lambda: get_user_model().objects.get())
    with pytest.raises(LookupError) as caught:
        failing_with(Asking())
    Asking.asked = 0
    report = Report(request, LookupError, caught.value, caught.tb)
    text, page = report.get_traceback_text(), report.get_traceback_html()
    assert Asking.asked == 0
    for written in (text, page.replace("&lt;", "<").replace("&gt;", ">")):
        assert "<Asking>, no such thing, <SimpleLazyObject>, <list>" in written
    assert ("<QuerySet>" in page.replace("&lt;", "<").replace("&gt;", ">")) == debug


def test_a_report_reads_no_body_that_nobody_has_read():
    def fail():
        raise AssertionError("the body was read")

    request = RequestFactory().post("/", {"name": "Ann"})
    request._load_post_and_files = fail
    assert "No POST data" in Report(request, ValueError, ValueError("x"), None).get_traceback_text()


@pytest.mark.django_db
def test_a_failing_page_of_somebody_logged_in_names_them_by_number_and_asks_no_more(django_user_model):
    user = django_user_model.objects.create(username="Ann Secret")
    request = RequestFactory().get("/")
    request.user = request._cached_user = user
    text = Report(request, ValueError, ValueError("x"), None).get_traceback_text()
    assert f"USER: number {user.pk}" in text
    assert "Ann Secret" not in text


def test_a_body_that_is_no_form_does_not_come_in_as_the_name_of_a_field():
    request = RequestFactory().post("/", '{"password": "x"}', content_type="application/x-www-form-urlencoded")
    assert request.POST
    assert '"x"' not in Report(request, ValueError, ValueError("x"), None).get_traceback_text()


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("number", 7, "7"),
        pytest.param("number", 10**5000, "<int>", id="a number of 5000 digits"),
        ("flag", True, "True"),
        ("nothing", None, "None"),
        ("ratio", 0.5, "0.5"),
        ("name", "Ann", "'Ann'"),
        ("name", "a" * 300, f"'{'a' * 200}…'"),
        ("password", "hunter2", "<str, 7 long>"),
        ("broker", SECRET_SETTINGS["CELERY_BROKER_URL"], "'…'"),
        ("elsewhere", "redis://:hunter2@x.test", "'redis://…@x.test'"),
        ("found", [1, 2], "<list, 2 long>"),
        ("found", {}, "<dict, 0 long>"),
        ("connection", connection, "<ConnectionProxy>"),
    ],
)
def test_a_variable_is_shown_only_if_nobody_has_to_be_asked(name, value, shown):
    assert repr(outline(name, value)) == shown


class Silent(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(), ""),
        (ValueError("x"), "x"),
        (KeyError("x"), "'x'"),
        (OSError(2, "No such file", "x"), "[Errno 2] No such file: 'x'"),
        (ValueError({"x": [1]}), "{'x': [1]}"),
        (ValueError("x", object), "x, <type>"),
        (Silent("x"), "<Silent without a text>"),
    ],
)
def test_an_error_is_quoted(error, text):
    assert text_of(error) == text


def test_an_error_that_led_to_itself_is_reported_all_the_same():
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    assert str(double(first).__context__) == "second"


@pytest.mark.parametrize("text", ["", "Nothing secret here", "File /x/django/db/backends/base.py, line 12, in execute"])
def test_what_is_no_secret_stays(text):
    assert hide(text) == text
