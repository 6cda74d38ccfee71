"""A mail that the database has no room for is refused with a sentence, and nothing else is lost by it."""

import sqlite3
import sys

import pytest
from django.core.mail import EmailMessage
from django.db import connection, transaction

from flasky.mail.backend import OutboxEmailBackend
from flasky.mail.checks import check_delivery
from flasky.mail.db import largest
from flasky.mail.db.largest import largest_content, room_in_database
from flasky.mail.models import OutboxMessage

pytestmark = pytest.mark.django_db(transaction=True)
ROOM = 2_000_000  # bytes


@pytest.fixture(autouse=True)
def little_room(monkeypatch, settings):
    """Let the database have less room than MAIL_MAX_SIZE, as far as it can be told to."""
    settings.MAIL_MAX_SIZE = 1_000_000_000
    if connection.vendor == "postgresql":
        monkeypatch.setattr(largest, "MOST_IN_POSTGRESQL", ROOM)
    if connection.vendor == "sqlite":
        if sys.version_info < (3, 11):
            pytest.skip("Python cannot set SQLite's limit")
        connection.ensure_connection()
        before = connection.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, ROOM)
        yield
        connection.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, before)
    else:
        yield  # MariaDB has 16 MB, unless somebody has changed it


def a_mail(size, subject="Pictures"):
    return EmailMessage(subject, "x" * 70 + ("\n" + "x" * 70) * (size // 72), "ann@example.com", ["b@example.com"])


def test_a_mail_that_is_too_large_is_refused_with_both_numbers_and_dooms_no_transaction():
    room = room_in_database(connection)
    with transaction.atomic():
        with pytest.raises(
            ValueError, match=rf"'Pictures' takes [\d,]+ bytes .* allows {room:,}\. Link to large files"
        ):
            a_mail(room).send()
        a_mail(1000).send()
    assert OutboxMessage.objects.count() == 1


def test_a_mail_as_large_as_is_said_to_be_the_most_is_stored():
    a_mail(int(largest_content(connection) * 0.99)).send()
    assert OutboxMessage.objects.count() == 1


def test_the_others_of_a_batch_are_stored_by_who_wants_to_hear_of_no_error():
    batch = [a_mail(1000, "one"), a_mail(room_in_database(connection)), a_mail(1000, "two")]
    assert OutboxEmailBackend(fail_silently=True).send_messages(batch) == 2
    assert set(OutboxMessage.objects.values_list("subject", flat=True)) == {"one", "two"}


def test_a_check_compares_the_setting_with_the_database(settings):
    most = largest_content(connection)
    [warning] = check_delivery(databases=["default"])
    assert (warning.id, f"{most:,}" in warning.msg, f"Set MAIL_MAX_SIZE to {most:,} or less" in warning.hint) == (
        "flasky.W011",
        True,
        True,
    )
    settings.MAIL_MAX_SIZE = most
    assert check_delivery(databases=["default"]) == []
