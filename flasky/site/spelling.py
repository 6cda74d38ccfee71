"""Find the variables that nobody reads: mistyped ones, and those of a name that other projects use."""

from collections.abc import Callable, Iterable, Iterator

from django.core import checks
from django.utils.translation import gettext as _

from flasky.env import ENV_FILE, ENVIRONMENT, NAMES_IN_ENV_FILE, NAMES_READ, nearest_name

PREFIXES = ("MAIL_", "FLASKY_", "NAMES_", "LOGINS_", "CELERY_TASK_", "CELERY_BROKER_")
ELSEWHERE = {  # what the same thing is called in Flask-Mail, in Django, and by habit
    "ADMIN_EMAIL": "FLASKY_ADMIN",
    "ADMINS": "FLASKY_ADMIN",
    "DEFAULT_FROM_EMAIL": "FLASKY_MAIL_SENDER",
    "DJANGO_ALLOWED_HOSTS": "ALLOWED_HOSTS",
    "DJANGO_DEBUG": "DEBUG",
    "DJANGO_SECRET_KEY": "SECRET_KEY",
    "EMAIL_BACKEND": "MAIL_TRANSPORT",
    "EMAIL_HOST": "MAIL_SERVER",
    "EMAIL_HOST_PASSWORD": "MAIL_PASSWORD",
    "EMAIL_HOST_USER": "MAIL_USERNAME",
    "EMAIL_PORT": "MAIL_PORT",
    "EMAIL_SUBJECT_PREFIX": "FLASKY_MAIL_SUBJECT_PREFIX",
    "EMAIL_TIMEOUT": "MAIL_TIMEOUT",
    "EMAIL_USE_SSL": "MAIL_USE_SSL",
    "EMAIL_USE_TLS": "MAIL_USE_TLS",
    "FLASKY_SITE": "FLASKY_SITE_URL",
    "FLASKY_URL": "FLASKY_SITE_URL",
    "MAIL_ADMIN": "FLASKY_ADMIN",
    "MAIL_BACKEND": "MAIL_TRANSPORT",
    "MAIL_DEFAULT_SENDER": "FLASKY_MAIL_SENDER",
    "MAIL_FROM": "FLASKY_MAIL_SENDER",
    "MAIL_HOST": "MAIL_SERVER",
    "MAIL_PASS": "MAIL_PASSWORD",
    "MAIL_SENDER": "FLASKY_MAIL_SENDER",
    "MAIL_SSL": "MAIL_USE_SSL",
    "MAIL_STARTTLS": "MAIL_USE_TLS",
    "MAIL_SUBJECT_PREFIX": "FLASKY_MAIL_SUBJECT_PREFIX",
    "MAIL_TLS": "MAIL_USE_TLS",
    "MAIL_USER": "MAIL_USERNAME",
    "SITE_URL": "FLASKY_SITE_URL",
}
# How near a name must be: in .env, in the environment if it begins as ours do, and there if it begins otherwise: it may
# be another program's.
IN_FILE, LIKE_OURS, LIKE_ANY = 0.75, 0.85, 0.9
SHORTEST = 9  # letters of a name that begins otherwise


@checks.register("site")
def check_names_of_variables(**options: object) -> list[checks.CheckMessage]:
    in_file = dict.fromkeys(NAMES_IN_ENV_FILE)
    return [
        *check_spelling(in_file, ENV_FILE, meant_in_file),
        *check_spelling(ENVIRONMENT.keys() - in_file.keys(), _("the environment"), meant_in_environment),
        *check_twice(NAMES_IN_ENV_FILE),
    ]


def check_spelling(
    names: Iterable[str], where: object, meant_by: Callable[[str], str | None]
) -> Iterator[checks.CheckMessage]:
    for name in sorted(names):
        meant = None if name in NAMES_READ else meant_by(name)
        if meant is not None:
            sentence = _("%(name)s is set in %(place)s, and there is no such setting: it counts for nothing.")
            hint = _("Did you mean %(meant)s? Correct the name, or remove %(name)s.")
            if not meant:
                hint = _("docs/settings.md has all there are, or remove %(name)s.")
            values = {"name": name, "place": where, "meant": meant}
            yield checks.Warning(sentence % values, hint=hint % values, id="flasky.W052")


def meant_in_file(name: str) -> str | None:
    """Return the setting that was meant, or "" if none resembles it; None if it is none of ours."""
    meant = ELSEWHERE.get(name.upper()) or nearest_name(name, NAMES_READ, IN_FILE)
    return meant or ("" if name.upper().startswith(PREFIXES) else None)


def meant_in_environment(name: str) -> str | None:
    if name.upper().startswith(PREFIXES):
        return ELSEWHERE.get(name.upper()) or nearest_name(name, NAMES_READ, LIKE_OURS) or None
    return (nearest_name(name, NAMES_READ, LIKE_ANY) or None) if len(name) >= SHORTEST else None


def check_twice(in_file: list[str]) -> Iterator[checks.CheckMessage]:
    for name in dict.fromkeys(in_file):
        if in_file.count(name) > 1:
            yield checks.Warning(
                _("%(name)s is in %(file)s more than once: its last value counts.") % {"name": name, "file": ENV_FILE},
                hint=_("Remove the other lines."),
                id="flasky.W053",
            )
