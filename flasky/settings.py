"""Give every setting its value, with its default and its unit."""

import json
import sys

import django
import environ
from django.conf.locale import LANG_INFO
from django.utils.translation import gettext_noop, to_language

from flasky.databases.url import database
from flasky.env import (
    BASE_DIR,
    UNREADABLE_SETTINGS,
    Phrase,
    addresses,
    comma_separated,
    load_env_file,
    names,
    one_of,
    positive_number,
    proxies,
    queue_name,
    read,
    site_url,
    switch,
    time_zone,
    whole_number,
    whole_numbers,
)

NAMES_OF_OUR_PEOPLE = comma_separated(
    "abuse, admin, administration, administrator, flasky, helpdesk, hostmaster, mailer-daemon, moderator, noreply, "
    "operator, owner, postmaster, root, security, staff, superuser, support, sysadmin, system, webmaster"
)


def read_database(name, default):
    """Return Django's description of the database; of none if the URL cannot be used, never of another one."""
    try:
        return database(read(name, default))
    except ValueError as error:
        not_shown = Phrase(gettext_noop("(not shown: it may hold a password)"))
        UNREADABLE_SETTINGS.append((name, not_shown, error.args[0]))
        return {}


load_env_file()

# --- The site ----------------------------------------------------------------------------------------------------

DEBUG = read("DEBUG", False, switch)
SECRET_KEY = read("SECRET_KEY", "for-development-only" if DEBUG else "")
if not SECRET_KEY:
    print(
        "SECRET_KEY is not set, and Flasky does not run without one unless DEBUG=True. "
        "Put a long random text into the environment or into .env as SECRET_KEY=…",
        file=sys.stderr,
    )
    sys.exit(3)  # the code at which gunicorn stops instead of starting its worker again and again

SECRET_KEY_FALLBACKS = read("SECRET_KEY_FALLBACKS", [], comma_separated)  # of before; they sign nothing any more
HTTPS = read("HTTPS", not DEBUG, switch)
ALLOWED_HOSTS = read("ALLOWED_HOSTS", [], comma_separated)
CSRF_TRUSTED_ORIGINS = read("CSRF_TRUSTED_ORIGINS", [], comma_separated)

# Where the links in a mail lead to; without one see flasky/site/address.py.
FLASKY_SITE_URL = read("FLASKY_SITE_URL", "", site_url)

# The proxies that may say, by X-Forwarded-For and X-Forwarded-Proto, who a visitor is and whether it was https. The
# servers' own setting of this name is not used: see flasky/guard/clients.py.
FORWARDED_ALLOW_IPS = read("FORWARDED_ALLOW_IPS", [], proxies)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if HTTPS else 0
# Other host names and the browsers' preload lists are the domain owner's decision, not one application's.
# MariaDB and MySQL have no partial indexes; there a look for possible duplicates reads more rows.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021", "models.W037"]
# In the database, where logging out ends every copy; a cache of each process for itself would keep them alive.
SESSION_ENGINE = "accounts.sessions"
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_AGE = 24 * 3600  # s from the log-in; the visitor's cookie (accounts/visitor.py) is as old at most
# What the site can use of a request; beyond it the answer is 413 before the body is read.
MAX_BODY_SIZE = read("MAX_BODY_SIZE", 262_144, whole_number)  # bytes
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_SIZE
FILE_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_SIZE + 1  # so that nothing is spooled into a file
DATA_UPLOAD_MAX_NUMBER_FILES = 0  # nothing here takes files
REQUEST_TIMEOUT = 20  # s in which a whole request must have come
# Guesses of a password, counted before one is hashed; 0: no limit.
LOGINS_PER_NAME = read("LOGINS_PER_NAME", 10, whole_number)  # that fail in LOGIN_PERIOD, for each name
LOGINS_PER_ADDRESS = read("LOGINS_PER_ADDRESS", 20, whole_number)  # the same from each address, or network of IPv6
LOGIN_PERIOD = 900  # s
# New names that the form stores in NAME_PERIOD; 0: no limit. Names that are known already do not count.
NAMES_PER_VISITOR = read("NAMES_PER_VISITOR", 10, whole_number)  # of each browser
NAMES_PER_ADDRESS = read("NAMES_PER_ADDRESS", 50, whole_number)  # of each address, or network of IPv6
NAMES_IN_TOTAL = read("NAMES_IN_TOTAL", 200, whole_number)
NAME_PERIOD = 600  # s
# From the form's being asked for until a person can have filled it in; 0: no limit.
FORM_MIN_SECONDS = read("FORM_MIN_SECONDS", 1, whole_number)
# Names that no visitor can take, nor one that looks like them.
RESERVED_NAMES = read("RESERVED_NAMES", NAMES_OF_OUR_PEOPLE, names)
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "frame-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

INSTALLED_APPS = [
    "accounts",
    "flasky.site",  # before whitenoise and staticfiles: its runserver replaces theirs
    "flasky.mail",  # before Django's own apps: its sendtestemail replaces theirs
    "flasky.drill",
    "flasky.faults",
    "flasky.guard",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "anymail",
    "csp",
]
MIDDLEWARE = [
    "flasky.guard.headers.strict",
    "flasky.guard.clients.behind_proxies",
    "flasky.guard.bodies.small_bodies",
    "flasky.faults.probes.noting_probes",
    "flasky.site.middleware.healthz",
    "flasky.mail.monitoring.readiness.readyz",
    "flasky.mail.monitoring.metrics.metrics",
    "flasky.site.request_id.with_request_id",
    "flasky.mail.storing.origin.noting_origin",
    "flasky.site.middleware.in_ones_own_language",
    "flasky.site.middleware.known_host",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "flasky.site.middleware.readable_body",
    "flasky.site.middleware.named_field",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "flasky.guard.refusing.TooManyRequests",
]
ROOT_URLCONF = "flasky.urls"
WSGI_APPLICATION = "flasky.wsgi.application"
ASGI_APPLICATION = "flasky.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "flasky.site.middleware.mailbox_link",
            ]
        },
    }
]

DATABASES = {"default": read_database("DATABASE_URL", "sqlite:///db.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.logins.LimitedBackend"]
PASSWORD_HASHERS = ["accounts.hashers.OneAtATimeHasher"]  # Django's first one, but for the number at once
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LOCALE_PATHS = [BASE_DIR / "locale"]  # what the site itself says; flasky.mail has its own
LANGUAGES = [  # English, and those that have a compiled catalogue there
    (code, LANG_INFO.get(code, {}).get("name_local", code))
    for code in ["en", *sorted(to_language(path.parts[-3]) for path in LOCALE_PATHS[0].glob("*/LC_MESSAGES/django.mo"))]
]
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600  # s
LANGUAGE_COOKIE_SECURE, LANGUAGE_COOKIE_HTTPONLY, LANGUAGE_COOKIE_SAMESITE = HTTPS, True, "Lax"
LANGUAGE_CODE = read("LANGUAGE_CODE", "en", one_of(*dict(LANGUAGES)))  # where nobody asks for another
TIME_ZONE = read("TIME_ZONE", "UTC", time_zone)
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = None if DEBUG else BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = True  # so a forgotten collectstatic costs compression, not the whole look
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # No hashed names: a page, the error page above all, must not fail because a manifest is missing.
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}

# --- Mail --------------------------------------------------------------------------------------------------------


def anymail_value(name, text):
    if not text.startswith("{"):
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return json.loads(text)
    except ValueError:
        # The value itself is not repeated: it may hold a key.
        UNREADABLE_SETTINGS.append((name, "{…", Phrase(gettext_noop("JSON, because it starts with {"))))
        return {}


# Every mail is stored first; MAIL_TRANSPORT is the e-mail backend that takes it out of the outbox. What the app lets a
# project set, and its defaults, are in flasky/mail/conf.py.
OUTBOX = "flasky.mail.backend.OutboxEmailBackend"
MAIL_TRANSPORT = read("MAIL_TRANSPORT", "smtp")
MAIL_DISPATCHER = read("MAIL_DISPATCHER", "threads")
CELERY_BROKER_URL = read("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0")  # only with MAIL_DISPATCHER=celery
CELERY_TASK_DEFAULT_QUEUE = read("CELERY_TASK_DEFAULT_QUEUE", "mail", queue_name)  # one for each project on the broker
MAIL_WORKERS = read("MAIL_WORKERS", 4, whole_number)  # threads, and connections, per process
MAIL_MAX_CONNECTIONS = read("MAIL_MAX_CONNECTIONS", 0, whole_number)  # of all processes together; 0: no limit
MAIL_MAX_RECIPIENTS = read("MAIL_MAX_RECIPIENTS", 0, whole_number)  # in one transaction; 0: what the relay says
MAIL_RATE = read("MAIL_RATE", 0, positive_number)  # messages per second, of all processes together; 0: no limit
# Messages stored in a minute, an hour and a day; what is beyond is held. 0, or no number: no limit
MAIL_BUDGET_RECIPIENT = read("MAIL_BUDGET_RECIPIENT", [30, 200, 1000], whole_numbers)  # for each
MAIL_BUDGET_KIND = read("MAIL_BUDGET_KIND", [3000, 30_000, 100_000], whole_numbers)  # of each
MAIL_BUDGET_TOTAL = read("MAIL_BUDGET_TOTAL", [6000, 60_000, 200_000], whole_numbers)
MAIL_BUDGET_URGENT = read("MAIL_BUDGET_URGENT", [600, 6000, 20_000], whole_numbers)  # of all urgent ones
MAIL_BUDGET_HELD = read("MAIL_BUDGET_HELD", 10_000, whole_number)  # held until no more are taken; 0: no limit
# Mails of a kind that are many within minutes become one with a list, where the kind allows it.
MAIL_DIGEST_AFTER = read("MAIL_DIGEST_AFTER", 5, whole_number)  # to a recipient leave one by one; 0: all do
MAIL_DIGEST_WINDOW = read("MAIL_DIGEST_WINDOW", 600, whole_number)  # s in which so many leave
MAIL_DIGEST_WAIT = read("MAIL_DIGEST_WAIT", 300, whole_number)  # s that a gathered mail waits at most
MAIL_READY_AGE = read("MAIL_READY_AGE", 900, whole_number)  # s due until /readyz complains; 0: it never does
MAIL_METRICS_TOKEN = read("MAIL_METRICS_TOKEN", "")  # who has it may read /metrics; without one there is none
MAIL_GIVE_UP_DAYS = read("MAIL_GIVE_UP_DAYS", 5, whole_number)  # days of temporary refusals until a message fails
MAIL_PRUNE = read("MAIL_PRUNE", True, switch)  # once a day whoever delivers removes what is old
MAIL_KEEP_DAYS = read("MAIL_KEEP_DAYS", 90, whole_number)  # days until what is finished is removed; 0: it never is
MAIL_KEEP_BODIES = read("MAIL_KEEP_BODIES", 14, whole_number)  # days until its body is removed; 0: it never is
MAIL_MAX_SIZE = read("MAIL_MAX_SIZE", 25_000_000, whole_number)  # bytes on the wire, attachments included

MAIL_SERVER = read("MAIL_SERVER", "localhost")
MAIL_PORT = read("MAIL_PORT", 25, whole_number)
MAIL_USE_TLS = read("MAIL_USE_TLS", False, switch)
MAIL_USE_SSL = read("MAIL_USE_SSL", False, switch)
MAIL_USERNAME = read("MAIL_USERNAME", "")
MAIL_PASSWORD = read("MAIL_PASSWORD", "")
MAIL_TIMEOUT = read("MAIL_TIMEOUT", 30, whole_number)  # s, to connect and for each reply
MAIL_EHLO_NAME = read("MAIL_EHLO_NAME", "")  # what this host calls itself
MAIL_FILE_PATH = BASE_DIR / "sent-mail"  # where the transport `file` writes

FLASKY_ADMIN = read("FLASKY_ADMIN", [], addresses)
FLASKY_MAIL_SUBJECT_PREFIX = read("FLASKY_MAIL_SUBJECT_PREFIX", "[Flasky]")
FLASKY_MAIL_SENDER = read("FLASKY_MAIL_SENDER", "Flasky Admin <flasky@example.com>")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = FLASKY_MAIL_SENDER
EMAIL_SUBJECT_PREFIX = f"{FLASKY_MAIL_SUBJECT_PREFIX} "  # for mail_admins() and mail_managers()

if django.VERSION < (6, 0):
    ADMINS = MANAGERS = [("", address) for address in FLASKY_ADMIN]
else:
    ADMINS = MANAGERS = FLASKY_ADMIN

if django.VERSION < (6, 1):
    EMAIL_BACKEND = OUTBOX
    # For whoever sends past the outbox.
    EMAIL_HOST, EMAIL_PORT, EMAIL_TIMEOUT = MAIL_SERVER, MAIL_PORT, MAIL_TIMEOUT
    EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL_USE_TLS, MAIL_USE_SSL
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL_USERNAME, MAIL_PASSWORD
else:
    MAILERS = {
        "default": {"BACKEND": OUTBOX},
        "transport": {"BACKEND": "flasky.mail.transports.backends.by_our_settings"},
    }

PASSWORD_RESET_TIMEOUT = 24 * 3600  # s for which the link in the mail is good

ERROR_MAIL_INTERVAL = 3600  # s in which one mail tells of an error, however often it happens
ERROR_MAIL_LIMIT = 20  # different errors in such a time that get a mail each

MAIL_METRICS_ALSO = ["accounts.metrics.families"]  # functions whose metrics are on /metrics beside the outbox's

MAIL_ERASE_WITH = ["accounts.User"]  # models: the mails about one that is deleted go with it

MAIL_LANGUAGE_OF = "accounts.languages.language_of"  # what a mail speaks to these addresses, unless its sender says

# With what /mailbox/templates/ and check_mail_templates fill a mail that shows more than a user: see
# mail/previews/kinds.py.
MAIL_SAMPLES = {
    "mail/new_user": "accounts.welcome.sample",
    "mail/new_user_digest": "accounts.welcome.digest_sample",
    "mail/password_reset": "accounts.resets.sample",
}

# ANYMAIL_MAILGUN_API_KEY=… in the environment is Anymail's setting MAILGUN_API_KEY, and so for every provider.
# Those that are dictionaries are JSON, for example ANYMAIL_AMAZON_SES_CLIENT_PARAMS={"region_name": "eu-central-1"}.
ANYMAIL = {
    name.removeprefix("ANYMAIL_"): anymail_value(name, value.strip())
    for name, value in environ.Env.ENVIRON.items()
    if name.startswith("ANYMAIL_") and value
} | {"REQUESTS_TIMEOUT": MAIL_TIMEOUT}  # s

# --- Logging -----------------------------------------------------------------------------------------------------

# What an error page with details, and the mail about an error, may tell.
DEFAULT_EXCEPTION_REPORTER = "flasky.faults.report.Report"
DEFAULT_EXCEPTION_REPORTER_FILTER = "flasky.faults.report.ReportFilter"

LOG_FORMAT = read("LOG_FORMAT", "line", one_of("line", "json"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "flasky.site.logs.MaskingFormatter",
            "format": "{levelname} {name}: {message}{of_request}",
            "style": "{",
        },
        "json": {"()": "flasky.site.logs.JsonFormatter"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["refusals_in_one_line"]},
        "mail_admins": {
            "class": "flasky.faults.handler.ErrorMailHandler",
            "level": "ERROR",
            "filters": ["debug_is_off"],
        },
    },
    "filters": {
        "debug_is_off": {"()": "django.utils.log.RequireDebugFalse"},
        "refusals_in_one_line": {"()": "flasky.site.logs.RefusalsInOneLine"},
        "refusals_left_out": {"()": "flasky.site.logs.RefusalsLeftOut"},
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Django's own set-up would print these a second time while DEBUG is on.
        "django": {"handlers": ["mail_admins"], "level": "INFO"},
        "flasky.mail.limits.budget": {"handlers": ["mail_admins"]},  # whoever makes us send should not go unseen
        # Django answers HEAD with the body of GET, which gunicorn drops with a warning each time.
        "gunicorn.http.wsgi": {"level": "ERROR"},
        "django.request": {"filters": ["refusals_left_out"]},
        # Anybody can cause these, a request with a strange Host header is enough: no mail for each.
        "django.security": {"handlers": ["stderr"], "propagate": False},
        # A failing receiver of Anymail's signals would be mailed, and the mail fail in it again, without end.
        "django.dispatch": {"handlers": ["stderr"], "propagate": False},
    },
}
