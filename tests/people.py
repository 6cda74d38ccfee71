"""People who use the admin."""

from django.contrib.auth.models import Permission

from accounts.models import User


def staff_user(name, *permissions, email=""):
    """Store somebody with these permissions, of whom nobody is told."""
    User.objects.bulk_create([User(username=name, email=email, is_staff=True)])
    user = User.objects.get(username=name)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


def log_in_staff(client, *permissions):
    """Log in somebody with these permissions; return the client."""
    client.force_login(staff_user("Ann", *permissions))
    return client
