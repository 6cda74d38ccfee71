from typing import Any

from django.conf import settings
from django.db.models.signals import post_save
from django.dispatch import receiver

from accounts.models import User
from flasky.mail import send_email


@receiver(post_save, sender=User, dispatch_uid="accounts.tell_administrators")
def tell_administrators(sender: type[User], instance: User, created: bool, raw: bool = False, **signal: Any) -> None:
    """Tell the administrators about a new user; fixtures (raw) are not news."""
    if created and not raw and settings.FLASKY_ADMIN:
        send_email(settings.FLASKY_ADMIN, "New User", "mail/new_user", cause=instance, user=instance)
