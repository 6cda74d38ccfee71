"""Group what has failed by its reason and the domain that it went to, so that one action mends what has one cause."""

from collections import defaultdict
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from flasky.mail.models import OutboxMessage, State
from flasky.mail.status.reasons import Reason, reason_of
from flasky.mail.web.charts import readable

NEWEST = 2_000  # failures that one look reads
MOST_SHOWN = 1  # group; the others unfold: the first row of the list stays on the first screen
FEWEST = 2  # groups, and messages in the largest, that make a list of groups worth its room


class Group(NamedTuple):
    name: str  # in the query string
    label: str | Promise
    domain: str
    keys: list[int]


def failure_groups() -> list[Group]:
    """Return the newest failures by reason and domain, the largest group first."""
    failed = OutboxMessage.objects.filter(state=State.FAILED).order_by("-created_at")
    groups: dict[tuple[Reason, str], list[int]] = defaultdict(list)
    for key, reply, recipients in failed.values_list("pk", "last_reply", "recipients")[:NEWEST]:
        groups[reason_of(reply), _domain(recipients)].append(key)
    found = [_group(reason, domain, keys) for (reason, domain), keys in groups.items()]
    return sorted(found, key=lambda group: (-len(group.keys), group.name))


def keys_of(name: str) -> list[int]:
    """Return the keys of the group; none of one that is not there any more."""
    return next((group.keys for group in failure_groups() if group.name == name), [])


def _group(reason: Reason, domain: str, keys: list[int]) -> Group:
    shown = readable(domain) if domain else str(_("several domains"))
    return Group(f"{reason.code}@{domain}", reason.label, shown, keys)


def _domain(recipients: list[str]) -> str:
    """Return the domain of all recipients; nothing if they have several."""
    domains = {address.rpartition("@")[2].lower() for address in recipients}
    return domains.pop() if len(domains) == 1 else ""
