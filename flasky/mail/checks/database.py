"""Check whether the database is fit for what the outbox does with it."""

from collections.abc import Iterator

from django.core import checks
from django.db import connections, router
from django.utils.translation import gettext as _

from flasky.mail.conf import conf
from flasky.mail.db.isolation import is_fit, isolation_level
from flasky.mail.db.largest import largest_content, where_it_is_set
from flasky.mail.models import OutboxMessage
from flasky.mail.status.written import number


def check_isolation() -> Iterator[checks.CheckMessage]:
    """Find a level by which two who deliver at once undo each other's transactions, whoever has set it."""
    connection = connections[router.db_for_write(OutboxMessage)]
    level = isolation_level(connection)
    if is_fit(level, connection.vendor):
        return
    hint = _(
        "Let them be READ COMMITTED: remove isolation_level from the OPTIONS of DATABASES, or what ALTER ROLE or "
        "ALTER DATABASE … SET default_transaction_isolation, or the server's transaction_isolation, says."
    )
    if level == "serializable" or connection.vendor == "postgresql":
        problem = _(
            "The outbox's transactions are %(level)s: whoever claims, records or stores beside others is refused by "
            "the database again and again."
        )
        yield checks.Error(problem % {"level": level.upper()}, hint=hint, id="flasky.E046")
    else:
        problem = _("The outbox's transactions are %(level)s: its claims and counts are made for READ COMMITTED.")
        yield checks.Warning(problem % {"level": level.upper()}, hint=hint, id="flasky.W010")


def check_room() -> Iterator[checks.CheckMessage]:
    """Find a MAIL_MAX_SIZE by which mails are taken that the database then refuses."""
    connection = connections[router.db_for_write(OutboxMessage)]
    most = largest_content(connection)
    if most < conf.MAIL_MAX_SIZE:
        values = {"size": number(conf.MAIL_MAX_SIZE), "limit": where_it_is_set(connection), "most": number(most)}
        problem = _(
            "MAIL_MAX_SIZE is %(size)s bytes, and %(limit)s lets a mail have %(most)s at most: a larger one cannot be "
            "stored."
        )
        hint = _("Set MAIL_MAX_SIZE to %(most)s or less, or raise the database's limit.")
        yield checks.Warning(problem % values, hint=hint % values, id="flasky.W011")
