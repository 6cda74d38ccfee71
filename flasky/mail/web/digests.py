"""Lead from a digest to the messages that it tells of, and from each of them to it."""

from typing import Any

from flasky.mail.models import Gathered, OutboxMessage
from flasky.mail.web.links import Url
from flasky.mail.web.rows import without_prefix

SHOWN = 10  # messages; the others unfold


def digest_context(message: OutboxMessage, url: Url) -> dict[str, Any]:
    """Return the pages of the messages that the digest tells of, and that of the digest that tells of the message."""
    carried = Gathered.objects.filter(digest=message).order_by("message").values_list("message", "message__subject")
    links = [(url("message", key), without_prefix(subject)) for key, subject in carried]
    digest = Gathered.objects.filter(message=message).values_list("digest", flat=True).first()
    return {
        "carried": links[:SHOWN],
        "carried_count": len(links),
        "further_carried": links[SHOWN:],
        "digest": (url("message", digest), digest) if digest else None,
    }
