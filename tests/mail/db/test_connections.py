"""flasky.mail.db.connections: which connection is given up."""

import pytest
from django.db import OperationalError, connection

from flasky.mail.db.connections import drop_connection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("words", "is_kept"), [("database is locked", True), ("disk I/O error", False)])
def test_another_ones_lock_is_no_reason_for_a_new_connection(words, is_kept):
    connection.ensure_connection()
    before = connection.connection
    drop_connection(OperationalError(words))
    assert (connection.connection is before) == is_kept
