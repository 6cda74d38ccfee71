"""Parts that a mail is given ready made, as Django of this version takes them, and whole messages of Python's own."""

from email.message import EmailMessage as PythonMessage
from email.message import Message as OldMessage
from email.message import MIMEPart
from email.mime.application import MIMEApplication
from email.mime.image import MIMEImage
from email.mime.text import MIMEText

from anymail.message import attach_inline_image

from flasky.mail.compat import HAS_MODERN_PARTS

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55")


def an_inline_image(email):
    attach_inline_image(email, PNG, filename="logo.png")


def an_image_part(disposition=None, cid=None):
    """Return an image as Django of this version takes it."""
    if HAS_MODERN_PARTS:
        part = MIMEPart()
        part.set_content(PNG, "image", "png")
        del part["Content-Disposition"]
    else:
        part = MIMEImage(PNG, "png")
    if disposition:
        part.add_header("Content-Disposition", disposition, filename="logo.png")
    if cid:
        part["Content-ID"] = cid
    return part


def a_text_part():
    if HAS_MODERN_PARTS:
        part = MIMEPart()
        part.set_content("Grüße\n")
        return part
    return MIMEText("Grüße\n", "plain", "utf-8")


def a_file_part():
    if HAS_MODERN_PARTS:
        part = MIMEPart()
        part.set_content(b"%PDF", "application", "pdf", filename="a.pdf")
        return part
    part = MIMEApplication(b"%PDF", "pdf", name="a.pdf")
    part.add_header("Content-Disposition", "attachment", filename="a.pdf")
    return part


def an_inline_text():
    if HAS_MODERN_PARTS:
        part = MIMEPart()
        part.set_content("Grüße\n", disposition="inline", filename="a.txt")
        return part
    part = MIMEText("Grüße\n", "plain", "utf-8")
    part.add_header("Content-Disposition", "inline", filename="a.txt")
    return part


def a_part_with_headers():
    part = a_file_part()
    part["Content-Description"] = "The bill"
    part["X-Attachment-Id"] = "f_1"
    return part


def a_python_message():
    message = PythonMessage()
    message["Subject"] = "Grüße"
    message["From"] = "ann@example.com"
    message.set_content("Hällo\n")
    return message


def an_old_message():
    message = OldMessage()
    message["Subject"] = "One"
    message.set_payload("Hello\n")
    return message


def a_mail_with_parts():
    message = a_python_message()
    message.add_alternative("<p>Hällo</p>\n", subtype="html")
    message.add_attachment(b"%PDF", "application", "pdf", filename="a.pdf")
    message.set_boundary("=-=")
    next(iter(message.iter_parts())).set_boundary("-=-")
    return message
