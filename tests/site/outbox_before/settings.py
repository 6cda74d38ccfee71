"""Make a database as the outbox of before had it: its migrations, and no more than they need."""

from flasky.settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "tests.site.outbox_before"]
AUTH_USER_MODEL = "auth.User"
MIDDLEWARE, TEMPLATES, LOGGING = [], [], {}
