"""Headers in the ASCII that mail needs, to the byte as Django 5.2 writes them; its own functions for it are private."""

import re
from email import policy
from email._header_value_parser import get_mailbox  # nothing public takes one address and says what is left
from email.header import Header
from email.headerregistry import Address
from email.utils import formataddr, getaddresses
from typing import Any

from django.utils.encoding import punycode

MAX_UNFOLDED = 78  # characters in a line of the header (RFC 5322, section 2.1.1)
MAX_WRITTEN = 2000  # characters of an address with its name; for ten times as many the parser needs seconds
WIRE_POLICY = policy.compat32.clone(linesep="\r\n")

# Those whose values are addresses (RFC 5322): a display name and a domain are encoded differently.
ADDRESS_HEADERS = re.compile("(resent-)?(from|sender|to|cc|bcc)|reply-to", re.IGNORECASE)


def header_line(name: str, value: str) -> str:
    """Return the header, folded where it must be. Neither `name` nor `value` may have a line break."""
    if len(name) + len(value) <= MAX_UNFOLDED - len(": ") and value.isascii() and value.isprintable():
        return f"{name}: {value}\r\n"
    return WIRE_POLICY.fold(name, encoded(name, value))


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
    local_part, at, domain = address.rpartition("@")
    if not at:
        raise ValueError(f"Invalid address {address!r}.")
    return _formatted(name, local_part, domain, "utf-8")


def encoded_address(address: str, encoding: Any) -> str:
    """Return one address, with its display name if it has one. Raise ValueError for anything else."""
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
    return _formatted(name, local_part, domain, encoding)


def _formatted(name: str, local_part: str, domain: str, encoding: Any) -> str:
    if not local_part.isascii():
        local_part = Header(local_part, encoding).encode()
    bare = Address(username=local_part, domain=punycode(domain)).addr_spec
    return formataddr((Header(name, None if name.isascii() else encoding).encode(), bare))
