"""Keep addresses and credentials out of the log, whoever writes the line, and let each line know its request."""

import json
import logging
import re
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any

from flasky.site.request_id import request_id

LOCAL_PART = r"\"[^\"\s]{1,64}(?:[ \t][^\"\s]{1,64}){0,8}\"|[^\s<>@,;:()\[\]]{1,64}"
DOMAIN = r"\[[^\]\s]{1,64}\]|[^\s<>\"'@,;:()\[\]]{1,255}"
ADDRESS = re.compile(f"({LOCAL_PART})(?<!…)@({DOMAIN})")  # what is masked already stays as it is

# The login of a URL. A password may have any character, an @ and a slash too, but no space and no quote: so it goes on
# to the last @. A port, and an address behind it, look the same, and are lost with it.
PAIR = r"[^\s'\"<>/?#:@]{0,256}:[^\s'\"<>]{0,1024}"
LOGIN = re.compile(rf"([A-Za-z][A-Za-z0-9+.-]{{1,20}}://)(?:{PAIR}|[^\s'\"<>/?#]{{1,1024}})@")
BEARER = re.compile(r"(\bAuthorization['\"]?\s?[:=]\s?['\"]?\w{1,20}\s|\bBearer\s)[\w.~+/=:-]{8,4096}")
# password=…, 'api_key': '…' and the like
WORD = r"(?:passw(?:or)?d|secret|token|api_?key|access_?key|private_?key|signature)\w{0,20}"
QUOTED = r"'[^'\n]{1,4096}'|\"[^\"\n]{1,4096}\""
BARE = r"[^\s'\"&,;<>][^\s&,;<>]{0,4095}"
SECRET_WORDS = ("passw", "secret", "token", "key", "signature")  # one of them is in each WORD: quicker to look for
SECRET = re.compile(rf"(?i)({WORD}(?:=b?(?={QUOTED}|{BARE})|['\"]\s?:\s?b?(?={QUOTED})))(?:{QUOTED}|{BARE})")


def mask(text: str) -> str:
    """Return `text` without what nobody needs to read in it: credentials, and mail addresses in full."""
    return mask_addresses(mask_credentials(text))


def mask_credentials(text: str) -> str:
    """Return `text` without logins: `amqp://user:password@host` becomes `amqp://…@host`, `token=x` `token=…`."""
    if "://" in text:
        text = LOGIN.sub(r"\1…@", text)
    if "Bearer" in text or "Authorization" in text:
        text = BEARER.sub(r"\1…", text)
    folded = text.casefold()  # as (?i) compares
    return SECRET.sub(r"\1…", text) if any(word in folded for word in SECRET_WORDS) else text


def mask_addresses(text: str) -> str:
    """Return `text` with every mail address shortened: `john@example.com` becomes `j…@example.com`."""
    if "@" not in text:
        return text
    return ADDRESS.sub(lambda match: f"{match[1][0]}…@{match[2]}", text)


class MaskingFormatter(logging.Formatter):
    """Mask the whole line, traceback included: a relay's reply and many exceptions repeat the address.

    The format may name {of_request}: the id of the request in brackets, nothing outside of one.
    """

    def format(self, record: logging.LogRecord) -> str:
        known = request_of(record)
        record.of_request = f" [request {known}]" if known else ""
        return mask(super().format(record))


class RefusalsInOneLine(logging.Filter):
    """Leave the traceback out where the answer is 4xx: anybody can cause these, and nothing of ours has failed.

    Django logs one for a multipart body that is broken, and for a page that somebody may not see.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if 400 <= getattr(record, "status_code", 0) < 500:
            record.exc_info = record.exc_text = None
        return True


class JsonFormatter(logging.Formatter):
    """Write one JSON object a line: time, level, logger, message, request_id, and what the record has as `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_of(record),
            "exception": self._traceback(record),
        }
        entry = {name: value for name, value in entry.items() if value}
        # Masked before it is written as JSON: its escapes would hide an address, or be cut in the middle.
        return json.dumps({name: _masked(value) for name, value in (entry | fields_of(record) | entry).items()})

    def _traceback(self, record: logging.LogRecord) -> str:
        parts = [self.formatException(record.exc_info)] if record.exc_info else []
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(parts)


class RefusalsLeftOut(logging.Filter):
    """Leave out Django's line about each 429: whoever refuses says so once, and a flood is not to fill the disk."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != HTTPStatus.TOO_MANY_REQUESTS


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    return getattr(record, "fields", {})


def request_of(record: logging.LogRecord) -> str:
    """Return the id of the request that the line is about; of a mail it is the one that has stored it.

    Django logs some answers when their middleware has ended, and gives the request itself to the record.
    """
    fields = fields_of(record)
    if "request_id" in fields:
        return str(fields["request_id"])
    return request_id() or getattr(getattr(record, "request", None), "request_id", "")


def _masked(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float)) else mask(str(value))
