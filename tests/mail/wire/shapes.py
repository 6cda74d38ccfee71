"""Mails of every shape that an application sends, each by its name: a function that builds it anew."""

from datetime import datetime, timezone
from email.charset import QP, Charset
from functools import partial

from anymail.message import AnymailMessage, AnymailMessageMixin
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.message import EmailAlternative, EmailAttachment
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from flasky.mail.compat import HAS_MODERN_PARTS
from tests.mail.wire.parts import (
    a_file_part,
    a_mail_with_parts,
    a_part_with_headers,
    a_python_message,
    a_text_part,
    an_image_part,
    an_inline_image,
    an_inline_text,
    an_old_message,
)

LONG = "Grüße an alle, die diesen sehr langen Betreff bis zum Ende lesen, obwohl er über zwei Zeilen geht – danke schön"
INVITATION = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nSUMMARY:Fête\r\nEND:VCALENDAR\r\n"
UNSUBSCRIBE = "<https://example.com/unsubscribe/" + "0123456789abcdef" * 6 + ">, <mailto:leave+0123456789@example.com>"
SOON = datetime(2099, 1, 2, 3, 4, 5, tzinfo=timezone.utc)

SENDER = "Ann <ann@example.com>"

SHAPES = {}


def mail(*changes, of_class=EmailMultiAlternatives, **fields):
    """Return an email with these fields and attributes, to which the changes, which are functions, were made."""
    attributes = {name: fields.pop(name) for name in ATTRIBUTES if name in fields}
    email = of_class(**{"subject": "Hi", "body": "Hello\n", "from_email": SENDER, "to": ["b@example.com"], **fields})
    for name, value in attributes.items():
        setattr(email, name, value)
    for change in changes:
        change(email)
    return email


anymail = partial(mail, of_class=AnymailMessage)


ATTRIBUTES = (
    "content_subtype",
    "encoding",
    "mixed_subtype",
    "alternative_subtype",
    "priority",
    "kind",
    "cause",
    "esp_extra",
    "envelope_sender",
    "metadata",
    "send_at",
    "tags",
    "track_clicks",
    "track_opens",
    "template_id",
    "merge_data",
    "merge_global_data",
    "merge_headers",
    "merge_metadata",
)


def attached(*arguments):
    return lambda email: email.attach(*arguments)


def alternative(content, mimetype):
    return lambda email: email.attach_alternative(content, mimetype)


def with_set(**attributes):
    def change(email):
        for name, value in attributes.items():
            setattr(email, name, value)

    return change


html = alternative("<p>Hello</p>\n", "text/html")

# --- Texts ---------------------------------------------------------------------------------------------------------

SHAPES |= {
    "a text": lambda: mail(),
    "a text of Django's plain class": lambda: mail(of_class=EmailMessage),
    "text and HTML": lambda: mail(html),
    "a text without a line end": lambda: mail(body="Hello"),
    "a text with many line ends at its end": lambda: mail(body="Hello\n\n\n"),
    "a text with spaces at its ends": lambda: mail(body="  Hello  \n\t\n"),
    "a text with CRLF": lambda: mail(body="one\r\ntwo\r\n"),
    "a text beyond ASCII": lambda: mail(body="Grüße, 世界 🎉\n"),
    "a text of one long line": lambda: mail(body="word " * 500),
    "a long line beyond ASCII": lambda: mail(body="wörter " * 500),
    "dots and From at the beginning of lines": lambda: mail(body=".\n..\nFrom here\n>From there\n"),
    "a text that its charset does not have": lambda: mail(body="日本", encoding="iso-8859-1"),
    "no text at all": lambda: mail(body=""),
    "HTML without a text": lambda: mail(html, body=""),
    "a body that is HTML": lambda: mail(body="<p>Hello</p>", content_subtype="html"),
    "a body that is HTML and a text beside it": lambda: mail(
        alternative("Hello", "text/plain"), body="<p>Hello</p>", content_subtype="html"
    ),
    "a body that is markdown": lambda: mail(body="# Hello\n", content_subtype="markdown"),
    "a body that is markdown, and HTML": lambda: mail(html, body="# Hello\n", content_subtype="markdown"),
    "a body that is a calendar": lambda: mail(body=INVITATION, content_subtype="calendar"),
    "a body in another charset": lambda: mail(body="Grüße\n", encoding="iso-8859-1"),
    "text and HTML in another charset": lambda: mail(
        alternative("<p>Grüße</p>", "text/html"), body="Grüße\n", encoding="iso-8859-15"
    ),
    "a charset object": lambda: mail(html, body="Grüße\n", encoding=quoted_printable()),
    "lazy texts": lambda: mail(
        alternative(lazystr("<p>Hello</p>"), "text/html"),
        subject=gettext_lazy("Hi"),
        body=lazystr("Hello"),
    ),
    "safe strings": lambda: mail(alternative(mark_safe("<b>x</b>"), "text/html"), body=mark_safe("a & b")),
    "a template's HTML with CRLF": lambda: mail(alternative("<p>\r\n</p>\r\n", "text/html")),
    "empty HTML": lambda: mail(alternative("", "text/html")),
    "a mixed subtype of its own": lambda: mail(html, attached("a.txt", "a", "text/plain"), mixed_subtype="related"),
    "an alternative subtype of its own": lambda: mail(html, alternative_subtype="related"),
}


def quoted_printable():
    charset = Charset("utf-8")
    charset.body_encoding = QP
    return charset


# --- Headers -------------------------------------------------------------------------------------------------------

SHAPES |= {
    "a long subject": lambda: mail(subject="A rather long subject in plain words, " * 6),
    "a long subject beyond ASCII": lambda: mail(subject=LONG),
    "a very long subject beyond ASCII": lambda: mail(subject="日本語の件名、" * 40),
    "a subject of emoji": lambda: mail(subject="🎉" * 30),
    "a subject that looks encoded": lambda: mail(subject="=?utf-8?q?not_encoded?="),
    "a subject beyond ASCII that looks encoded": lambda: mail(subject="=?utf-8?q?not_encoded?= but ü"),
    "a subject with spaces at its ends": lambda: mail(subject="  Hi  there  "),
    "a subject with a tab": lambda: mail(subject="Hi\tthere"),
    "no subject": lambda: mail(subject=""),
    "a subject that is long without a space": lambda: mail(subject="x" * 300),
    "a header to unsubscribe": lambda: mail(
        headers={"List-Unsubscribe": UNSUBSCRIBE, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    ),
    "a header beyond ASCII": lambda: mail(headers={"X-Topic": "Grüße"}),
    "a long header beyond ASCII": lambda: mail(headers={"X-Topic": LONG}),
    "a header that looks encoded": lambda: mail(headers={"X-Topic": "=?utf-8?q?not_encoded?="}),
    "a lazy header": lambda: mail(headers={"X-Topic": gettext_lazy("Hi")}),
    "a header that is a number": lambda: mail(headers={"X-Priority": 1}),
    "a header that is a number, and an attachment": lambda: mail(
        attached("a.txt", "a", "text/plain"), headers={"X-Priority": 1}
    ),
    "an empty header": lambda: mail(headers={"X-Topic": ""}),
    "a header with spaces at its ends": lambda: mail(headers={"X-Topic": "  a  b  "}),
    "names of headers in small letters": lambda: mail(headers={"x-topic": "a", "list-id": "<b.example.com>"}),
    "headers of JSON": lambda: mail(
        headers={"X-SMTPAPI": '{"category": ["a", "b"], "unique_args": {"id": "' + "1" * 80 + '"}}'}
    ),
    "references of a thread": lambda: mail(
        headers={"In-Reply-To": "<1@example.com>", "References": " ".join(f"<{n}@long.example.com>" for n in range(20))}
    ),
    "a Message-ID of its own": lambda: mail(headers={"Message-ID": "<1@example.com>"}),
    "a Date of its own": lambda: mail(headers={"Date": "Fri, 27 Nov 2026 10:00:00 +0100"}),
    "Auto-Submitted": lambda: mail(headers={"Auto-Submitted": "auto-replied"}),
    "a priority header": lambda: mail(headers={"X-Priority": "1 (Highest)", "Importance": "High"}),
    "a header From": lambda: mail(from_email="bounce@example.com", headers={"From": "Ann <ann@example.com>"}),
    "a header From of its own case": lambda: mail(from_email="bounce@example.com", headers={"from": "ann@example.com"}),
    "two in a header From": lambda: mail(
        headers={"From": "ann@example.com, bob@example.com", "Sender": "c@example.com"}
    ),
    "a header Sender": lambda: mail(headers={"Sender": "Secretary <c@example.com>"}),
    "a header To": lambda: mail(headers={"To": "everybody@example.com"}),
    "a header To and no other": lambda: mail(to=[], bcc=["b@example.com"], headers={"To": "undisclosed-recipients:;"}),
    "a header Cc": lambda: mail(cc=["c@example.com"], headers={"Cc": "other@example.com"}),
    "a header Cc and no other": lambda: mail(headers={"Cc": "other@example.com"}),
    "a header Reply-To": lambda: mail(headers={"Reply-To": "Desk <desk@example.com>"}),
    "a header Reply-To beside the attribute": lambda: mail(
        reply_to=["a@x.example"], headers={"Reply-To": "b@x.example"}
    ),
    "a header Reply-To in small letters": lambda: mail(headers={"reply-to": "desk@example.com"}),
    "a header Reply-To of two": lambda: mail(headers={"Reply-To": "a@x.example, Bee <b@x.example>"}),
    "a header Return-Path": lambda: mail(headers={"Return-Path": "<bounce@example.com>"}),
}

# --- Addresses -----------------------------------------------------------------------------------------------------

SHAPES |= {
    "several recipients": lambda: mail(to=["b@example.com", "Cee <c@example.com>", "d@example.com"]),
    "Cc, Bcc and Reply-To": lambda: mail(
        cc=["c@example.com", "Dee <d@example.com>"],
        bcc=["e@example.com"],
        reply_to=["Desk <desk@example.com>", "f@x.example"],
    ),
    "Bcc alone": lambda: mail(to=[], bcc=["e@example.com", "f@example.com"]),
    "Cc alone": lambda: mail(to=[], cc=["Cee <c@example.com>"]),
    "a Bcc with a name": lambda: mail(bcc=["Eve Smith <e@example.com>"]),
    "tuples of addresses": lambda: mail(
        to=("b@example.com",), cc=("c@example.com",), bcc=("d@example.com",), reply_to=("r@x.example",)
    ),
    "one address twice": lambda: mail(to=["b@example.com", "b@example.com"]),
    "one address in To and Cc": lambda: mail(to=["b@example.com"], cc=["B <b@example.com>"]),
    "one address in To and Bcc": lambda: mail(to=["b@example.com"], bcc=["b@example.com"]),
    "capitals in an address": lambda: mail(to=["Bee.Smith@Example.COM"]),
    "a plus in an address": lambda: mail(to=["b+tag@example.com"]),
    "a name with a comma": lambda: mail(
        to=['"Smith, Bee" <b@example.com>'], from_email='"Smith, Ann" <ann@example.com>'
    ),
    "a name with quotes": lambda: mail(to=['"Bee \\"B\\" Smith" <b@example.com>']),
    "a name beyond ASCII": lambda: mail(to=["Bé Ünal <b@example.com>"], from_email="Ann Grün <ann@example.com>"),
    "a long name beyond ASCII": lambda: mail(to=[f"{LONG.replace(',', '')} <b@example.com>"]),
    "a name that looks encoded": lambda: mail(to=["=?utf-8?q?B=C3=A9?= <b@example.com>"]),
    "a name with an apostrophe": lambda: mail(to=["Bee O'Hara <b@example.com>"]),
    "a domain beyond ASCII": lambda: mail(to=["b@bücher.example"], from_email="ann@grün.example"),
    "a domain of IDNA 2008": lambda: mail(to=["b@faß.example"]),
    "a domain that is encoded": lambda: mail(to=["b@xn--bcher-kva.example"]),
    "a quoted local part": lambda: mail(to=['"b smith"@example.com']),
    "lazy addresses": lambda: mail(
        from_email=lazystr("Ann <ann@example.com>"), to=[lazystr("b@example.com")], reply_to=[lazystr("r@x.example")]
    ),
    "the sender of the settings": lambda: mail(from_email=None),
    "two in from_email": lambda: mail(from_email="Ann <ann@example.com>, Bob <bob@example.com>"),
    "an address in angle brackets": lambda: mail(to=["<b@example.com>"]),
    "empty addresses among others": lambda: mail(to=["b@example.com", ""], cc=["", None]),
    "two addresses in one text": lambda: mail(to=["b@example.com, c@example.com"]),
    "two replies in one text": lambda: mail(reply_to=["a@x.example, Bee <b@x.example>"]),
}

# --- Parts ---------------------------------------------------------------------------------------------------------

SHAPES |= {
    "an attachment": lambda: mail(attached("a.pdf", b"%PDF\x00\xff", "application/pdf")),
    "text, HTML and an attachment": lambda: mail(html, attached("a.pdf", b"%PDF", "application/pdf")),
    "an attachment whose type is guessed": lambda: mail(attached("a.csv", "a,b\r\n1,2\r\n")),
    "an attachment of no known type": lambda: mail(attached("a.xyzzy", b"\x00\x01")),
    "an attachment without a name": lambda: mail(attached(None, b"\x00", "application/octet-stream")),
    "an attachment with an empty name": lambda: mail(attached("", b"\x00", "application/octet-stream")),
    "a named tuple": lambda: mail(
        attachments=[EmailAttachment("a.txt", "a\n", "text/plain")],
        alternatives=[EmailAlternative("<p>x</p>", "text/html")],
    ),
    "an old tuple": lambda: mail(attachments=[("a.txt", "a\n", "text/plain")]),
    "an old tuple without a type": lambda: mail(attachments=[("a.txt", "a\n")]),
    "two attachments of one name": lambda: mail(
        attachments=[("a.txt", "one", "text/plain"), ("a.txt", "two", "text/plain")]
    ),
    "bytes in other classes attached": lambda: mail(
        attached("a.pdf", bytearray(b"%PDF"), "application/pdf"),
        attached("b.pdf", memoryview(b"%PDF"), "application/pdf"),
    ),
    "the same attachment twice": lambda: mail(attachments=[("a.txt", "one", "text/plain")] * 2),
    "an empty attachment": lambda: mail(attached("a.txt", "", "text/plain")),
    "an empty file": lambda: mail(attached("a.bin", b"", "application/octet-stream")),
    "a text without a newline attached": lambda: mail(attached("a.txt", "a", "text/plain")),
    "a text with CRLF attached": lambda: mail(attached("a.txt", "a\r\nb\r\n", "text/plain")),
    "a text with CR attached": lambda: mail(attached("a.txt", b"a\rb\r", "text/plain")),
    "a text with all line ends attached": lambda: mail(attached("a.txt", b"a\rb\nc\r\nd", "text/plain")),
    "a text in Latin 1 attached": lambda: mail(attached("a.txt", "Grüße\n".encode("latin-1"), "text/plain")),
    "a text in UTF-8 attached as bytes": lambda: mail(attached("a.txt", "Grüße\n".encode(), "text/plain")),
    "a text in UTF-16 attached": lambda: mail(attached("a.txt", "Grüße\n".encode("utf-16"), "text/plain")),
    "a text with a mark of its order attached": lambda: mail(attached("a.csv", b"\xef\xbb\xbfa,b\r\n", "text/csv")),
    "HTML attached": lambda: mail(attached("a.html", "<p>é</p>", "text/html")),
    "JSON attached as text": lambda: mail(attached("a.json", '{"a": "é"}', "application/json")),
    "a calendar attached": lambda: mail(attached("invite.ics", INVITATION, "text/calendar")),
    "a calendar with its method attached": lambda: mail(
        attached("invite.ics", INVITATION, "text/calendar; method=REQUEST")
    ),
    "a type with a charset attached": lambda: mail(attached("a.txt", "Grüße", 'text/plain; charset="utf-8"')),
    "a name beyond ASCII attached": lambda: mail(attached("Übersicht.pdf", b"%PDF", "application/pdf")),
    "a long name beyond ASCII attached": lambda: mail(attached(f"{LONG}.pdf", b"%PDF", "application/pdf")),
    "a long name attached": lambda: mail(attached("a" * 200 + ".pdf", b"%PDF", "application/pdf")),
    "a name with quotes and a semicolon attached": lambda: mail(attached('a"b;c.pdf', b"%PDF", "application/pdf")),
    "a lazy name and a lazy text attached": lambda: mail(attached(lazystr("a.txt"), lazystr("a"), "text/plain")),
    "a mail attached as bytes": lambda: mail(attached("a.eml", b"Subject: One\n\nHello\n", "message/rfc822")),
    "a mail beyond ASCII attached as bytes": lambda: mail(
        attached("a.eml", "Subject: One\n\nGrüße\n".encode(), "message/rfc822")
    ),
    "a mail attached as text": lambda: mail(attached("a.eml", "Subject: One\n\nHello\n", "message/rfc822")),
    "a mail of Django attached": lambda: mail(
        attached("a.eml", mail(headers={"Date": "x", "Message-ID": "<1@x>"}), "message/rfc822")
    ),
    "a mail of Django attached without a name": lambda: mail(
        attached(None, mail(headers={"Date": "x", "Message-ID": "<1@x>"}), "message/rfc822")
    ),
    "a mail of Python attached": lambda: mail(attached("a.eml", a_python_message(), "message/rfc822")),
    "an old mail of Python attached": lambda: mail(attached("a.eml", an_old_message(), "message/rfc822")),
    "a mail with parts attached": lambda: mail(attached("a.eml", a_mail_with_parts(), "message/rfc822")),
    "an alternative for AMP": lambda: mail(alternative("<html amp4email></html>", "text/x-amp-html"), html),
    "an alternative after HTML": lambda: mail(html, alternative("# Hello", "text/markdown")),
    "an invitation": lambda: mail(html, alternative(INVITATION, "text/calendar; method=REQUEST")),
    "an invitation in a charset": lambda: mail(
        html, alternative(INVITATION, 'text/calendar; method=REQUEST; charset="utf-8"')
    ),
    "two HTML alternatives": lambda: mail(html, alternative("<p>two</p>", "text/html")),
    "a second plain alternative": lambda: mail(alternative("two", "text/plain"), html),
    "an alternative that is no text": lambda: mail(html, alternative(b"%PDF\x00", "application/pdf")),
    "an alternative of bytes": lambda: mail(alternative("<p>é</p>".encode(), "text/html")),
    "an alternative of JSON": lambda: mail(html, alternative('{"a": 1}', "application/json")),
    "a MIME part of a text": lambda: mail(attached(a_text_part())),
    "a MIME part with a name": lambda: mail(attached(a_file_part())),
    "an image shown in the HTML": lambda: anymail(html, an_inline_image),
    "two images shown in the HTML": lambda: anymail(html, an_inline_image, an_inline_image),
    "an inline image without a Content-ID": lambda: mail(html, attached(an_image_part(disposition="inline"))),
    "an image with a Content-ID and no disposition": lambda: mail(html, attached(an_image_part(cid="<i@x>"))),
    "an attached image with a Content-ID": lambda: mail(html, attached(an_image_part("attachment", "<i@x>"))),
    "an inline image beside an attachment": lambda: anymail(
        html, attached("a.pdf", b"%PDF", "application/pdf"), an_inline_image
    ),
    "an inline text": lambda: mail(attached(an_inline_text())),
    "a part with headers of its own": lambda: mail(attached(a_part_with_headers())),
}


# --- What Anymail adds ---------------------------------------------------------------------------------------------

TWO = ["b@example.com", "Cee <c@example.com>"]

SHAPES |= {
    "Anymail's message": lambda: AnymailMessage("S", "B", "a@x.example", ["b@x.example"]),
    "metadata": lambda: anymail(metadata={"order": 17, "paid": True, "sum": 1.5, "note": "Grüße"}),
    "metadata with integer keys": lambda: anymail(metadata={1: "one", "1a": "two"}),
    "metadata with a key in brackets": lambda: anymail(metadata={"(pairs)": [["a", 1]]}),
    "metadata of None": lambda: anymail(metadata=None),
    "metadata that is empty": lambda: anymail(metadata={}),
    "lazy metadata": lambda: anymail(metadata={"greeting": gettext_lazy("Hi")}),
    "tags": lambda: anymail(tags=["welcome", "Grüße"]),
    "tags in a tuple": lambda: anymail(tags=("welcome", "new")),
    "tags in a set": lambda: anymail(tags={"welcome"}),
    "lazy tags": lambda: anymail(tags=[gettext_lazy("Hi")]),
    "no tags": lambda: anymail(tags=[]),
    "tags of None": lambda: anymail(tags=None),
    "tracking": lambda: anymail(track_opens=True, track_clicks=False),
    "tracking of None": lambda: anymail(track_opens=None, track_clicks=None),
    "an envelope sender": lambda: anymail(envelope_sender="bounce@example.com"),
    "an envelope sender with a name": lambda: anymail(envelope_sender="Bounces <bounce@example.com>"),
    "an envelope sender and a header From": lambda: anymail(
        from_email="x@example.com", envelope_sender="bounce@example.com", headers={"From": "ann@example.com"}
    ),
    "a template": lambda: anymail(template_id="welcome", merge_global_data={"ORDER": 17}),
    "a template with a number": lambda: anymail(template_id=17),
    "a lazy template": lambda: anymail(template_id=lazystr("welcome")),
    "a template that brings its subject and body": lambda: anymail(template_id=17, subject=None, body=None),
    "a template that brings its sender": lambda: anymail(with_set(from_email=None), template_id=17),
    "a template that brings all": lambda: anymail(with_set(from_email=None, subject=None, body=None), template_id=17),
    "a template with empty texts": lambda: anymail(template_id=17, subject="", body=""),
    "merge data": lambda: anymail(
        to=TWO, merge_data={"b@example.com": {"name": "Bee"}, "c@example.com": {"name": "Cée"}}
    ),
    "merge data with integer keys": lambda: anymail(to=TWO, merge_data={"b@example.com": {1: "one", 2: 2}}),
    "merge data that is empty": lambda: anymail(to=TWO, merge_data={}),
    "merge data for addresses in capitals": lambda: anymail(
        to=["Bee@Example.com"], merge_data={"Bee@Example.com": {"a": 1}}
    ),
    "merge data for a name beyond ASCII": lambda: anymail(
        to=["b@bücher.example"], merge_data={"b@bücher.example": {"a": 1}}
    ),
    "lazy merge data": lambda: anymail(
        to=TWO, merge_data={"b@example.com": {"hi": gettext_lazy("Hi")}}, merge_global_data={"bye": lazystr("Bye")}
    ),
    "merge global data": lambda: anymail(
        merge_global_data={"items": [{"name": "a", "price": 1.5}, {"name": "b"}], "none": None}
    ),
    "merge metadata": lambda: anymail(to=TWO, merge_metadata={"b@example.com": {"id": 1}, "c@example.com": {"id": 2}}),
    "merge headers": lambda: anymail(
        to=TWO, merge_headers={"b@example.com": {"List-Unsubscribe": "<https://x.example/b>"}}
    ),
    "a provider's own options": lambda: anymail(esp_extra={"ip_pool": "one", "nested": {"a": [1, 2, {"b": None}]}}),
    "a provider's own options with integer keys": lambda: anymail(esp_extra={"groups": {1: "a"}}),
    "a provider's own options in tuples": lambda: anymail(esp_extra={"groups": (1, 2)}),
    "a provider's own options that are lazy": lambda: anymail(esp_extra={"a": lazystr("b")}),
    "options on Django's class": lambda: mail(tags=["a"], metadata={"b": 1}, track_clicks=True, esp_extra={"c": 1}),
    "options of the class": lambda: OfClass("S", "B", "a@x.example", ["b@x.example"]),
    "an option of the class that is none for this one": lambda: mail(of_class=OfClass, tags=None),
    "Anymail's mixin": lambda: mail(of_class=Mixed, tags=["a"]),
    "everything at once": lambda: anymail(
        html,
        attached("a.pdf", b"%PDF", "application/pdf"),
        an_inline_image,
        to=TWO,
        cc=["d@example.com"],
        bcc=["e@example.com"],
        reply_to=["r@x.example"],
        subject=LONG,
        headers={"X-Topic": "a", "List-Unsubscribe": UNSUBSCRIBE},
        tags=["a"],
        metadata={"b": 1},
        track_opens=True,
        esp_extra={"c": 1},
    ),
    "urgent": lambda: anymail(priority="urgent", kind="order", cause="shop.order:1"),
}


# What is refused when it is sent, and in which words.
REFUSED = {
    "two addresses in one text": "only b@example.com could be parsed",  # each is a recipient of its own
    "two in from_email": "only Ann <ann@example.com> could be parsed",  # there is one envelope sender
    "a text that its charset does not have": "'latin-1' codec can't encode characters",
    "a quoted local part": "is not a mail address",  # whoever has a space there has made a slip
}
if HAS_MODERN_PARTS:
    REFUSED["a mixed subtype of its own"] = "no longer supports the undocumented `mixed_subtype`"
    REFUSED["an alternative subtype of its own"] = "no longer supports the undocumented `alternative_subtype`"
else:
    REFUSED["an alternative of bytes"] = "No mail can be made of this email"  # nor by Django
TAKEN = ("empty addresses among others",)  # which Anymail alone refuses, and Django leaves out


class OfClass(EmailMultiAlternatives):
    tags = ["of the class"]
    metadata = {"a": 1}
    esp_extra = {"b": {"c": 2}}
    track_opens = True


class Mixed(AnymailMessageMixin, EmailMessage):
    pass
