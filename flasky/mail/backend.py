"""Store emails instead of sending them, as a Django e-mail backend."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import Error as DatabaseFailure
from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from flasky.mail import OutboxFull, dispatchers
from flasky.mail.db.outages import is_outage
from flasky.mail.digests.gathering import candidate, put_off
from flasky.mail.limits.budget import spending
from flasky.mail.models import Gathered, OutboxMessage, State
from flasky.mail.runtime import clock
from flasky.mail.storing.insert import insert_message, schedule_of
from flasky.mail.storing.origin import origin
from flasky.mail.storing.room import refuse_what_has_no_room
from flasky.mail.storing.sensitive import ERROR, kind_by_maker, mark
from flasky.mail.wire.compose import compose, recipients_of
from flasky.mail.wire.forbidden import with_visible_texts

logger = logging.getLogger(__name__)

Composed = tuple[EmailMessage, OutboxMessage, Gathered | None]
LOST = "Mail number %d of these could not be stored and is lost."


class OutboxEmailBackend(BaseEmailBackend):
    """Store emails in the caller's transaction and wake the dispatcher after its commit."""

    def __init__(self, fail_silently: bool = False, **options: Any) -> None:
        super().__init__(**options)  # refuses those that nobody knows, from Django 6.1 on
        self.fail_silently = fail_silently

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Store the emails, all or none, and return their number; each gets its row as `outbox_message`.

        Raise ValueError if one cannot be kept faithfully, OutboxFull if the mail budget holds too many. With
        `fail_silently` that one is logged and skipped, and a failing database is only logged too. Then, and in a log
        handler's mail, what no mail can have is written visibly (\\x00) in subject and texts.
        """
        composed = self._composed(email_messages)
        try:
            return _store(composed, savepoint=self.fail_silently)
        except Exception as error:
            if not self.fail_silently:
                raise
            if len(composed) < 2 or not isinstance(error, (DatabaseFailure, OutboxFull)):
                logger.exception("%d mail(s) could not be stored and are lost.", len(composed))
                return 0
        return _store_one_by_one(composed)

    def _composed(self, email_messages: Sequence[EmailMessage]) -> list[Composed]:
        """Return each email that is to anybody, with the message that keeps it."""
        composed, where = [], None
        for number, email in enumerate(email_messages, 1):
            try:
                if recipients_of(email):
                    clock.renew()
                    where = where or origin()
                    message = OutboxMessage(**schedule_of(email), **self._fields(email), **where)
                    mark(message)
                    refuse_what_has_no_room(message)
                    composed.append((email, message, candidate(email, message)))
            except Exception:
                if not self.fail_silently:
                    raise
                logger.exception(LOST, number)
        return composed

    def _fields(self, email: EmailMessage) -> dict[str, Any]:
        try:
            return compose(email)
        except ValueError:
            # Neither one who wants to hear of no error nor a log handler, as Django's that mails an error, could mend
            # what no mail can have. From Django 6.1 on that handler asks for no silence any more.
            if not (self.fail_silently or kind_by_maker() == ERROR):
                raise
            return compose(with_visible_texts(email))


def _store(composed: Sequence[Composed], savepoint: bool) -> int:
    """Insert the messages in one transaction. All were composed before: SQLite would keep other writers waiting."""
    using = router.db_for_write(OutboxMessage)
    connection = connections[using]
    # One INSERT is a transaction by itself; BEGIN and COMMIT would be two more journeys to the database.
    is_atomic = sum(len(message.recipients) for _, message, _ in composed) < 2 and connection.get_autocommit()
    # As with any save(), a database error dooms the caller's transaction, but not one who wants to hear of none.
    with nullcontext() if is_atomic else transaction.atomic(using=using, savepoint=savepoint):
        for _, message, gathered in composed:
            _insert(message, gathered, connection)
        if composed:
            _wake_after_commit(connection)
    for email, message, _ in composed:
        email.outbox_message = message  # type: ignore[attr-defined]
    return len(composed)


def _insert(message: OutboxMessage, gathered: Gathered | None, connection: BaseDatabaseWrapper) -> None:
    message.state = State.QUEUED  # not as a try that was rolled back has left it
    # Where all deliver inline, nobody looks later what has been gathered.
    if gathered and not dispatchers.delivers_inline() and put_off(message, gathered, connection):
        insert_message(message, connection, gathered)  # no mail by itself: its digest is under the budget
        return
    with spending(message) as over:
        insert_message(message, connection, over)


def _store_one_by_one(composed: Sequence[Composed]) -> int:
    """Insert each message by itself and return their number, without those that the database refuses."""
    stored = failures = 0
    for number, pair in enumerate(composed, 1):
        try:
            stored += _store([pair], savepoint=True)
            failures = 0
        except Exception as error:
            logger.exception(LOST, number)
            # One may be too long for the server. Two in a row are its own fault, and each waits for a timeout.
            is_its_own = is_outage(error) or isinstance(error, transaction.TransactionManagementError)
            failures = failures + 1 if is_its_own else 0
            if failures > 1:
                logger.error("The database takes none: %d more mail(s) are lost.", len(composed) - number)
                break
    return stored


def _wake_after_commit(connection: BaseDatabaseWrapper) -> None:
    """Wake once for a whole transaction, however many emails it sends."""
    waiting: list[Any] = connection.run_on_commit
    if not any(dispatchers.wake in callback for callback in waiting):
        connection.on_commit(dispatchers.wake, robust=True)
