"""flasky.mail.wire: between Django's emails and RFC 5322 bytes."""

from datetime import datetime, timezone
from email.mime.image import MIMEImage

import pytest
from django.core.mail import EmailMessage, EmailMultiAlternatives
from hypothesis import given
from hypothesis import strategies as st

from flasky.mail import wire


def an_email(**fields):
    fields = {"subject": "Hi", "body": "Hello", "from_email": "a@example.com", "to": ["b@example.com"], **fields}
    return EmailMultiAlternatives(**fields)


def rebuilt(email, recipients=None):
    fields = wire.compose(email)
    return wire.rebuild(
        fields["content"],
        fields["envelope_sender"],
        recipients or fields["recipients"],
        fields["provider_options"],
    )


def test_message_id_and_date_are_fixed_and_the_email_is_left_alone():
    email = an_email()
    content = wire.parse(wire.compose(email)["content"])
    assert content["Message-ID"].endswith("@example.com>")
    assert content["Date"]
    assert email.extra_headers == {}


def test_a_given_message_id_and_date_are_kept():
    email = an_email(headers={"message-id": "<1@x>", "date": "Sun, 22 Nov 2026 17:00:00 +0000"})
    fields = wire.compose(email)
    assert fields["message_id"] == "<1@x>"
    assert wire.parse(fields["content"])["Date"] == "Sun, 22 Nov 2026 17:00:00 +0000"


def test_composing_looks_up_no_host_name(monkeypatch):
    """It could take seconds, inside a request."""
    monkeypatch.setattr("socket.getfqdn", lambda *args: pytest.fail("looked up the host name"))
    from django.core.mail.utils import DNS_NAME

    monkeypatch.delattr(DNS_NAME, "_fqdn", raising=False)
    wire.compose(an_email())


def test_lines_end_with_crlf():
    content = wire.compose(an_email(body="one\ntwo\n"))["content"]
    assert b"one\r\ntwo\r\n" in content
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_the_envelope_names_each_recipient_once_and_bcc_is_in_no_header():
    email = an_email(to=["b@example.com", "B <b@example.com>"], cc=["c@example.com"], bcc=["d@example.com"])
    fields = wire.compose(email)
    assert fields["recipients"] == ["b@example.com", "c@example.com", "d@example.com"]
    assert b"d@example.com" not in fields["content"]


def test_a_domain_in_any_script_travels_in_its_ascii_form():
    fields = wire.compose(an_email(to=["Jürgen <info@bücher.example>"]))
    assert fields["recipients"] == ["info@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    "address",
    [
        "nobody",
        "@example.com",
        "a@",
        "a@b..c",
        "a b@example.com",
        "a@example.com, b@example.com",
        "jürgen@example.com",
        "",
        "Ann <>",
    ],
)
def test_an_address_that_smtp_cannot_carry_is_refused(address):
    with pytest.raises(ValueError, match=r"address|Invalid|ASCII"):
        wire.envelope_address(address)


@pytest.mark.parametrize("field", ["subject", "from_email"])
def test_a_line_break_in_a_header_is_refused(field):
    with pytest.raises(ValueError, match=r"newline|Invalid address"):
        wire.compose(an_email(**{field: "a@example.com\r\nBcc: eve@example.com"}))


@pytest.mark.parametrize("field", ["subject", "from_email", "body"])
def test_an_email_without_a_part_that_headers_need_is_refused(field):
    email = an_email()
    setattr(email, field, None)
    with pytest.raises(ValueError, match=f"{field} is None"):
        wire.compose(email)


def test_a_mail_over_the_size_limit_is_refused_with_both_numbers(settings):
    settings.MAIL_MAX_SIZE = 2000
    with pytest.raises(ValueError, match=r"'Hi' has .* bytes; MAIL_MAX_SIZE allows 2,000"):
        wire.compose(an_email(body="x" * 3000))


def test_provider_options_survive():
    email = an_email()
    email.tags, email.metadata, email.track_opens = ["welcome"], {"id": 7}, False
    again = rebuilt(email)
    assert (again.tags, again.metadata, again.track_opens) == (["welcome"], {"id": 7}, False)


def test_a_provider_option_that_is_no_json_is_refused_by_name():
    email = an_email()
    email.send_at = datetime(2026, 11, 22, tzinfo=timezone.utc)
    with pytest.raises(ValueError, match="send_at cannot be kept"):
        wire.compose(email)


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
    fields = wire.compose(an_email())
    again = wire.rebuild(fields["content"], "a@example.com", ["b@example.com"], {})
    assert again.message().as_bytes() == fields["content"].replace(b"\r\n", b"\n")


def test_attachments_come_back_with_name_type_and_bytes():
    email = an_email()
    email.attach("größe.pdf", b"%PDF\x00\xff", "application/pdf")
    email.attach("notes.txt", "plain ß", "text/plain")
    pdf, notes = rebuilt(email).attachments
    assert (pdf.filename, pdf.content, pdf.mimetype) == ("größe.pdf", b"%PDF\x00\xff", "application/pdf")
    assert (notes.filename, notes.content, notes.mimetype) == ("notes.txt", "plain ß", "text/plain")


def test_an_image_of_the_html_keeps_its_content_id():
    email = an_email()
    email.attach_alternative('<img src="cid:logo" alt="Logo">', "text/html")
    image = MIMEImage(b"\x89PNG", "png")
    image["Content-ID"] = "<logo>"
    email.attach(image)
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
        wire.compose(an_email(**fields))


def test_an_html_only_email_has_no_text_body():
    email = EmailMessage("Hi", "<p>Hello</p>", "a@example.com", ["b@example.com"])
    email.content_subtype = "html"
    parsed = wire.parse(wire.compose(email)["content"])
    assert (wire.text_body(parsed), wire.html_body(parsed)) == ("", "<p>Hello</p>")


printable = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), max_size=200)


@given(
    subject=printable, body=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=2000)
)
def test_any_subject_and_body_survive_the_wire(subject, body):
    again = rebuilt(an_email(subject=subject, body=body))
    assert again.subject.split() == subject.split()  # white space may be folded
    assert again.body.rstrip("\n") == body.rstrip("\n")
