"""Read what a provider has answered by HTTP, whatever library brought the answer."""

import re
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from flasky.mail.runtime import clock
from flasky.mail.transports.replies import MAX_TEXT

SHORTEST_PAUSE, LONGEST_PAUSE = 1, 3600  # s within which a Retry-After is obeyed


@dataclass(frozen=True)
class Answer:
    status: int  # of HTTP
    name: str  # the name or the number that the provider gives to its refusal, if it has one
    text: str  # what it says, on one line
    pause: float | None = None  # s for which it wants no further request
    is_readable: bool = True  # JSON, or nothing at all

    @property
    def is_yes(self) -> bool:
        return self.status // 100 == 2


def answer_of(response: Any, status: Any = None) -> Answer | None:
    """Return what the response of requests, or that of boto3, which is a dictionary, says; None if it is none."""
    if isinstance(response, dict):
        return _of_boto3(response)
    status = status or getattr(response, "status_code", None)
    if not isinstance(status, int) or not 100 <= status < 600:
        return None
    text = " ".join(str(getattr(response, "text", None) or "").split())[:MAX_TEXT]
    body = _body_of(response)
    is_readable = not text or body is not None
    return Answer(status, _name_of(body, status), text, _pause_of(getattr(response, "headers", None)), is_readable)


def _of_boto3(response: dict[str, Any]) -> Answer | None:
    about, error = response.get("ResponseMetadata", {}), response.get("Error", {})
    entries = [each for each in response.get("BulkEmailEntryResults", ()) if each.get("Status") != "SUCCESS"]
    status = about.get("HTTPStatusCode")
    if not isinstance(status, int):
        return None
    name = error.get("Code") or next((each.get("Status") for each in entries), "")
    text = error.get("Message") or "; ".join(str(each.get("Error") or each.get("Status")) for each in entries)
    return Answer(status, str(name), " ".join(text.split())[:MAX_TEXT], _pause_of(about.get("HTTPHeaders")))


def _body_of(response: Any) -> Any:
    try:
        return response.json()
    except (AttributeError, TypeError, ValueError):
        return None


def _name_of(body: Any, status: int) -> str:
    """Return the name or the number that the answer gives to its refusal.

    Each provider has a place of its own: `name` at Mandrill and Resend, `code` at Brevo and Unisender Go, `ErrorCode`
    at Postmark and Mailjet, `data` → `code` at Postal, the first of `errors` at SparkPost, `type` at Scaleway.
    """
    if not isinstance(body, dict) or (status < 300 and body.get("status") != "error"):
        return ""
    first, message = _first(body.get("errors")), _first(body.get("Messages"))
    places = [
        (body, "name"),
        (body.get("data"), "code"),
        (body, "code"),
        (body, "ErrorCode"),
        (first, "code"),
        (_first(message.get("Errors")) if isinstance(message, dict) else None, "ErrorCode"),
        (body, "type"),
    ]
    return next((str(each[key]) for each, key in places if isinstance(each, dict) and each.get(key)), "")


def _first(several: Any) -> Any:
    return several[0] if isinstance(several, list) and several else None


def _pause_of(headers: Any) -> float | None:
    headers = headers or {}
    return retry_after(str(headers.get("retry-after") or headers.get("Retry-After") or ""))


def retry_after(value: str) -> float | None:
    """Return the seconds that a Retry-After asks for (RFC 9110, section 10.2.3), within limits; None for nonsense."""
    value = value.strip()
    if re.fullmatch(r"\d+(\.\d+)?", value, re.ASCII):
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        seconds = (moment - clock.now()).total_seconds()
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE)
