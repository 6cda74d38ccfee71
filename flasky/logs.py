"""Keep mail addresses out of the log, whoever writes the line, and let each line know its request."""

import json
import logging
import re
from datetime import datetime, timezone
from typing import Any

from flasky.request_id import request_id

LOCAL_PART = r"\"[^\"\s]{1,64}(?:[ \t][^\"\s]{1,64}){0,8}\"|[^\s<>@,;:()\[\]]{1,64}"
DOMAIN = r"\[[^\]\s]{1,64}\]|[^\s<>\"'@,;:()\[\]]{1,255}"
ADDRESS = re.compile(f"({LOCAL_PART})@({DOMAIN})")


def mask_addresses(text: str) -> str:
    """Return `text` with every mail address shortened: `john@example.com` becomes `j…@example.com`."""
    return ADDRESS.sub(lambda match: f"{match[1][0]}…@{match[2]}", text)


class MaskingFormatter(logging.Formatter):
    """Mask the whole line, traceback included: a relay's reply and many exceptions repeat the address.

    The format may name {of_request}: the id of the request in brackets, nothing outside of one.
    """

    def format(self, record: logging.LogRecord) -> str:
        known = request_of(record)
        record.of_request = f" [request {known}]" if known else ""
        return mask_addresses(super().format(record))


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
    return value if value is None or isinstance(value, (bool, int, float)) else mask_addresses(str(value))
