"""Hundreds of hostile names through every door: who gets the mail, what its head has, what pages and the log show."""

import logging
import re
import unicodedata
from contextlib import suppress
from email.utils import quote

import pytest
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.utils.html import urlize

from accounts.names import BIDI_CONTROLS
from flasky.mail.delivery import deliver_due
from flasky.mail.models import OutboxMessage
from flasky.mail.wire.mime import Parts
from tests.fuzz.values import quoted
from tests.hostile_names import ALL, HOSTILE_NAMES

pytestmark = pytest.mark.django_db

URLENCODED = "application/x-www-form-urlencoded"
ADMIN = "admin@example.com"
OUTBOX = "/admin/flasky_mail/outboxmessage/"
HEAD = ["auto-submitted", "content-type", "date", "from", "message-id", "mime-version", "subject", "to"]
LINK = 'rel="nofollow"'  # what urlize puts into those that it makes
TAG = re.compile(r"<[a-z/]{2}")
DELIVERED = [names[0] for names in HOSTILE_NAMES.values()]


@pytest.fixture(autouse=True)
def from_one_browser(settings):
    settings.ALLOWED_HOSTS = ["*"]  # so that nobody knows where the site is, and no link in a mail is ours
    settings.NAMES_PER_VISITOR = settings.NAMES_PER_ADDRESS = settings.NAMES_IN_TOTAL = 0


def by_form(name, client, admin_client):
    return client.generic("POST", "/", f"name={quoted(name)}", URLENCODED).status_code


def by_admin(name, client, admin_client):
    fields = f"username={quoted(name)}&usable_password=false"
    return admin_client.generic("POST", "/admin/accounts/user/add/", fields, URLENCODED).status_code


def by_command(name, client, admin_client):
    with suppress(CommandError):
        call_command("createsuperuser", username=name, email="", interactive=False, verbosity=0)
    return 200


def test_there_are_hundreds():
    assert len(ALL) >= 300


@pytest.mark.parametrize("door", [by_form, by_admin, by_command])
@pytest.mark.parametrize("group", HOSTILE_NAMES)
def test_only_the_administrators_get_mail_and_its_head_gains_nothing(group, door, client, admin_client, caplog):
    for name in HOSTILE_NAMES[group]:
        assert door(name, client, admin_client) in (200, 302), name
    for message in OutboxMessage.objects.all():
        assert message.recipients == [ADMIN]
        assert_harmless(message.subject)
        assert_no_more_than_expected(message)
    assert_one_line_each(caplog.records)


@pytest.mark.parametrize("group", HOSTILE_NAMES)
def test_pages_greet_and_show_them_escaped(group, client, admin_client):
    for name in HOSTILE_NAMES[group]:
        by_form(name, client, admin_client)
        assert_escaped(client.get("/"), name)
    assert_escaped(admin_client.get("/admin/accounts/user/"), *HOSTILE_NAMES[group])
    for message in OutboxMessage.objects.all()[:10]:
        assert_escaped(admin_client.get(f"{OUTBOX}{message.pk}/change/?tab=text"), *HOSTILE_NAMES[group])


@pytest.mark.parametrize("group", HOSTILE_NAMES)
def test_in_a_subject_or_beside_an_address_it_is_refused_or_stays_where_it_is(group):
    for name in HOSTILE_NAMES[group]:
        for email in (
            EmailMessage(name, "Hello", "ann@example.com", [ADMIN], headers={"Auto-Submitted": "auto-generated"}),
            EmailMessage("Hi", "Hello", "ann@example.com", [f'"{quote(name)}" <{ADMIN}>']),
        ):
            with suppress(ValueError):
                email.send()
    for message in OutboxMessage.objects.all():
        assert message.recipients == [ADMIN]
        assert_no_more_than_expected(message)


def test_the_relay_gets_what_was_stored(relay, client, admin_client):
    for name in DELIVERED:
        by_form(name, client, admin_client)
    deliver_due()
    stored = OutboxMessage.objects.count()
    assert stored > len(DELIVERED) / 2
    for mail in relay.wait_for(stored):
        assert mail.recipients == [ADMIN]
        assert "<a " not in mail.html


def assert_harmless(subject):
    """In one short line, with a name as it is read, and nothing that a mail program would make more of."""
    beginning, name = subject[:18], subject[18:]
    assert beginning == "[Flasky] New User:"
    assert 1 < len(name) <= 65
    assert not {"Cc", "Cs", "Zl", "Zp"} & {*map(unicodedata.category, name)}
    assert LINK not in urlize(name, nofollow=True)
    assert "=?" not in name
    assert not BIDI_CONTROLS & {*name}


def assert_no_more_than_expected(message):
    head = message.content.split(b"\r\n\r\n")[0].split(b"\n\n")[0]
    names = [line.partition(b":")[0].decode().lower() for line in head.splitlines() if line[:1] not in b" \t"]
    assert {*names} <= {*HEAD, "content-transfer-encoding"}
    assert len(names) == len({*names})
    assert not {"\r", "\n"} & {*message.subject}
    parts = Parts(message.content)
    assert LINK not in urlize(parts.text, nofollow=True)
    assert "<a " not in parts.html


def assert_escaped(response, *names):
    page = response.content.decode()
    assert response.status_code == 200
    for name in filter(TAG.search, names):
        assert name not in page, name


def assert_one_line_each(records):
    handler = logging.getLogger().handlers[0]
    for record in filter(handler.filter, records):
        assert len(handler.format(record).splitlines()) == 1
