"""flasky.mail.wire.given: an email comes back as it was given, whatever its bytes say."""

import json
from datetime import datetime, timezone
from email import message_from_bytes, policy
from email.charset import QP, Charset
from email.message import MIMEPart
from email.mime.text import MIMEText

import pytest
from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import EmailAlternative, EmailAttachment
from django.utils.functional import lazystr
from hypothesis import example, given
from hypothesis import strategies as st

from flasky.mail.compat import HAS_MODERN_PARTS, attachable
from flasky.mail.wire.compose import compose
from flasky.mail.wire.given import ATTRIBUTES, without_identity
from flasky.mail.wire.rebuild import rebuild


def an_email(**fields):
    fields = {"subject": "Hi", "body": "Hello", "from_email": "a@example.com", "to": ["b@example.com"], **fields}
    return EmailMultiAlternatives(**fields)


def rebuilt(email, **changes):
    fields = json.loads(json.dumps(compose(email) | changes, default=lambda content: content.decode("latin-1")))
    content = fields["content"].encode("latin-1")
    return rebuild(
        content, fields["envelope_sender"], fields["recipients"], fields["provider_options"], fields["as_given"]
    )


def attributes(email):
    """Return what an API reads, without the headers that each mail has."""
    read = {name: getattr(email, name) for name in ATTRIBUTES}
    given = getattr(email, "given_headers", ("Message-ID", "Date"))
    headers = {name: value for name, value in email.extra_headers.items() if name in given or name not in OURS}
    return read | {"extra_headers": headers}


OURS = ("Message-ID", "Date")
WORDS = st.text(st.sampled_from("aé日 ,;:()<>@\"'\\=?_\t"), max_size=90) | st.sampled_from(["=?utf-8?q?a?=", "x" * 200])
TEXTS = st.text(st.sampled_from("aé日 \n.\v\x85"), max_size=1200) | st.sampled_from(
    ["a\r\nb\r\n", "", "x" * 1200, "a\n" * 9]
)
DISPLAYED = st.sampled_from(["a@b.example", "Ann <a@b.example>", '"Ann, B." <a@b.example>', "Ünal <a@bücher.example>"])
ADDRESSES = st.lists(DISPLAYED, max_size=4)
HEADERS = st.dictionaries(st.sampled_from(["X-Tag", "x-tag", "List-Id", "Sender", "Reply-To", "From"]), DISPLAYED)
TYPES = st.sampled_from(["text/html", "text/plain", "text/calendar; method=REQUEST", "text/x-amp-html"])
FILES = st.builds(
    EmailAttachment,
    st.sampled_from(["a.bin", "größe.pdf", "", None]),
    st.binary(max_size=200),
    st.sampled_from(["application/octet-stream", "image/png"]),
) | st.builds(EmailAttachment, st.just("a.csv"), TEXTS, st.sampled_from(["text/csv", "text/calendar; method=REQUEST"]))


@given(
    WORDS.filter(lambda subject: "\v" not in subject),
    TEXTS,
    DISPLAYED,
    ADDRESSES,
    ADDRESSES,
    HEADERS,
    st.lists(st.builds(EmailAlternative, TEXTS, TYPES), max_size=2),
    st.lists(FILES, max_size=2),
)
@example("Hi", "Hello", "a@b.example", [], [], {}, [EmailAlternative("<p>Hello</p>", "text/html")], [])
@example("Hi", "a\n\n", "Ann B <a@b.example>", ["Ann <a@b.example>", "b@b.example"], [], {"X-Tag": "a"}, [], [])
def test_any_email_comes_back_as_it_was(subject, body, sender, others, hidden, headers, alternatives, attachments):
    email = an_email(subject=subject, body=body, from_email=sender, cc=others, bcc=hidden, reply_to=others)
    email.extra_headers, email.alternatives, email.attachments = headers, alternatives, attachments
    assert attributes(rebuilt(email)) == attributes(email)


def test_of_an_ordinary_email_nothing_is_kept_beside_its_bytes():
    email = an_email(to=["Ann <a@example.com>", "b@example.com"], headers={"Auto-Submitted": "auto-generated"})
    email.attach_alternative("<p>Grüße</p>\n", "text/html")
    assert compose(email)["as_given"] is None
    assert attributes(rebuilt(email)) == attributes(email)


def test_of_another_only_what_its_bytes_do_not_say():
    email = an_email(subject="Grüße", bcc=["c@example.com"], headers={"X-Tag": "a"})
    assert compose(email)["as_given"] == {"subject": "Grüße", "bcc": ["c@example.com"]}


def test_nothing_large_is_kept_twice():
    email = an_email(body="é\n" * 1000)
    email.attach("a.pdf", bytes(range(256)) * 100, "application/pdf")
    email.attach("a.csv", "1;2\n" * 1000, "text/csv")
    email.attach("b.csv", "1;2\r\n" * 1000, "text/csv")
    email.attach("a.eml", b"Subject: Hi\r\n\r\n" + b"Hello\r\n" * 1000, "message/rfc822")
    email.attach("b.eml", b"Subject: Hi\n\n" + b"Hello\n" * 1000, "message/rfc822")
    assert len(json.dumps(compose(email)["as_given"])) < 900
    assert attributes(rebuilt(email)) == attributes(email)


def test_what_is_kept_beside_the_bytes_counts_for_the_limit(settings):
    email = an_email(body="a\r\n" * 1000 + "\n")
    size = len(compose(email)["content"])
    settings.MAIL_MAX_SIZE = size + 2000
    with pytest.raises(ValueError, match="MAIL_MAX_SIZE allows"):
        compose(email)


def test_lazy_texts_are_read_when_the_email_is_stored():
    later = lazystr("später")
    email = an_email(subject=later, body=later, headers={"X-Tag": later}, attachments=[(later, later, "text/plain")])
    email.attach_alternative(later, "text/html")
    email.reply_to = [lazystr("a@example.com")]
    again = rebuilt(email)
    assert (again.subject, again.body, again.extra_headers["X-Tag"], again.reply_to[0]) == ("später",) * 3 + (
        "a@example.com",
    )
    assert (again.attachments, again.alternatives) == ([("später", "später", "text/plain")], [("später", "text/html")])


@pytest.mark.parametrize("attachments", [[], [("a", b"a", "a/b")]])
def test_headers_keep_their_order_and_numbers(attachments):
    email = an_email(headers={"X-Priority": 1, "X-A": "b", "A": "c"}, attachments=attachments)
    assert [*rebuilt(email).extra_headers.items()][:3] == [("X-Priority", 1), ("X-A", "b"), ("A", "c")]


def test_a_time_in_a_header_is_written_as_mails_have_it():
    moment = datetime(2001, 11, 9, 1, 8, 47, tzinfo=timezone.utc)
    for fields in ({}, {"attachments": [("a", b"a", "a/b")]}):
        email = an_email(headers={"Date": moment}, **fields)
        assert rebuilt(email).extra_headers["Date"] == "Fri, 09 Nov 2001 01:08:47 +0000"
        assert b"\r\nDate: Fri, 09 Nov 2001 01:08:47 +0000\r\n" in compose(email)["content"]


def test_none_in_the_place_of_answers_is_kept_as_it_takes_back_a_default():
    for fields in ({}, {"attachments": [("a", b"a", "a/b")]}):
        email = an_email(**fields)
        email.reply_to = None
        assert rebuilt(email).reply_to is None


def test_only_what_nobody_gave_of_message_id_and_date_is_ours():
    email = an_email(headers={"message-id": "<1@x>"})
    again = rebuilt(email)
    assert again.given_headers == ["message-id"]
    assert [*again.extra_headers] == ["message-id", "Date"]


def test_a_charset_comes_back_with_its_ways():
    email = an_email(body="Grüße")
    email.encoding = Charset("utf-8")
    email.encoding.body_encoding = QP
    again = rebuilt(email).encoding
    assert (again.input_charset, again.body_encoding) == ("utf-8", QP)


@pytest.mark.skipif(HAS_MODERN_PARTS, reason="Django 6 asks no Charset how to encode a body")
def test_a_body_is_encoded_in_the_way_of_its_charset():
    email = an_email(body="Grüße")
    email.encoding = Charset("utf-8")
    email.encoding.body_encoding = QP
    assert b"quoted-printable" in compose(email)["content"]


def test_an_image_of_the_html_comes_back_whole():
    image = MIMEPart()
    image.set_content(b"\x89PNG", "image", "png", cid="<logo>", disposition="inline", filename="logo.png")
    image["X-Attachment-Id"] = "1"
    [again] = rebuilt(an_email(attachments=[attachable(image)])).attachments
    assert (again["Content-ID"], again.get_payload(decode=True)) == ("<logo>", b"\x89PNG")
    assert (again.get_filename(), again.get_content_disposition(), again["X-Attachment-Id"]) == (
        "logo.png",
        "inline",
        "1",
    )
    assert isinstance(again, MIMEPart) == HAS_MODERN_PARTS


@pytest.mark.filterwarnings("ignore:MIMEBase attachments are deprecated")  # from Django 6.0 on
def test_a_part_of_pythons_older_classes_stays_one():
    part = MIMEText("é\n", "csv", "utf-8")
    [again] = rebuilt(an_email(attachments=[part])).attachments
    assert not isinstance(again, MIMEPart)
    assert (again.items(), again.get_payload(decode=True)) == (part.items(), "é\n".encode())


@pytest.mark.parametrize("name", ["a.csv", "größe.csv", None])
def test_an_attached_text_keeps_the_ends_of_lines_of_every_system(name):
    email = an_email(attachments=[(name, "é;1\rb;2\nc;3\r\n", "text/csv")])
    assert attributes(rebuilt(email)) == attributes(email)
    [part] = message_from_bytes(compose(email)["content"], policy=policy.default).iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == (name, "text/csv")
    assert part.get_payload(decode=True).decode(part.get_content_charset()) == "é;1\rb;2\nc;3\r\n"


def test_an_attached_email_is_made_once():
    email = an_email()
    email.attach("a.eml", an_email(subject="Inner"), "message/rfc822")
    [again] = rebuilt(email).attachments
    message_id = message_from_bytes(again.content)["Message-ID"]
    assert message_id
    assert again.mimetype == "message/rfc822"
    assert b"Subject: Inner\r\n" in again.content


@pytest.mark.parametrize("attachments", [[], [("a", b"a", "a/b")]])
def test_a_text_in_the_place_of_a_list_is_refused_by_name(attachments):
    email = an_email(attachments=attachments)
    email.reply_to = "ann@example.com"
    with pytest.raises(ValueError, match=r"The email's reply_to is a text, 'ann@example\.com'; give a list"):
        compose(email)


def test_a_copy_has_an_identity_of_its_own():
    kept = [["message-id", "<1@x>"], ["X-Tag", "a"], ["Date", "today"]]
    assert without_identity({"extra_headers": kept, "subject": "Hi"}) == {
        "extra_headers": [["X-Tag", "a"]],
        "subject": "Hi",
    }
    assert without_identity(None) is None
    assert without_identity({"subject": "Hi"}) == {"subject": "Hi"}
