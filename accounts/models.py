"""Store users by names that no two share, in one transaction with the mail about them."""

from typing import Any, ClassVar

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models, router, transaction
from django.utils.translation import gettext_lazy as _

from accounts.languages import choices, language_of_page
from accounts.names import NEVER_STORED, NameField, normalize_name


class NamedUserManager(UserManager["User"]):
    def get_or_create_visitor(self, name: str) -> tuple["User", bool]:
        """Return the user with this name, and whether it is new.

        A new one cannot log in, and reads what the page speaks. Of any number of simultaneous calls with one new name,
        one creates it.
        """
        unusable = make_password(None)
        return self.get_or_create(username=name, defaults={"password": unusable, "language": language_of_page()})

    def get_by_natural_key(self, username: str | None) -> "User":
        """Ask the database for nothing that it would fail at, such as half a character of a command's argument."""
        if username and NEVER_STORED.search(username):
            raise self.model.DoesNotExist
        return super().get_by_natural_key(username)


class User(AbstractUser):
    username = NameField(
        _("name"), unique=True, error_messages={"unique": _("There is a user with this name already.")}
    )
    language = models.CharField(
        _("language of mails"),
        max_length=35,  # of the longest code (RFC 5646, section 4.4.1)
        choices=choices,
        blank=True,
        default="",
        db_default="",  # so that a process of before can store users beside a new one
        help_text=_("Mails to this user are written in it, unless whoever sends them says otherwise."),
    )

    objects: ClassVar[NamedUserManager] = NamedUserManager()

    class Meta(AbstractUser.Meta):
        indexes = [models.Index(fields=["email"], name="accounts_user_email")]  # for language_of

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
