"""Refuse a mail that the database could not take, before it is asked to."""

from django.db import connections, router

from flasky.mail.db.largest import ASK_FROM, room_in_database, size_for_database, where_it_is_set
from flasky.mail.models import OutboxMessage


def refuse_what_has_no_room(message: OutboxMessage) -> None:
    """Raise ValueError, as for a mail larger than MAIL_MAX_SIZE."""
    if len(message.content) < ASK_FROM:
        return
    connection = connections[router.db_for_write(OutboxMessage)]
    size, room = size_for_database(bytes(message.content), connection), room_in_database(connection)
    if size > room:
        raise ValueError(
            f"The mail {message.subject[:80]!r} takes {size:,} bytes on its way into the database; "
            f"{where_it_is_set(connection)} allows {room:,}. Link to large files instead of attaching them, or raise "
            "that limit; MAIL_MAX_SIZE can say so earlier."
        )
