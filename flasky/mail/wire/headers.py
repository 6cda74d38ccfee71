"""Write headers in the ASCII that mail needs, as Django 5.2 does but for domains; its own functions are private."""

import re
from collections.abc import Sequence
from email import policy
from email._header_value_parser import get_mailbox  # nothing public takes one address and says what is left
from email.header import Header, decode_header, make_header
from email.headerregistry import Address
from email.utils import formataddr, getaddresses, quote
from typing import Any

from flasky.mail.wire.domains import in_ascii
from flasky.mail.wire.forbidden import refuse_in_header

MAX_UNFOLDED = 78  # characters in a line of the header (RFC 5322, section 2.1.1)
MAX_WRITTEN = 2000  # characters of an address with its name; for ten times as many the parser needs seconds
WIRE_POLICY = policy.compat32.clone(linesep="\r\n")
WIDE_LOCAL_PART = re.compile(rb"=\?utf-8\?[bq]\?[^?\s]+\?=(?=@)", re.IGNORECASE)
WIDE_DOMAIN = re.compile(r"@[^@\s<>,;]*[^\x00-\x7f]")

# No blanks at the ends, nothing that looks as if it were encoded, and not too long.
SIMPLE_LINES = re.compile(r"(?:(?!.*=\?)(?=.{,78}\r\n)[!-9;-~]+: (?:[!-~](?:[ -~]*[!-~])?)?\r\n)+")

# `ann@example.com`, `Ann <ann@example.com>`: nearly all addresses need no parser, which is slow.
_ATOM, _LABEL = r"[\w!#$%&'*+/=?^`{|}~-]+", r"[A-Za-z0-9-]{1,63}"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*"
PLAIN_ADDRESS = re.compile(rf"""({_ADDRESS})|(?:(?:\w+ )+|"[\w ]+" )<({_ADDRESS})>""", re.ASCII)

# Those whose values are addresses (RFC 5322): a display name and a domain are encoded differently.
ADDRESS_HEADERS = re.compile("(resent-)?(from|sender|to|cc|bcc)|reply-to", re.IGNORECASE)


def in_lines(headers: Sequence[tuple[str, str]]) -> tuple[str, set[str]]:
    """Return the header, and the names of those in it that will be read otherwise than they are."""
    header = "".join([f"{name}: {value}\r\n" for name, value in headers])
    is_simple = SIMPLE_LINES.fullmatch(header) and header.count("\n") == len(headers)
    if is_simple and not any(": " in name for name, _ in headers):
        return header, set()
    for name, value in headers:
        refuse_in_header(name, value)
    lines = [header_line(name, value) for name, value in headers]
    folded = {
        name.lower()
        for (name, value), line in zip(headers, lines, strict=True)
        if not (value.isascii() and SIMPLE_LINES.fullmatch(line))
    }
    return "".join(lines), folded


def header_line(name: str, value: str) -> str:
    """Return the header, folded where it must be. Neither `name` nor `value` may have a line break."""
    if len(name) + len(value) <= MAX_UNFOLDED - len(": ") and value.isascii() and value.isprintable():
        return f"{name}: {value}\r\n"
    return WIRE_POLICY.fold(name, encoded(name, value))


def unfolded(raw: str) -> str:
    return re.sub(r"[\r\n]+", "", raw)


def encoded(name: str, value: str) -> str:
    if value.isascii():
        return Header(value).encode() if name.lower() == "subject" else value
    if ADDRESS_HEADERS.fullmatch(name):
        return ", ".join(_encoded_pair(*pair) for pair in _pairs(value))
    return Header(value, "utf-8").encode()


def _pairs(value: str) -> list[tuple[str, str]]:
    try:
        return getaddresses([value])
    except RecursionError as error:  # brackets in brackets
        raise ValueError(f"Invalid addresses {value[:80]!r}….") from error


def _encoded_pair(name: str, address: str) -> str:
    return _formatted(name, *_split(address), "utf-8")


def _split(address: str) -> tuple[str, str]:
    local_part, at, domain = address.rpartition("@")
    if not at:
        raise ValueError(f"Invalid address {address!r}.")
    return local_part, domain


def encoded_address(address: str, encoding: Any) -> str:
    """Return one address, with its display name if it has one. Raise ValueError for anything else."""
    return _formatted(*_parts(address), encoding)


def _parts(address: str) -> tuple[str, str, str]:
    if len(address) > MAX_WRITTEN:
        raise ValueError(f"Invalid address {address[:80]!r}…; it has more than {MAX_WRITTEN} characters.")
    try:
        mailbox, rest = get_mailbox(address)
        name, local_part, domain = mailbox.display_name or "", mailbox.local_part, mailbox.domain or ""
        has_line_break = re.search(r"[\r\n]", name + local_part + domain)
    except Exception as error:  # "Ann <>" is an AttributeError, "..@[ " an UnboundLocalError: nobody has a list of them
        raise ValueError(f"Invalid address {address!r}.") from error
    if rest:
        raise ValueError(f"Invalid address; only {mailbox} could be parsed from {address!r}.")
    if has_line_break:
        raise ValueError(f"Invalid address {address!r}; it has a line break.")
    return name, local_part, domain


def with_wide_addresses(content: bytes) -> bytes:
    """Return the mail with those parts before an @ in UTF-8 that it has in encoded words (RFC 6532)."""
    header, end, body = content.partition(b"\r\n\r\n")
    return WIDE_LOCAL_PART.sub(lambda found: _decoded(found[0].decode()).encode(), header) + end + body


def wide_address(address: str) -> str:
    """Return a bare address as people know it, with the part before its @ decoded."""
    local_part, _, domain = address.rpartition("@")
    return f"{_decoded(local_part)}@{domain}" if local_part.startswith("=?") else address


def _decoded(words: str) -> str:
    return str(make_header(decode_header(words)))


def with_ascii_domain(address: str) -> str:
    """Return one address whose name is as it was: whoever gets it encodes and folds the header."""
    return _written(*_parts(address)) if WIDE_DOMAIN.search(address) else address


def with_ascii_domains(value: str) -> str:
    """Return the value of a header with addresses, whose names are as they were."""
    if not WIDE_DOMAIN.search(value):
        return value
    return ", ".join(_written(name, *_split(address)) for name, address in _pairs(value))


class ModernPolicy(policy.EmailPolicy):
    """Fold the headers of a mail that has Python's newer classes, as Django 6 makes it, as those of any other.

    By itself it writes what is longer than a line in encoded words, and nobody finds a Message-ID or a URL in these.
    """

    def fold_binary(self, name: str, value: Any) -> bytes:
        is_ours = hasattr(value, "name") and not name.lower().startswith("content-")  # others come as they were parsed
        return header_line(name, str(value)).encode("ascii") if is_ours else super().fold_binary(name, value)


MODERN_POLICY = ModernPolicy(refold_source="none")


def _formatted(name: str, local_part: str, domain: str, encoding: Any) -> str:
    bare = _bare(local_part, domain).addr_spec
    return formataddr((Header(name, None if name.isascii() else encoding).encode(), bare))


def _written(name: str, local_part: str, domain: str) -> str:
    bare = _bare(local_part, domain).addr_spec
    return formataddr((name, bare)) if name.isascii() else f'"{quote(name)}" <{bare}>'


def _bare(local_part: str, domain: str) -> Address:
    if not local_part.isascii():
        local_part = Header(local_part, "utf-8", maxlinelen=MAX_WRITTEN).encode()
    try:
        return Address(username=local_part, domain=in_ascii(domain))
    except ValueError as error:
        raise ValueError(f"Invalid address {f'{local_part}@{domain}'[:80]!r}: {error}.") from error
