"""flasky.mail.wire.compose: between Django's emails and RFC 5322 bytes."""

import re
from datetime import datetime, timezone
from email import policy
from email.message import MIMEPart
from email.utils import parseaddr

import pytest
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.message import EmailAlternative
from django.utils.functional import lazystr
from hypothesis import example, given
from hypothesis import strategies as st

from flasky.mail.compat import HAS_MODERN_PARTS, attachable
from flasky.mail.wire import compose, rebuild
from flasky.mail.wire.headers import encoded_address, wide_address


def an_email(**fields):
    fields = {"subject": "Hi", "body": "Hello", "from_email": "a@example.com", "to": ["b@example.com"], **fields}
    return EmailMultiAlternatives(**fields)


def rebuilt(email, recipients=None):
    fields = compose.compose(email)
    return rebuild.rebuild(
        fields["content"],
        fields["envelope_sender"],
        recipients or fields["recipients"],
        fields["provider_options"],
        fields["as_given"],
    )


def test_message_id_and_date_are_fixed_and_the_email_is_left_alone():
    email = an_email()
    content = rebuild.parse(compose.compose(email)["content"])
    assert content["Message-ID"].endswith("@example.com>")
    assert content["Date"]
    assert email.extra_headers == {}


def test_a_given_message_id_and_date_are_kept():
    email = an_email(headers={"message-id": "<1@x>", "date": "Sun, 22 Nov 2026 17:00:00 +0000"})
    fields = compose.compose(email)
    assert fields["message_id"] == "<1@x>"
    assert rebuild.parse(fields["content"])["Date"] == "Sun, 22 Nov 2026 17:00:00 +0000"


def test_composing_looks_up_no_host_name(monkeypatch):
    """It could take seconds, inside a request."""
    monkeypatch.setattr("socket.getfqdn", lambda *args: pytest.fail("looked up the host name"))
    from django.core.mail.utils import DNS_NAME

    monkeypatch.delattr(DNS_NAME, "_fqdn", raising=False)
    compose.compose(an_email())


def test_lines_end_with_crlf():
    content = compose.compose(an_email(body="one\ntwo\n"))["content"]
    assert b"one\r\ntwo\r\n" in content
    assert b"\n" not in content.replace(b"\r\n", b"")


@pytest.mark.parametrize("attachments", [[], [("a", b"a", "a/b")]])
def test_lines_end_with_crlf_inside_of_an_encoding_too(attachments):
    """RFC 2045, section 6.8; Django 6 has base64 for what is long and not in ASCII."""
    content = compose.compose(an_email(body=("日" * 600 + "\n") * 2, attachments=attachments))["content"]
    text = rebuild.parse(content).get_body(("plain",)).get_payload(decode=True)
    assert text.count(b"\n") == text.count(b"\r\n") == 2


def test_the_envelope_names_each_recipient_once_and_bcc_is_in_no_header():
    email = an_email(to=["b@example.com", "B <b@example.com>"], cc=["c@example.com"], bcc=["d@example.com"])
    fields = compose.compose(email)
    assert fields["recipients"] == ["b@example.com", "c@example.com", "d@example.com"]
    assert b"d@example.com" not in fields["content"]


def test_a_domain_in_any_script_travels_in_its_ascii_form():
    fields = compose.compose(an_email(to=["Jürgen <info@bücher.example>"]))
    assert fields["recipients"] == ["info@xn--bcher-kva.example"]


@pytest.mark.parametrize("name", ["Bcc", "bcc", "Resent-Bcc"])
@pytest.mark.parametrize("attachments", [[], [("notes.txt", "notes", "text/plain")]])
def test_whoever_is_named_in_a_header_bcc_gets_the_mail_and_nobody_sees_it(name, attachments):
    fields = compose.compose(an_email(headers={name: "Dora <d@example.com>, e@example.com"}, attachments=attachments))
    assert fields["recipients"] == ["b@example.com", "d@example.com", "e@example.com"]
    assert b"d@example.com" not in fields["content"]
    assert b"bcc" not in fields["content"].lower()


class Hiding(EmailMultiAlternatives):
    def message(self, **options):
        message = super().message(**options)
        message["Bcc"] = "d@example.com"
        return message


def test_a_header_bcc_that_an_emails_own_class_makes_is_not_shown_either():
    assert b"d@example.com" not in compose.compose(Hiding("Hi", "Hello", "a@example.com", ["b@example.com"]))["content"]


ATTACHED = [("größe.txt", "notes", "text/plain")]


@pytest.mark.parametrize("attachments", [[], ATTACHED])
def test_a_domain_travels_in_the_ascii_form_of_idna_2008_wherever_it_stands(attachments):
    email = an_email(
        from_email="Zoë <a@faß.example>", to=["b@faß.example"], cc=["Ç <c@faß.example>"], attachments=attachments
    )
    email.extra_headers = {"Sender": "d@faß.example, Ö <e@faß.example>"}
    fields = compose.compose(email)
    assert fields["recipients"] == ["b@xn--fa-hia.example", "c@xn--fa-hia.example"]
    assert fields["content"].count(b"@xn--fa-hia.example") == 6  # with the Message-ID's
    assert b"fass" not in fields["content"]


@pytest.mark.parametrize("attachments", [[], ATTACHED])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("In-Reply-To", f"<{'a' * 90}@example.com>"),
        ("References", " ".join(f"<{number}{'b' * 60}@example.com>" for number in range(9))),
        ("List-Unsubscribe", f"<https://example.com/unsubscribe?token={'c' * 300}>, <mailto:leave@example.com>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Message-ID", f"<{'d' * 150}@example.com>"),
        ("Feedback-ID", "e" * 200),
    ],
)
def test_ids_and_urls_are_written_as_they_are_however_long(name, value, attachments):
    """Django 6 by itself writes them in encoded words, in which no program looks for them."""
    content = compose.compose(an_email(headers={name: value}, attachments=attachments))["content"]
    header = content.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ")
    assert f"{name}: {value}".encode() in header.replace(b":  ", b": ")


@pytest.mark.parametrize(
    "address",
    [
        "nobody",
        "@example.com",
        "a@",
        "a@b..c",
        "a b@example.com",
        "a@example.com, b@example.com",
        "",
        "Ann <>",
    ],
)
def test_an_address_that_smtp_cannot_carry_is_refused(address):
    with pytest.raises(ValueError, match=r"address|Invalid|ASCII"):
        compose.envelope_address(address)


def test_a_long_name_before_a_domain_outside_ascii_is_folded():
    sender = f"{'ñ' * 60} <ann@bücher.example>"
    email = an_email(from_email=sender, headers={"Cc": sender}, attachments=[("a.txt", "a", "text/plain")])
    header = compose.compose(email)["content"].partition(b"\r\n\r\n")[0]
    assert header.count(b"<ann@xn--bcher-kva.example>") == 2
    assert max(map(len, header.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("field", ["subject", "from_email"])
def test_a_line_break_in_a_header_is_refused(field):
    with pytest.raises(ValueError, match=r"newline|Invalid address"):
        compose.compose(an_email(**{field: "a@example.com\r\nBcc: eve@example.com"}))


@pytest.mark.parametrize("line_break", ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"])
@pytest.mark.parametrize("attachments", [[], [("notes.txt", "notes", "text/plain")]])
@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "Hi{}Bcc : eve@example.com"},
        {"subject": "Grüße{}Bcc : eve@example.com"},
        {"reply_to": ["a@example.com{}Bcc : eve@example.com"]},
        {"headers": {"X-Kind": "welcome{}Bcc : eve@example.com"}},
        {"headers": {"From": "a@example.com{}Bcc : eve@example.com"}},
        {"headers": {"X-Kind{}Bcc": "eve@example.com"}},
    ],
)
def test_no_character_that_ends_a_line_anywhere_gets_into_a_header(fields, attachments, line_break):
    """Python's folding takes \\v and \\f for line ends, and what follows them would be a header, or the body."""

    def filled(value):
        if isinstance(value, str):
            return value.format(line_break)
        return {filled(k): filled(v) for k, v in value.items()} if isinstance(value, dict) else list(map(filled, value))

    with pytest.raises(ValueError, match="newline"):
        compose.compose(an_email(**filled(fields), attachments=attachments))


@pytest.mark.parametrize("name", ["", "X Kind", "X:Kind", "X-Küche"])
def test_a_name_that_no_header_can_have_is_refused(name):
    with pytest.raises(ValueError, match="header"):
        compose.compose(an_email(headers={name: "1"}))


@pytest.mark.parametrize("field", ["subject", "from_email", "body"])
def test_an_email_without_a_part_that_headers_need_is_refused(field):
    email = an_email()
    setattr(email, field, None)
    email.template_id = "welcome"  # which a provider would know
    with pytest.raises(
        ValueError, match=rf"{field} is None\. .* one of Anymail's back ends as MAIL_TRANSPORT, which is"
    ):
        compose.compose(email)


@pytest.mark.parametrize("field", ["subject", "from_email", "body"])
def test_what_the_template_of_a_provider_brings_is_left_to_it(field, settings):
    settings.MAIL_TRANSPORT = "mailgun"
    email = an_email()
    setattr(email, field, None)
    with pytest.raises(ValueError, match=rf"{field} is None\. .* with a template_id"):
        compose.compose(email)
    email.template_id = "welcome"
    assert getattr(rebuilt(email), field) is None
    assert (
        compose.compose(email)["from_header"] == "a@example.com"
        if field != "from_email"
        else settings.DEFAULT_FROM_EMAIL
    )


def test_a_mail_over_the_size_limit_is_refused_with_both_numbers(settings):
    settings.MAIL_MAX_SIZE = 2000
    with pytest.raises(ValueError, match=r"'Hi' has .* bytes; MAIL_MAX_SIZE allows 2,000"):
        compose.compose(an_email(body="x" * 3000))


def test_a_mail_for_later_bears_the_date_of_that_time_and_no_provider_delays_it_again():
    email = an_email()
    email.send_at = datetime(2099, 11, 22, tzinfo=timezone.utc)
    fields = compose.compose(email)
    assert b"Date: Sun, 22 Nov 2099 00:00:00 +0000" in fields["content"]
    assert rebuilt(email).send_at is None  # which takes back a default of the project, too


def test_an_email_comes_back_as_it_was():
    email = an_email(
        subject="Grüße 🎉",
        body="Text\nzwei Zeilen: ß",
        from_email="Flasky Admin <flasky@example.com>",
        to=["Zoë <zoe@example.com>", "b@example.com"],
        cc=["c@example.com"],
        bcc=["d@example.com"],
        reply_to=["answers@example.com"],
        headers={"X-Kind": "welcome", "List-Id": "<all.example.com>"},
    )
    email.attach_alternative("<p>HTML: ß</p>", "text/html")
    again = rebuilt(email)
    assert (again.subject, again.body, again.from_email) == (email.subject, email.body, email.from_email)
    assert again.to == ["Zoë <zoe@example.com>", "b@example.com"]
    assert (again.cc, again.bcc, again.reply_to) == (email.cc, email.bcc, email.reply_to)
    assert again.alternatives[0].content == "<p>HTML: ß</p>"
    assert again.extra_headers["X-Kind"] == "welcome"
    assert again.extra_headers["Message-ID"]


def test_only_the_remaining_recipients_are_addressed():
    email = an_email(to=["b@example.com", "c@example.com"], bcc=["d@example.com"])
    again = rebuilt(email, ["c@example.com", "d@example.com"])
    assert again.recipients() == ["c@example.com", "d@example.com"]


def test_a_rebuilt_email_shows_what_was_stored_to_the_byte():
    fields = compose.compose(an_email())
    again = rebuild.rebuild(fields["content"], "a@example.com", ["b@example.com"], {})
    assert again.message().as_bytes() == fields["content"].replace(b"\r\n", b"\n")


def test_attachments_come_back_with_name_type_and_bytes():
    email = an_email()
    email.attach("größe.pdf", b"%PDF\x00\xff", "application/pdf")
    email.attach("notes.txt", "plain ß\n", "text/plain")  # without a line end, Django 6 would add one
    pdf, notes = rebuilt(email).attachments
    assert (pdf.filename, pdf.content, pdf.mimetype) == ("größe.pdf", b"%PDF\x00\xff", "application/pdf")
    assert (notes.filename, notes.content, notes.mimetype) == ("notes.txt", "plain ß\n", "text/plain")


def test_an_image_of_the_html_keeps_its_content_id():
    email = an_email()
    email.attach_alternative('<img src="cid:logo" alt="Logo">', "text/html")
    image = MIMEPart()
    image.set_content(b"\x89PNG", "image", "png", cid="<logo>")
    email.attach(attachable(image))
    [again] = rebuilt(email).attachments
    assert (again["Content-ID"], again.get_payload(decode=True)) == ("<logo>", b"\x89PNG")


def test_a_forwarded_message_stays_one_attachment():
    inner = an_email(subject="Inner")
    email = an_email()
    email.attach("original.eml", inner, "message/rfc822")
    [again] = rebuilt(email).attachments
    assert (again.filename, again.mimetype) == ("original.eml", "message/rfc822")
    assert "Subject: Inner" in str(again.content)


def test_an_invitation_stays_an_alternative_with_its_method():
    email = an_email()
    email.attach_alternative("<p>Come!</p>", "text/html")
    email.attach_alternative("BEGIN:VCALENDAR\nEND:VCALENDAR\n", "text/calendar; method=REQUEST")
    _, calendar = rebuilt(email).alternatives
    assert calendar.content == "BEGIN:VCALENDAR\nEND:VCALENDAR\n"
    assert "method=REQUEST" in calendar.mimetype.replace('"', "")


def test_a_text_attachment_keeps_its_line_ends():
    email = an_email()
    email.attach("table.csv", "a\nb\n", "text/csv")
    [again] = rebuilt(email).attachments
    assert again.content == "a\nb\n"


@pytest.mark.parametrize(
    "fields",
    [{"reply_to": ["noreply"]}, {"reply_to": ["jürgen@example.com"]}, {"headers": {"To": "undisclosed-recipients:;"}}],
)
def test_a_header_that_smtp_does_not_mind_does_not_stop_other_transports(fields):
    assert rebuilt(an_email(**fields)).recipients() == ["b@example.com"]


@pytest.mark.parametrize(
    "fields", [{"to": ["x" * 250 + "@example.com"]}, {"headers": {"Message-ID": "<" + "x" * 260 + ">"}}]
)
def test_what_no_column_could_hold_is_refused(fields):
    with pytest.raises(ValueError, match=r"has \d+ characters"):
        compose.compose(an_email(**fields))


def test_an_html_only_email_has_no_text_body():
    email = EmailMessage("Hi", "<p>Hello</p>", "a@example.com", ["b@example.com"])
    email.content_subtype = "html"
    parsed = rebuild.parse(compose.compose(email)["content"])
    assert (rebuild.text_body(parsed), rebuild.html_body(parsed)) == ("", "<p>Hello</p>")


def djangos(email):
    """The wire form that Django makes, with the boundary hidden, which is random."""
    options = {"policy": policy.SMTP} if HAS_MODERN_PARTS else {"linesep": "\r\n"}
    return without_boundary(email.message().as_bytes(**options))


def without_boundary(content):
    return re.sub(rb"={15}\d+==", b"BOUNDARY", content)


HTML = EmailAlternative("<p>Hello</p>", "text/html")
FIXED = {"Message-ID": "<1@example.com>", "Date": "Sun, 22 Nov 2026 17:00:00 +0000"}
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=2000)
one_line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r\v\f\x1c\x1d\x1e"), max_size=200)
addresses = st.builds(
    '"{}" <{}@{}>'.format, st.text("Añ日 ,.'()", max_size=90), st.just("a.b+c"), st.just("bücher.example")
)


@pytest.mark.skipif(HAS_MODERN_PARTS, reason="Django 6 writes other bytes for the same mail")
@given(one_line, any_text, any_text, addresses, st.lists(addresses, max_size=4), one_line)
@example("y" * 69, "x" * 998, "ß" * 499, "a@example.com", [], "z" * 70)  # lines as long as they may be
@example("y" * 70, "x" * 998, "x" * 999, "a@example.com", [], "z" * 71)  # and longer
@example("  two  spaces  ", "x" * 999, "ß" * 500, "a@example.com", [], "\t")
@example("Hi", "\r\n\r\n\n.\r\n", "From me\n--\n", "a@example.com", ["b@example.com"] * 5, "x y")
@example("Hi", "", "<p>Hello</p>", "a@example.com", ["b@example.com"], "")
def test_an_email_has_the_bytes_that_django_would_give_it(subject, text, html, sender, others, value):
    """Ordinary mails are written without the email package; nobody can tell from the result."""
    fields = {"subject": subject, "from_email": sender, "cc": others, "reply_to": others[:1]}
    headers = {**FIXED, "X-Kind": value, "to": "ignored", "Cc": sender} if others else {**FIXED, "X-Kind": value}
    for email in (
        an_email(body=text, headers=headers, **fields),
        an_email(body=text, headers=headers, **fields, alternatives=[(html, "text/html")]),
    ):
        assert without_boundary(compose.compose(email)["content"]) == djangos(email)


@pytest.mark.parametrize("subject", ["Hi", "Grüße", "one line " * 20, "ein Gruß " * 20])
@pytest.mark.parametrize("sender", ["a@example.com", "Zoë <zoe@bücher.example>", '"O\'Brien, A." <a@example.com>'])
@pytest.mark.parametrize("alternatives", [[], [("<p>Grüße</p>\n", "text/html")]])
def test_an_ordinary_email_says_what_djangos_message_says(subject, sender, alternatives):
    email = an_email(
        subject=subject, body="Hello ß\n", from_email=sender, cc=[sender], headers=FIXED, alternatives=alternatives
    )
    ours, theirs = rebuild.parse(compose.compose(email)["content"]), rebuild.parse(djangos(email))
    for name in ("Subject", "From", "To", "Cc", "Message-ID", "Date"):
        assert rebuild.header(ours, name).split() == rebuild.header(theirs, name).split()
    assert (rebuild.text_body(ours), rebuild.html_body(ours)) == (rebuild.text_body(theirs), rebuild.html_body(theirs))


@pytest.mark.parametrize("subject", ["Hi", "Grüße", "A subject of more than one line " * 4])
def test_an_ordinary_email_is_written_without_djangos_message(subject, monkeypatch):
    """It takes ten times as long."""
    email = an_email(subject=subject, from_email="Zoë <zoe@example.com>", alternatives=[("<p>ß</p>", "text/html")])
    monkeypatch.setattr(EmailMessage, "message", lambda self: pytest.fail("message() was called"))
    content = compose.compose(email)["content"]
    assert rebuild.header(rebuild.parse(content), "Subject").split() == subject.split()


class Branded(EmailMultiAlternatives):
    def message(self):
        message = super().message()
        message["X-Brand"] = "Flasky"
        del message["Message-ID"]
        message["Message-ID"] = "<brand@example.com>"
        return message


def test_an_email_class_with_its_own_message_keeps_it():
    fields = compose.compose(Branded("Hi", "Hello", "a@example.com", ["b@example.com"]))
    assert rebuild.parse(fields["content"])["X-Brand"] == "Flasky"
    assert fields["message_id"] == "<brand@example.com>"


@pytest.mark.parametrize(
    "attributes",
    [
        {"encoding": "iso-8859-1", "body": "Grüße"},
        pytest.param(
            {"alternative_subtype": "related"},
            marks=pytest.mark.skipif(HAS_MODERN_PARTS, reason="Django 6 has no such attribute"),
        ),
        {"content_subtype": "enriched"},
        {"body": ""},
        {"attachments": [("notes.txt", "notes", "text/plain")]},
        {"alternatives": [HTML, EmailAlternative("BEGIN:VCALENDAR", "text/calendar; method=REQUEST")]},
        {"alternatives": [EmailAlternative("BEGIN:VCALENDAR", "text/calendar")]},
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_django(attributes):
    email = an_email(headers=FIXED, alternatives=[HTML])
    vars(email).update(attributes)
    assert without_boundary(compose.compose(email)["content"]) == djangos(email)


def test_a_text_that_is_translated_late_is_kept():
    content = compose.compose(an_email(body=lazystr("Later")))["content"]
    assert rebuild.text_body(rebuild.parse(content)) == "Later"


def test_an_email_that_was_given_its_own_message_keeps_it():
    email, other = an_email(), an_email(subject="Other", headers=FIXED)
    email.message = other.message
    assert rebuild.header(rebuild.parse(compose.compose(email)["content"]), "Subject") == "Other"


def test_a_charset_of_the_project_is_kept(settings):
    settings.DEFAULT_CHARSET = "iso-8859-1"
    content = compose.compose(an_email(body="Grüße"))["content"]
    assert b"iso-8859-1" in content
    assert rebuild.text_body(rebuild.parse(content)).strip() == "Grüße"


@given(
    st.lists(
        st.sampled_from(["a", "Ann", " ", "<", ">", "@", ".", "_", "-", '"', "=?", "x.de", "a@x.de", "ü", "b" * 63])
    )
)
@example(["Ann", " ", "<", "a@x.de", ">"])
@example(['"', "Ann", " ", "Ann", '"', " ", "<", "a@x.de", ">"])
@example(['"', "Ann", " ", "<", "a@x.de", ">"])
@example(["a", "@", "b" * 63, "b"])
def test_an_address_read_without_a_parser_is_what_the_parser_reads(pieces):
    address = "".join(pieces)
    try:
        bare = compose.envelope_address(address)
    except ValueError:
        return
    assert bare == wide_address(parseaddr(encoded_address(address, "utf-8"))[1])


printable = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), max_size=200)


@given(
    subject=printable, body=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=2000)
)
def test_any_subject_and_body_survive_the_wire(subject, body):
    again = rebuilt(an_email(subject=subject, body=body))
    assert again.subject.split() == subject.split()  # white space may be folded
    assert again.body.rstrip("\n") == body.rstrip("\n")
