"""Every page and probe, asked in this process for whatever can be asked: none fails, and nobody else gets mail."""

import pytest
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from accounts.visitor import COOKIE, SALT
from flasky.mail.models import OutboxMessage
from tests.fuzz.amount import TIMEOUT, trying
from tests.fuzz.requests import OTHERS, TYPES, forms, multiparts
from tests.fuzz.values import FIELDS, pairs, quoted, targets, texts

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(TIMEOUT)]

# The test's client does not make its requests as flasky.wsgi does; test_servers.py has the others.
READABLE = [kind for kind in TYPES[0] + TYPES[1] if "*" not in kind and "\0" not in kind]
ADMIN = "admin@example.com"
LISTS = [
    "/admin/flasky_mail/outboxmessage/",
    "/mailbox/",
    "/admin/flasky_mail/outboxmessage/charts/",
]
PROBES = ["/healthz", "/readyz", "/metrics"]


@pytest.fixture(autouse=True)
def with_every_page(settings):
    settings.DEBUG = True  # for the mailbox
    settings.MAIL_METRICS_TOKEN = "a-token-of-sixteen"
    settings.NAMES_PER_VISITOR = settings.NAMES_PER_ADDRESS = settings.NAMES_IN_TOTAL = 0
    settings.LOGINS_PER_NAME = settings.LOGINS_PER_ADDRESS = 0
    email = EmailMultiAlternatives("Hi", "Hello", "ann@example.com", [ADMIN])
    email.attach_alternative("<p>Hello", "text/html")
    email.attach("a.txt", "a")
    email.send()


def stranger():
    return Client()


def boss():
    """Log in the owner of the site, whatever was done to them before."""
    user, _ = User.objects.update_or_create(
        username="Boss", defaults={"is_staff": True, "is_superuser": True, "is_active": True, "email": ADMIN}
    )
    client = Client()
    client.force_login(user)
    return client


def check(response, status=500):
    assert response.status_code < status, (response.status_code, response.content[:300])
    assert not [name for name in response.headers if "injected" in name.lower()]
    response.getvalue()


def check_the_outbox():
    assert {address for message in OutboxMessage.objects.all() for address in message.recipients} == {ADMIN}


def query(fields):
    return "&".join(f"{name}={quoted(value)}" for name, value in fields)


@trying(100)
@given(name=texts(), fields=pairs())
def test_the_form_takes_any_text(name, fields):
    check(stranger().generic("POST", "/", query([*fields, ("name", name)]), TYPES[0][0]))
    check_the_outbox()


@trying(100)
@given(body=st.one_of(st.binary(max_size=200), forms(), multiparts()), content_type=st.sampled_from(READABLE))
def test_the_form_takes_any_bytes(body, content_type):
    check(stranger().generic("POST", "/", body, content_type))
    check_the_outbox()


@trying(60)
@given(path=st.sampled_from(LISTS), fields=st.lists(st.tuples(st.sampled_from(FIELDS), texts()), max_size=6))
def test_a_list_takes_any_query(path, fields):
    check(boss().get(f"{path}?{query(fields)}"))


@trying(150)
@given(target=targets().filter(lambda target: not target.startswith(tuple(PROBES))), method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT"]), body=forms(), headers=st.lists(st.sampled_from(OTHERS), max_size=2), who=st.sampled_from([stranger, boss]))  # fmt: skip
def test_a_page_takes_any_address_method_field_and_header(target, method, body, headers, who):
    check(who().generic(method, target, body, TYPES[0][0], headers=dict(headers)))
    check_the_outbox()


@pytest.mark.django_db(transaction=True)  # they look from threads of their own
@trying(30)
@given(
    path=st.sampled_from(PROBES),
    fields=pairs(),
    headers=st.dictionaries(st.sampled_from([name for name, _ in OTHERS]), texts()),
)
def test_a_probe_takes_any_query_and_header(path, fields, headers):
    check(stranger().get(f"{path}?{query(fields)}", headers=headers))


@trying(60)
@given(cookies=st.dictionaries(st.sampled_from([COOKIE, "sessionid", "csrftoken", "messages", "x"]), texts()))
def test_a_cookie_may_be_anything(cookies):
    sent = "; ".join(f"{name}={value}" for name, value in cookies.items())
    as_servers_read_it = sent.encode("utf-8", "surrogatepass").decode("latin-1")
    check(stranger().get("/", headers={"Cookie": as_servers_read_it}), status=400)


@trying(60)
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | texts().filter(str.isprintable), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["name", "known", "cause", "x"]), inner)))  # fmt: skip
def test_a_cookie_may_be_of_another_version(value):
    client = stranger()
    client.cookies[COOKIE] = signing.dumps(value, salt=SALT)
    check(client.get("/"), status=400)
    check(client.get("/notification/"), status=400)
