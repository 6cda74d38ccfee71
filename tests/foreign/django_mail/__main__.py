"""Run Django's own tests of its mail against the outbox: `python -m tests.foreign.django_mail FOLDER`.

The folder has the `tests` of Django's source. Written out is JSON: the tests that ran, and why each that failed did so
in which flavours.
"""

import copy
import inspect
import json
import os
import sys
import unittest
import warnings
from unittest import mock

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.foreign.django_mail.settings"

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.mail import EmailMessage  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import SimpleTestCase  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402

from flasky.mail.compat import HAS_MAILERS  # noqa: E402
from tests.foreign.django_mail import settings as ours  # noqa: E402
from tests.foreign.django_mail.backend import EmailBackend  # noqa: E402
from tests.foreign.django_mail.flavours import FLAVOURS, built_by_django  # noqa: E402

SOMEBODY = "somebody@example.com"


class Through:
    """Give Django's tests what arrives when a mail is sent, in the place of what message() would return."""

    flavour = None

    def setUp(self):
        super().setUp()
        self.flavour.clear()
        patch = mock.patch.object(EmailMessage, "message", lambda email, **options: self.arrived(email, options))
        patch.start()
        self.addCleanup(patch.stop)

    def arrived(self, email, options):
        if EmailBackend.is_at_work:  # it asks, or who carries the mail on
            return built_by_django(email, **options)
        if not email.recipients():  # such a mail is not stored
            email = copy.copy(email)
            email.bcc = [SOMEBODY]
        self.flavour.clear()
        new_outbox().send_messages([email])
        [message] = self.flavour.arrived(**options)
        return message


class ToMailbox:
    """Tell Django's tests of any back end where the mails of this one arrive."""

    flavour = None
    email_backend = ours.OUTBOX
    backend_class = EmailBackend

    def setUp(self):
        super().setUp()
        self.flavour.clear()

    def flush_mailbox(self):
        self.flavour.clear()

    def get_mailbox_content(self):
        from mail.tests import message_from_bytes

        return [message_from_bytes(message.as_bytes()) for message in self.flavour.arrived()]


def new_outbox():
    return EmailBackend(**{"alias": "default"} if HAS_MAILERS else {})


def cases():
    """Return Django's cases that look at a mail, each with what leads it through the outbox."""
    from mail import tests

    if not HAS_MAILERS:
        return [
            (Through, tests.MailTests),
            (Through, tests.MailTimeZoneTests),
            (ToMailbox, tests.BaseEmailBackendTests),
        ]
    from mail.test_backends import SharedEmailBackendTests

    return [
        (Through, tests.EmailMessageTests),
        (Through, tests.SendMailTests),
        (Through, tests.SendMassMailTests),
        (Through, tests.MailAdminsAndManagersTests),
        (ToMailbox, SharedEmailBackendTests),
    ]


def run(lead, case, flavour):
    """Yield each test of the case, and why it fails if it does."""
    kind = type(case.__name__, (lead, case, SimpleTestCase), {"flavour": flavour})
    names = unittest.defaultTestLoader.getTestCaseNames(kind)
    suite = unittest.TestSuite(kind(name) for name in names if flavour.has_outbox or not looks_into_outbox(kind, name))
    yield from ((name_of(test), "") for test in suite)
    result = unittest.TestResult()
    suite.run(result)
    for test, why in [*result.failures, *result.errors]:
        yield name_of(getattr(test, "test_case", test)), why


def looks_into_outbox(kind, name):
    return any(each in inspect.getsource(getattr(kind, name)) for each in ("mail.outbox", "get_outbox_message"))


def name_of(test):
    return f"{type(test).__name__}.{test._testMethodName}"


def set_up(folder):
    sys.path.insert(0, f"{folder}/tests")
    warnings.simplefilter("ignore")
    SimpleTestCase.databases = {"default"}
    setup_test_environment()
    # It has put locmem in the place of the project's own.
    if HAS_MAILERS:
        settings.MAILERS = ours.MAILERS
    else:
        settings.EMAIL_BACKEND = ours.OUTBOX
    connection.creation.create_test_db(verbosity=0)


def main(folder):
    set_up(folder)
    found = {}
    for name, flavour in FLAVOURS.items():
        with flavour.in_use():
            for lead, case in cases():
                for test, why in run(lead, case, flavour):
                    failures = found.setdefault(test, {})
                    if why:
                        failures[name] = why
    json.dump(found, sys.stdout, indent=1)


main(sys.argv[1])
