"""flasky.mail.web.preview: what a stored message consists of, however broken it is."""

import time
from base64 import b64encode
from email.message import EmailMessage as ParsedEmail

import pytest
from django.core.mail import EmailMultiAlternatives
from hypothesis import given
from hypothesis import strategies as st

from flasky.mail.models import OutboxMessage
from flasky.mail.web.preview import has_own_dark, html_for, remote_hosts
from flasky.mail.web.recipients import addresses
from flasky.mail.wire.compose import compose
from flasky.mail.wire.mime import MAX_BOUNDARIES, MAX_NAME, MOST_SHOWN, Parts, decoded, safe_name

PNG = b"\x89PNG pixels"


def parts_of(html="", text="Hello", **options):
    email = EmailMultiAlternatives("Hi", text, "ann@example.com", ["bob@example.com"], **options)
    if html:
        email.attach_alternative(html, "text/html")
    return Parts(compose(email)["content"])


def mime(*headers, body=b"x"):
    return Parts("\r\n".join([*headers, "", ""]).encode() + body)


def with_image(html, content=PNG, content_id="<logo>", mimetype="image/png"):
    mail = ParsedEmail()
    mail.set_content(html, subtype="html")
    mail.add_related(content, "image", "png", cid=content_id)
    return Parts(mail.as_bytes().replace(b"image/png", mimetype.encode()))


def read_all(parts):
    """Read whatever a page can show, as a page would."""
    attachments = [(part.name, part.mimetype, part.size, part.is_embedded) for part in parts.attachments]
    shown = [parts.text, parts.html, parts.headers, parts.source, attachments, parts.headers_are_cut]
    shown += [html_for(parts, remote) for remote in (False, True)]
    shown += [remote_hosts(parts.html), has_own_dark(parts.html)]
    shown += [parts.written_addresses(name) for name in ("From", "Reply-To", "To", "Cc")]
    return str(shown).encode()


# The text, the headers, the addresses


def test_text_and_html_are_read_as_they_were_written():
    parts = parts_of("<p>Zoë</p>", "Zoë\nLee")
    assert (parts.text, parts.html) == ("Zoë\nLee", "<p>Zoë</p>")
    assert parts.attachments == []


def test_headers_are_decoded():
    subject = "Zoë Müller " * 20
    email = EmailMultiAlternatives(subject.strip(), "x", "Zoë <ann@example.com>", ["bob@example.com"])
    headers = dict(Parts(compose(email)["content"]).headers)
    assert headers["Subject"] == subject.strip()
    assert headers["From"] == "Zoë <ann@example.com>"


@pytest.mark.parametrize("raw", ["=?none?q?a?=", "=?utf-8?q?=FF?=", "=?", "Zo\udcc3\udcab \ud800"])
def test_a_broken_header_is_shown_as_far_as_it_can_be_read(raw):
    assert decoded(raw).encode()


def test_a_header_in_utf_8_is_read_even_if_a_byte_of_it_is_wrong():
    assert Parts(b"X-Name: Zo\xc3\xab \xff\r\n\r\n").headers == [("X-Name", "Zoë \ufffd")]


def test_long_headers_are_cut():
    parts = mime(f"X-A: {'a' * MOST_SHOWN}", "X-B: b")
    assert [name for name, _ in parts.headers] == ["X-A"]
    assert parts.headers_are_cut
    assert not mime("X-A: a").headers_are_cut


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("Ann Lee <ann@x.example>, b@x.example", [("Ann Lee <ann@x.example>", "ann@x.example"), ("b@x.example",) * 2]),
        ('"Lee, Ann" <ann@x.example>', [("Lee, Ann <ann@x.example>", "ann@x.example")]),
        ("=?utf-8?q?Zo=C3=AB=2C_A?= <z@x.example>", [("Zoë, A <z@x.example>", "z@x.example")]),
        ("undisclosed-recipients:;", [("undisclosed-recipients:;",) * 2]),
        ("(" * 5000, [("(" * 5000,) * 2]),
    ],
)
def test_addresses_are_read(raw, written):
    assert mime(f"To: {raw}").written_addresses("to") == written


def test_a_mail_without_headers_is_text():
    assert Parts(b"\r\nHello").text == "Hello"


def test_text_in_an_unknown_charset_is_read_as_utf_8():
    assert mime("Content-Type: text/plain; charset=klingon", body="Zoë".encode()).text == "Zoë"


# Attachments


def test_attachments_keep_their_names_types_and_bytes():
    parts = parts_of(attachments=[("résumé €.pdf", b"%PDF", "application/pdf"), ("a.txt", "text\n", "text/plain")])
    found = [(part.number, part.name, part.mimetype, part.content) for part in parts.attachments]
    assert found == [(1, "résumé €.pdf", "application/pdf", b"%PDF"), (2, "a.txt", "text/plain", b"text\r\n")]


def test_a_mail_in_the_mail_is_an_attachment_with_a_name():
    inner = b"Subject: inner\r\n\r\nFrom here\r\n"
    parts = parts_of(attachments=[(None, inner, "message/rfc822")])
    [attached] = parts.attachments
    assert attached.name == "part-1.eml"
    assert attached.content == inner
    assert parts.text.rstrip() == "Hello"


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\a.exe", "a.exe"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie: x.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("..", ""),
        (" .hidden. ", "hidden"),
        ("a" * 200 + ".pdf", "a" * 96 + ".pdf"),
        ("a" * 200, "a" * 100),
        ("佐藤.txt", "佐藤.txt"),
    ],
)
def test_a_name_is_safe_to_save_under(given_name, name):
    assert safe_name(given_name) == name


@given(st.text())
def test_a_safe_name_is_never_a_path_and_has_nothing_invisible(given_name):
    name = safe_name(given_name)
    assert not set("/\\") & set(name)
    assert name not in (".", "..")
    assert not name or name.isprintable()
    assert len(name) <= MAX_NAME


def test_a_name_in_encoded_words_is_read_before_it_is_made_safe():
    named = mime("Content-Type: image/png", 'Content-Disposition: attachment; filename="=?utf-8?q?..=2FZo=C3=AB.png?="')
    assert named.attachments[0].name == "Zoë.png"


def test_a_part_without_a_usable_name_gets_one():
    assert mime("Content-Type: image/png", 'Content-Disposition: attachment; filename=".."').attachments[0].name == (
        "part-1.png"
    )


# Broken, deep and hostile mails


@given(st.binary(max_size=2000))
def test_any_bytes_can_be_shown(content):
    read_all(Parts(content))


FRAGMENTS = [
    *(
        f"Content-Type: {of}\r\n"
        for of in ("text/html", "text/plain; charset=utf-16", "message/rfc822", "x", "image/png")
    ),
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: multipart/alternative; boundary=c\r\n",
    "Content-Type: multipart/related; boundary=b; start=<i>\r\n",
    "Content-Type: text/html; charset*0=utf; charset*1*=%38\r\n",
    *(f"Content-Transfer-Encoding: {of}\r\n" for of in ("base64", "quoted-printable", "uuencode", "\udcff")),
    'Content-Disposition: attachment; filename="=?utf-8?q?../=00?="\r\n',
    "Content-ID: <i>\r\n",
    "To: a@b, =?utf-8?b?/w==?= <c>, (\r\n",
    *("\r\n", "--b\r\n", "--b--\r\n", "--c\r\n", "=FF", "/9j/", "\udcff\udcfe", "begin 644 a\r\n", "\x00"),
    *("<img src='cid:i'>", "&#99999999;", "<style>@import '//h'", "color-scheme: dark", "<!doctype html>"),
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30))
def test_any_broken_mail_can_be_shown(fragments):
    read_all(Parts("".join(fragments).encode(errors="surrogateescape")))


def nested(depth, lines=0):
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return opened + b"Content-Type: text/plain\r\n\r\ndeep down\r\n" + b"a\r\n" * lines


def test_what_is_nested_a_little_is_found():
    assert Parts(nested(20)).text.startswith("deep down")


HOSTILE = {
    "nested too deeply": nested(3000),
    "nested and long": nested(300, 600_000),
    "of many parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 300_000,
    "of mails in mails": b"Content-Type: message/rfc822\r\n\r\n" * 2000,
    "of many parameters": b"Content-Type: text/plain; " + b"a*0=b; " * 400_000 + b"\r\n\r\nx",
    "with quotes for addresses": b"To: " + b'"' * 100_000 + b"\r\nCc: " + b"," * 100_000 + b"\r\n\r\nx",
    "with encoded words": b"Subject: " + b"=?utf-8?q?a " * 20_000 + b"\r\n\r\nx",
    "in punycode": b"Content-Type: text/html; charset=-PunyCode\r\n\r\n" + b"a" * 250_000 + b"-" + b"b" * 250_000,
    "of links": b"Content-Type: text/html\r\n\r\n" + b"<link " * 500_000,
    "of metas": b"Content-Type: text/html\r\n\r\n" + b"<meta name= " * 50_000,
    "of a long number": b"Content-Type: text/html\r\n\r\n&#" + b"9" * 5000 + b";<img src='//a'>",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_mail_that_is_made_to_keep_the_page_busy_does_not(content):
    began = time.thread_time()  # what others on the machine take is not counted
    read_all(Parts(content))
    assert time.thread_time() - began < 10


def test_too_many_parts_are_not_taken_apart():
    begin = b"Content-Type: multipart/mixed; boundary=b\r\n"
    assert Parts(begin + b"\r\n--b\r\n" * MAX_BOUNDARIES).parsed.is_multipart()
    assert not Parts(begin + b"\r\n--b\r\n" * (MAX_BOUNDARIES + 1)).parsed.is_multipart()


# The HTML


def test_embedded_images_are_in_the_page():
    data = b64encode(PNG).decode()
    assert f"src='data:image/png;base64,{data}'" in html_for(with_image("<img src='cid:logo'>"))
    assert f"url(data:image/png;base64,{data})" in html_for(with_image("<p style='background:url(CID:l%6Fgo)'>"))


@pytest.mark.parametrize("mimetype", ["text/html", "image/x'y", "application/pdf"])
def test_only_images_are_embedded(mimetype):
    assert "data:" not in html_for(with_image("<img src='cid:logo'>", mimetype=mimetype))


def test_one_image_shown_a_thousand_times_does_not_fill_the_memory():
    shown = html_for(with_image("<img src='cid:logo'>" * 1000, content=b"x" * 1_000_000))
    assert shown.count("data:image/png") == 20


@pytest.mark.parametrize("doctype", ["<!DOCTYPE html>", "\n<!doctype html public '-//W3C//DTD'>", ""])
def test_links_lead_nowhere_and_the_doctype_stays_first(doctype):
    assert html_for(parts_of(f"{doctype}<p>x")) == f'{doctype}<base target="_blank"><p>x'


@pytest.mark.parametrize("target", ["target=_self", "TARGET = '_top'", "target", "\ttarget\n=_self"])
@pytest.mark.parametrize("before", ["<a ", "<a/", "<a title='>'", '<base href="x"'])
def test_no_link_has_a_target_of_its_own(before, target):
    shown = html_for(parts_of(f"{before}{target}>"), remote=True).removeprefix('<base target="_blank">')
    assert shown.lower() == f"{before}{target}>".lower().replace("target", "x-target")


def test_a_target_in_an_address_stays():
    assert "?target=5&target=6" in html_for(parts_of("<a href='//a.example/?target=5&target=6'>"))


@pytest.mark.parametrize("element", ["<iframe srcdoc='&lt;link'>", "<IFRAME/src=//a>", "<svg>", "<SVG\n>"])
@pytest.mark.parametrize("remote", [False, True])
def test_what_escapes_the_frame_is_never_shown(element, remote):
    assert element not in html_for(parts_of(element), remote)


@pytest.mark.parametrize("element", ["<link rel=preconnect href=//a>", "<LINK\nhref=//a>"])
def test_what_connects_in_spite_of_the_policy_is_taken_out_until_the_viewer_asks(element):
    assert element[:7] not in html_for(parts_of(element))
    assert element in html_for(parts_of(element), remote=True)


@pytest.mark.parametrize(
    "html",
    [
        "<img src='https://A.example/x.png'>",
        "<img src=//a.example>",
        '<img srcset="http://a.example/1 1x">',
        "<table background=http://a.example/>",
        "<video poster='http://a.example'>",
        "<link rel=stylesheet href='https://a.example/s.css'>",
        "<base href=https://a.example/>",
        "<svg><image x=1 href='http://a.example/'>",
        "<p style='background:url( &quot;http://a.example/&quot;)'>",
        "<style>@import '//a.example/s.css'</style>",
        "<img src='&#104;ttps://a.example:8080/'>",
    ],
)
def test_the_hosts_of_remote_content_are_named(html):
    assert [host.partition(":")[0] for host in remote_hosts(html)] == ["a.example"]


@pytest.mark.parametrize("html", ["<a href='http://a.example'>", "<img src='data:image/png,x'>", "<img src=cid:a>", ""])
def test_links_and_embedded_images_are_no_remote_content(html):
    assert remote_hosts(html) == []


@pytest.mark.parametrize(
    ("html", "is_so"),
    [
        ("@media (prefers-color-scheme: dark) {", True),
        ("@media (PREFERS-color-scheme:light) {", True),
        (":root { color-scheme: light dark; }", True),
        (":root { color-scheme: light; }", False),
        ("<meta name='color-scheme' content='light dark'>", True),
        ("<p>I like light-dark.</p>", False),
    ],
)
def test_a_mail_with_dark_colours_of_its_own_is_known(html, is_so):
    assert has_own_dark(html) == is_so


# Who gets it


def message(recipients, headers, outcomes=None, sender="ann@example.com"):
    content = "\r\n".join([*headers, "", "x"]).encode()
    return OutboxMessage(
        recipients=recipients, content=content, outcomes=outcomes or {}, envelope_sender=sender, from_header="Ann <a@b>"
    )


def shown_addresses(stored):
    found = addresses(stored, Parts(stored.content))
    return {name: [address.written for address in several] for name, several in found.items()}


def test_who_is_not_in_the_headers_gets_a_blind_copy():
    stored = message(["Bob@x.example", "c@x.example"], ["From: ann@example.com", "To: bob@x.example"])
    assert shown_addresses(stored) == {"From": ["ann@example.com"], "To": ["bob@x.example"], "Bcc": ["c@x.example"]}


@pytest.mark.parametrize(("sender", "shown"), [("bounces@example.com", "bounces@example.com"), ("", "none (<>)")])
def test_the_envelope_sender_is_shown_where_it_differs(sender, shown):
    stored = message([], ["From: Ann <ann@example.com>"], sender=sender)
    assert shown_addresses(stored)["Envelope sender"] == [shown]
    assert "Envelope sender" not in shown_addresses(message([], ["From: Ann <ANN@example.com>"]))


def test_of_a_pruned_message_the_row_tells_who_got_it():
    stored = message(["bob@x.example"], [], sender="bounces@example.com")
    stored.content = b""
    assert shown_addresses(stored) == {"From": ["Ann <a@b>"], "Recipients": ["bob@x.example"]}


def test_each_address_has_its_outcome():
    outcomes = {
        "b@x.example": {"accepted": False, "reply": "550 no"},
        "c@x.example": {"accepted": True, "reply": "250"},
    }
    stored = message(["b@x.example", "c@x.example", "d@x.example"], ["To: b@x.example, d@x.example"], outcomes)
    found = addresses(stored, Parts(stored.content))
    assert [(address.outcome, address.reply) for address in found["To"]] == [("refused", "550 no"), ("", "")]
    assert found["Bcc"][0].outcome == "accepted"
