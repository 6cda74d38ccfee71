"""Keep mail addresses out of the log, whoever writes the line."""

import logging
import re

LOCAL_PART = r"\"[^\"\s]{1,64}(?:[ \t][^\"\s]{1,64}){0,8}\"|[^\s<>@,;:()\[\]]{1,64}"
DOMAIN = r"\[[^\]\s]{1,64}\]|[^\s<>\"'@,;:()\[\]]{1,255}"
ADDRESS = re.compile(f"({LOCAL_PART})@({DOMAIN})")


def mask_addresses(text: str) -> str:
    """Return `text` with every mail address shortened: `john@example.com` becomes `j…@example.com`."""
    return ADDRESS.sub(lambda match: f"{match[1][0]}…@{match[2]}", text)


class MaskingFormatter(logging.Formatter):
    """Mask the whole line, traceback included: a relay's reply and many exceptions repeat the address."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_addresses(super().format(record))
