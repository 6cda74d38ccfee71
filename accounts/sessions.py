"""Store sessions of people who are logged in as rows, so that what ends one ends every copy of its cookie.

Only a log-in makes a row. What the site remembers of other visitors is in accounts/visitor.py.
"""

import re
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore

from flasky.mail.runtime import clock

KEY = re.compile(r"[a-z0-9]{32}")
MOST_REMOVED = 100  # rows; a log-in adds one


class SessionStore(DatabaseSessionStore):
    def _validate_session_key(self, key: str | None) -> bool:
        """Ask the database for no other keys: PostgreSQL would fail on a NUL, and a signed session is none of ours."""
        return bool(key and KEY.fullmatch(key))

    def get_expire_at_browser_close(self) -> bool:
        """Leave the cookie as the setting wants it: Django would make it outlive the browser, as it has an end."""
        return settings.SESSION_EXPIRE_AT_BROWSER_CLOSE


def begin(session: SessionBase) -> None:
    """Give the session of a log-in its end, SESSION_COOKIE_AGE seconds from now, and a new key.

    Without an end of its own every change would prolong it. Django keeps the key if the same person was logged in.
    """
    session.set_expiry(timedelta(seconds=settings.SESSION_COOKIE_AGE))
    session.cycle_key()


def end_all(user: AbstractBaseUser) -> int:
    """End every session of the user, in all browsers; return how many there were."""
    rows = SessionStore.get_model_class().objects
    theirs = [row.pk for row in rows.all() if row.get_decoded().get(SESSION_KEY) == str(user.pk)]
    rows.filter(pk__in=theirs).delete()
    return len(theirs)


def remove_expired() -> None:
    """Remove sessions that are over, at most MOST_REMOVED at once."""
    sessions = SessionStore.get_model_class().objects
    expired = sessions.filter(expire_date__lt=clock.now()).values_list("pk", flat=True)[:MOST_REMOVED]
    sessions.filter(pk__in=list(expired)).delete()  # MariaDB and MySQL have no LIMIT in a subquery
