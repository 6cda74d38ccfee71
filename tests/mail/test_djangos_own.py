"""Django's own tests of its mail, run against the outbox: each mail is looked at after it has arrived.

They come from the source of the Django that runs the tests, which is fetched once into .django-source/.
"""

import json
import subprocess
import sys
import tarfile

import django
import pytest

from tests.conftest import missing
from tests.docs.pages import ROOT

pytestmark = pytest.mark.timeout(600)  # s; the first time the source is fetched, of which pip makes a package

SOURCES = ROOT / ".django-source"
EVERYWHERE = ("stored", "locmem", "file", "smtp", "api")
ON_THE_WIRE = ("stored", "locmem", "file", "smtp")  # which all have the stored bytes
BYTES_ALONE = ("stored", "file", "smtp")

# Where they fail, and why that is meant.
DEVIATIONS = {
    # --- What the outbox refuses, or says in its own words
    "MailTests.test_nonascii_as_string_with_ascii_charset": (EVERYWHERE, "half a character is refused"),
    "BaseEmailBackendTests.test_recipient_without_domain": (EVERYWHERE, "an address without a domain is refused"),
    "BaseEmailBackendTests.test_lazy_addresses": (EVERYWHERE, "an address without a domain is refused"),
    "EmailMessageTests.test_localpart_only_address": (EVERYWHERE, "an address without a domain is refused"),
    "EmailMessageTests.test_lazy_addresses": (("locmem",), "an address without a domain is refused"),
    "SendMailTests.test_lazy_addresses": (("locmem",), "an address without a domain is refused"),
    "EmailMessageTests.test_address_header_handling": (EVERYWHERE, "no domain has a € by IDNA 2008"),
    "EmailMessageTests.test_header_injection": (EVERYWHERE, "refused in words of our own"),
    "EmailMessageTests.test_address_header_injection": (
        EVERYWHERE,
        "refused in words of our own",
    ),
    # --- What it does otherwise
    "MailTests.test_non_ascii_dns_non_unicode_email": (EVERYWHERE, "the Message-ID has the sender's domain"),
    "EmailMessageTests.test_non_ascii_dns_non_unicode_email": (EVERYWHERE, "the Message-ID has the sender's domain"),
    "MailTimeZoneTests.test_date_header_utc": (EVERYWHERE, "the Date says that it is in UTC: +0000, not -0000"),
    "EmailMessageTests.test_bcc_in_headers_raises_error": (EVERYWHERE, "those in a header Bcc get the mail unseen"),
    "EmailMessageTests.test_body_content_transfer_encoding": (
        ON_THE_WIRE,
        "a text stays as it is (8bit) with lines of 79 bytes and more, and is encoded for a relay that needs it",
    ),
    "MailTests.test_folding_white_space": (
        ON_THE_WIRE,
        "the header is folded once more when it is written",
    ),
    "EmailMessageTests.test_folding_white_space": (ON_THE_WIRE, "the header is in three lines, which read the same"),
    "MailTests.test_backend_arg": (EVERYWHERE, "the default back end is the outbox"),
    "SharedEmailBackendTests.test_fail_silently_arg_accepted": (EVERYWHERE, "an outbox in MAILERS may be silent"),
    # --- What nothing can do that carries mails
    "MailTests.test_decoded_attachments_MIMEText": (EVERYWHERE, "what arrives is not the same object"),
    "EmailMessageTests.test_decoded_attachment_text_MIMEPart": (
        EVERYWHERE,
        "what arrives is not the same object",
    ),
    "EmailMessageTests.test_message_policy_cte_7bit": (ON_THE_WIRE, "the policy was chosen when the mail was stored"),
    "EmailMessageTests.test_message_policy_smtputf8": (ON_THE_WIRE, "the policy was chosen when the mail was stored"),
    "EmailMessageTests.test_send": (("locmem",), "sent by the mailer behind"),
    "SendMailTests.test_sends_using_default_mailer": (("locmem",), "sent by the mailer behind"),
    "SendMassMailTests.test_sends_using_default_mailer": (("locmem",), "sent by the mailer behind"),
    "MailAdminsAndManagersTests.test_sends_using_default_mailer": (
        ("locmem",),
        "sent by the mailer behind",
    ),
}


@pytest.fixture(scope="module")
def source():
    """The folder with the `tests` of the source of this Django."""
    name = f"django-{django.__version__}"
    folder, archive = SOURCES / name, SOURCES / f"{name}.tar.gz"
    if not (folder / "tests" / "mail").is_dir():
        fetch(SOURCES)
        with tarfile.open(archive) as files:
            of_mail = [member for member in files if member.name.startswith(f"{name}/tests/mail/")]
            files.extractall(SOURCES, of_mail, filter="data")
        archive.unlink()
    return folder


def fetch(folder):
    options = ["--no-binary", "django", "--no-deps", "--disable-pip-version-check", "--dest", folder]
    command = [sys.executable, "-m", "pip", "download", *options, f"django=={django.__version__}"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=280)
    if finished.returncode:
        print(finished.stdout, finished.stderr)
        missing("a package index with the source of Django")


def test_a_mail_arrives_as_djangos_own_tests_want_it(source):
    command = [sys.executable, "-m", "tests.foreign.django_mail", source]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    deviations = {test: tuple(why) for test, why in found.items() if why}
    meant = {test: flavours for test, (flavours, _) in DEVIATIONS.items() if test in found}
    unexpected = {test: found[test] for test in deviations if deviations[test] != meant.get(test)}
    assert deviations == meant, json.dumps(unexpected, indent=1)
