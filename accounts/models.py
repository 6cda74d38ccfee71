"""Store users by names that no two share, in one transaction with the mail about them."""

from typing import Any, ClassVar

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AbstractUser, UserManager
from django.db import router, transaction
from django.utils.translation import gettext_lazy as _

from accounts.names import NEVER_STORED, NameField, normalize_name


class NamedUserManager(UserManager["User"]):
    def get_or_create_visitor(self, name: str) -> tuple["User", bool]:
        """Return the user with this name, and whether it is new; a new one cannot log in.

        Of any number of simultaneous calls with one new name, one creates it.
        """
        return self.get_or_create(username=name, defaults={"password": make_password(None)})

    def get_by_natural_key(self, username: str | None) -> "User":
        """Ask the database for nothing that it would fail at, such as half a character of a command's argument."""
        if username and NEVER_STORED.search(username):
            raise self.model.DoesNotExist
        return super().get_by_natural_key(username)


class User(AbstractUser):
    username = NameField(
        _("name"), unique=True, error_messages={"unique": _("There is a user with this name already.")}
    )

    objects: ClassVar[NamedUserManager] = NamedUserManager()

    @classmethod
    def normalize_username(cls, username: str) -> str:
        """Normalise as the form does; Django's own NFKC would turn ﬁ into fi."""
        return normalize_name(username) if username else username

    def save(self, *args: Any, **options: Any) -> None:
        """Save in one transaction with what the receivers of post_save store.

        Django sends post_save after the commit of its own small transaction: a crash in between, or a failing
        receiver, would leave a user of whom nobody is ever told.
        """
        with transaction.atomic(using=options.get("using") or router.db_for_write(User, instance=self)):
            super().save(*args, **options)
