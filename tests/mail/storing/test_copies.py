"""flasky.mail.storing.copies: a new message from a stored one, and the email that forwards it."""

import re
from datetime import timedelta
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from flasky.mail.models import OutboxMessage, State
from flasky.mail.storing.copies import forwarding, new_message_from, with_identity
from flasky.mail.wire.compose import compose
from flasky.mail.wire.rebuild import rebuild

NEW = ("<new@example.com>", "Thu, 26 Nov 2026 07:00:00 +0000")
FIRST = b"Message-ID: <new@example.com>\r\nDate: Thu, 26 Nov 2026 07:00:00 +0000\r\n"

# Headers that only look like those that are replaced, and bodies that look like headers.
NAMES = ["X-Message-ID", "Message-IDs", "Resent-Message-ID", "Resent-Date", "Date-Sent", "Update", "Subject", "To"]
VALUES = [
    "a",
    "Date: Mon, 1 Jan 2024",
    "=?utf-8?q?=C3=A9?=",
    "a\r\n Message-ID: <folded@x>",
    "a\r\n\tDate: b\r\n c",
    "",
]
OTHER_HEADERS = st.lists(st.builds("{}: {}".format, st.sampled_from(NAMES), st.sampled_from(VALUES)), min_size=1)
BODIES = st.sampled_from(
    [b"", b"Date: today\r\nMessage-ID: <x>\r\n", b"a\r\n\r\nDate: b\r\n\r\n", b"\xef\xbb\xbf\xff\x00\n\r"]
)
OLD = st.lists(
    st.sampled_from(
        [
            "Message-ID: <old@example.com>",
            "MESSAGE-ID:\r\n <folded@example.com>",
            "Date: Mon, 1 Jan 2024",
            "date:\r\n\tx\r\n y",
        ]
    ),
    max_size=3,
)


@given(OTHER_HEADERS, OLD, BODIES, st.randoms())
def test_only_the_identity_is_replaced_and_no_other_byte(others, old, body, chance):
    lines = [*others, *old]
    chance.shuffle(lines)
    kept = [line for line in lines if line not in old]
    before, after = ("".join(f"{line}\r\n" for line in some).encode() + b"\r\n" + body for some in (lines, kept))
    assert with_identity(before, *NEW) == FIRST + after


def store(**changes):
    email = EmailMultiAlternatives(
        changes.pop("subject", "Grüße"),
        "Hello\nDate: no header",
        "Ann <ann@example.com>",
        ["bob@example.com"],
        bcc=changes.pop("bcc", ["eve@example.com"]),
        headers=changes.pop("headers", {}),
    )
    email.attach_alternative("<p>Hello é</p>", "text/html")
    email.attach("x.bin", b"\r\n\x00\xff", "application/octet-stream")
    for name in ("metadata", "kind", "cause"):
        if name in changes:
            setattr(email, name, changes.pop(name))
    email.send()
    OutboxMessage.objects.filter(pk=email.outbox_message.pk).update(**changes)
    return OutboxMessage.objects.get(pk=email.outbox_message.pk)


def without_identity(content):
    return re.sub(rb"(?m)^(Message-ID|Date): .*\r\n", b"", bytes(content), count=2)


@pytest.mark.django_db
def test_a_new_message_differs_in_its_identity_only():
    original = store(headers={"X-Long": "word " * 50, "Date": "Mon, 01 Jan 2024 00:00:00 +0000"})
    new = new_message_from(original)
    parsed = message_from_bytes(new.content, policy=policy.default)
    assert parsed.get_all("Message-ID") == [new.message_id]
    assert [timezone.now() - parsedate_to_datetime(date) < timedelta(minutes=1) for date in parsed.get_all("Date")]
    assert new.message_id != original.message_id
    assert new.message_id.endswith("@example.com>")
    assert without_identity(new.content) == without_identity(original.content)


@pytest.mark.django_db
def test_a_new_message_is_for_the_same_people_in_the_same_matter():
    original = store(
        metadata={"id": 7}, kind="mail/new_user", cause="accounts.user:7", state=State.FAILED, priority="urgent"
    )
    new = new_message_from(original)
    same = ("from_header", "subject", "envelope_sender", "recipients", "provider_options", "kind", "cause", "priority")
    assert {name: getattr(new, name) for name in same} == {name: getattr(original, name) for name in same}
    assert new.provider_options == {"metadata": {"id": 7}}


@pytest.mark.django_db
def test_a_new_message_gives_an_api_what_the_old_one_gives():
    """Its header is longer or shorter, and what is kept of the rest is its place behind the header."""
    original = store(headers={"Message-ID": f"<{'1' * 60}@example.com>", "X-Kind": "welcome"})
    emails = [
        rebuild(bytes(each.content), each.envelope_sender, each.recipients, each.provider_options, each.as_given)
        for each in (original, new_message_from(original))
    ]
    for name in ("subject", "body", "from_email", "to", "bcc", "alternatives", "attachments"):
        assert getattr(emails[0], name) == getattr(emails[1], name)
    assert emails[1].extra_headers["X-Kind"] == "welcome"
    assert emails[1].extra_headers["Message-ID"] != emails[0].extra_headers["Message-ID"]


@pytest.mark.django_db
def test_what_became_of_the_old_message_says_nothing_of_the_new_one():
    original = store(
        state=State.FAILED, attempt_count=3, last_reply="550 No", possible_duplicate=True, lost_claims=2, source="index"
    )
    OutboxMessage.objects.update(outcomes={"bob@example.com": {"accepted": True, "reply": "250"}})
    original.refresh_from_db()
    new = new_message_from(original)
    assert (new.state, new.attempt_count, new.last_reply, new.possible_duplicate) == (State.QUEUED, 0, "", False)
    assert (new.lost_claims, new.outcomes, new.source, new.claim_token) == (0, {}, "", None)


@pytest.mark.django_db
def test_a_forwarding_has_the_whole_mail_as_its_attachment():
    original = store()
    forwarding(original, "me@example.com").send()
    sent = message_from_bytes(bytes(OutboxMessage.objects.latest("pk").content), policy=policy.default)
    [attachment] = sent.iter_attachments()
    assert (attachment.get_content_type(), attachment.get_filename()) == (
        "message/rfc822",
        f"message-{original.pk}.eml",
    )
    forwarded = attachment.get_content()
    stored = message_from_bytes(bytes(original.content), policy=policy.default)
    assert forwarded.items() == stored.items()
    assert [part.get_content() for part in leaves(forwarded)] == [part.get_content() for part in leaves(stored)]


def leaves(parsed):
    return [part for part in parsed.walk() if not part.is_multipart()]


@pytest.mark.django_db
def test_a_forwarding_says_what_it_is_and_goes_to_one_person():
    original = store(subject="[Flasky] New User", created_at=timezone.now().replace(2026, 5, 4, 13, 2, 1))
    email = forwarding(original, "me@example.com")
    assert email.subject == "[Flasky] Fwd: New User"
    assert email.recipients() == ["me@example.com"]
    assert f"the outbox's message {original.pk}, stored at 2026-05-04 13:02:01 UTC." in email.body
    assert "to: bob@example.com, eve@example.com" in email.body


@pytest.mark.django_db
def test_one_space_follows_the_prefix_of_a_forwarding_also_djangos_which_ends_with_one(settings):
    settings.FLASKY_MAIL_SUBJECT_PREFIX = None
    settings.EMAIL_SUBJECT_PREFIX = "[Shop] "
    assert forwarding(store(subject="[Shop] News"), "me@example.com").subject == "[Shop] Fwd: News"


@pytest.mark.django_db
def test_a_subject_with_an_end_of_a_line_that_only_some_know_can_be_forwarded():
    EmailMessage("One\u2028two", "Hello", "ann@example.com", ["b@example.com"]).send()
    forwarding(OutboxMessage.objects.get(), "me@example.com").send()
    assert OutboxMessage.objects.latest("pk").subject == "[Flasky] Fwd: One two"


@pytest.mark.django_db
def test_a_forwarding_names_a_few_of_many_recipients(settings):
    settings.FLASKY_MAIL_SUBJECT_PREFIX = ""
    email = forwarding(store(bcc=[f"b{number}@example.com" for number in range(9)]), "me@example.com")
    assert (
        "to: bob@example.com, b0@example.com, b1@example.com, b2@example.com, b3@example.com and 5 more" in email.body
    )
    assert email.subject == "Fwd: Grüße"


@pytest.mark.django_db
def test_a_mail_in_eight_bits_comes_back_to_the_byte(settings):
    """Django takes attached mails apart and writes them anew."""
    EmailMessage("Hi", "é\n" * 3 + "From me\n.\n", "ann@example.com", ["b@example.com"]).send()
    original = OutboxMessage.objects.get()
    forwarding(original, "me@example.com").send()
    assert bytes(original.content) in bytes(OutboxMessage.objects.latest("pk").content)


@pytest.mark.django_db
def test_a_new_message_has_an_identity_of_its_own_even_if_somebody_had_set_the_first_ones():
    email = EmailMessage("Hi", "Hello", "a@example.com", ["b@example.com"])
    email.extra_headers = {"message-id": "<1@x>", "X-Kind": "welcome"}
    fields = compose(email)
    assert fields["as_given"]["extra_headers"] == [["message-id", "<1@x>"], ["X-Kind", "welcome"]]
    assert new_message_from(OutboxMessage(**fields)).as_given["extra_headers"] == [["X-Kind", "welcome"]]
