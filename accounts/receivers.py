"""Tell the administrators about a new user, and begin the session of whoever logs in."""

from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from accounts import welcome
from accounts.models import User
from accounts.sessions import begin, remove_expired


@receiver(post_save, sender=User, dispatch_uid="accounts.tell_administrators")
def tell_administrators(sender: type[User], instance: User, created: bool, raw: bool = False, **signal: Any) -> None:
    """Tell the administrators about a new user; fixtures (raw) are not news."""
    if created and not raw and settings.FLASKY_ADMIN:
        welcome.tell_administrators(instance)


@receiver(user_logged_in, dispatch_uid="accounts.begin_session")
def begin_session(sender: type[User], request: HttpRequest, **signal: Any) -> None:
    """Begin the session of whoever logs in, and clear away old ones: nobody needs to run clearsessions."""
    begin(request.session)
    remove_expired()
