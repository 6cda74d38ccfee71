"""Write a mail anew for a server that takes ASCII only: each part in quoted-printable or base64, and else not a byte.

RFC 6152, section 3, asks for that where a server does not offer 8BITMIME; RFC 2045, section 6, says how.
"""

import re
from binascii import b2a_base64, b2a_qp
from email.message import Message
from email.parser import BytesHeaderParser

MAX_LINE = 998  # octets (RFC 5322, section 2.1.1)
BASE64_LINE = 57  # octets of a part that make a line of 76 characters
READABLE = 1.5  # times as long as the text: then quoted-printable is for people, too; base64 is 1.37 times as long
END_OF_HEADER = re.compile(rb"(?:^|\r\n)\r\n")
ENCODING = re.compile(rb"^Content-Transfer-Encoding:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.IGNORECASE | re.MULTILINE)


class NotToBeAltered(ValueError):
    """The part would lose its signature, or has bytes in a place that has no encoding."""


def in_seven_bits(content: bytes) -> bytes:
    """Return the mail in ASCII, in lines of at most 998 octets. Raise NotToBeAltered."""
    if is_narrow(content):
        return content
    header, body = _split(content)
    about = BytesHeaderParser().parsebytes(header)
    if "DKIM-Signature" in about:
        raise NotToBeAltered("it has a DKIM signature, which holds for its text as it is")
    return _narrow(header, about, body)


def is_narrow(content: bytes) -> bool:
    return content.isascii() and not has_long_line(content)


def has_long_line(content: bytes) -> bool:
    """Tell whether a line is longer than a server need take; many cut it in two, or refuse the mail."""
    start, most = 0, MAX_LINE + len(b"\r")
    while len(content) - start > most:
        start = content.rfind(b"\n", start, start + most + 1) + 1  # over all the lines that fit together
        if not start:
            return True
    return False


def _part(content: bytes) -> bytes:
    if is_narrow(content):
        return content
    header, body = _split(content)
    return _narrow(header, BytesHeaderParser().parsebytes(header), body)


def _narrow(header: bytes, about: Message, body: bytes) -> bytes:
    if not header.isascii():
        raise NotToBeAltered("it has a header that is not in ASCII")
    if is_narrow(body):
        return header + body
    kind = about.get_content_type()
    if kind == "multipart/signed":
        raise NotToBeAltered("a part of it is signed as it is")
    if about.get_content_maintype() == "multipart":
        return _with_encoding(header, b"7bit") + _parts(body, about.get_boundary(""))
    if kind == "message/rfc822":
        return _with_encoding(header, b"7bit") + _part(body)
    if str(about.get("Content-Transfer-Encoding", "8bit")).strip().lower() not in ("7bit", "8bit", "binary"):
        raise NotToBeAltered("it has a part that is not encoded as its header says")
    return _encoded(header, body, is_text=about.get_content_maintype() == "text")


def _parts(body: bytes, boundary: str) -> bytes:
    """Return the body of a multipart with each of its parts narrow; what stands before and after them nobody reads."""
    if not boundary:
        raise NotToBeAltered("it has parts without a boundary")
    delimiter = re.compile(rb"(?:^|\r\n)--%b(?:--)?[ \t]*(?:\r\n|$)" % re.escape(boundary.encode()))
    pieces, start = [], 0
    for found in delimiter.finditer(body):
        piece = body[start : found.start()]
        pieces += [_part(piece) if start else _ascii(piece), found[0]]
        start = found.end()
        if found[0].strip().endswith(b"--"):
            break
    if not start:
        raise NotToBeAltered("its boundary does not occur in it")
    return b"".join([*pieces, _ascii(body[start:])])


def _ascii(around: bytes) -> bytes:
    return around if is_narrow(around) else b""


def _encoded(header: bytes, body: bytes, is_text: bool) -> bytes:
    lines = body.replace(b"\r\n", b"\n")
    if is_text and b"\r" not in lines:
        quoted = b2a_qp(lines, istext=True).replace(b"\n", b"\r\n")
        if len(quoted) < len(body) * READABLE:
            return _with_encoding(header, b"quoted-printable") + quoted
    starts = range(0, len(body), BASE64_LINE)
    text = b"".join(b2a_base64(body[start : start + BASE64_LINE], newline=False) + b"\r\n" for start in starts)
    return _with_encoding(header, b"base64") + text


def _with_encoding(header: bytes, encoding: bytes) -> bytes:
    """Return the header, which ends with an empty line, with this encoding, in the place of another if it has one."""
    line = b"Content-Transfer-Encoding: %b\r\n" % encoding
    changed, number = ENCODING.subn(line, header, count=1)
    return changed if number else header.removesuffix(b"\r\n") + line + b"\r\n"


def _split(content: bytes) -> tuple[bytes, bytes]:
    found = END_OF_HEADER.search(content)
    if not found:
        return b"\r\n", content
    return content[: found.end()], content[found.end() :]
