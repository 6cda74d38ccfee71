"""Show in a mail what a stranger has typed, and nothing more: {{ user.username|unlinked }}"""

import re
from collections.abc import Sequence
from typing import Any

from django import template
from django.template.defaultfilters import stringfilter
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from accounts.names import MAX_LENGTH, NEVER_IN_SUBJECTS
from flasky.mail.status.written import listed

register = template.Library()

# Before a letter they make mail programs see a link; some take the dots and signs of other scripts for ours.
MAKES_LINKS = re.compile(r"([.․。．｡@＠﹫:：﹕/／\\])(?=\S)")
# A space of a fifth of a letter's width, or less. What has no width at all is a letter to some: they see
# ann@example.com and www.example.com in spite of it.
HAIR_SPACE = "\u200a"
NAMED, LONGEST_NAMED = 3, 24  # names in a subject about several people; characters of each


@register.filter(is_safe=True)
@stringfilter
def unlinked(text: str) -> str:
    """Return the text with hardly a space where a mail program could see an address in it."""
    return MAKES_LINKS.sub(rf"\1{HAIR_SPACE}", text)


def in_subject(name: str, most: int = MAX_LENGTH) -> str:
    """Return a name for a subject: one line of a bounded length that is nothing but a name."""
    name = NEVER_IN_SUBJECTS.sub(" ", name[: 2 * MAX_LENGTH])
    name = unlinked(" ".join(name.split())).replace("=?", f"={HAIR_SPACE}?")
    return Truncator(name).chars(most)


@register.filter
def first_names(people: Sequence[dict[str, Any]]) -> str:
    """Return the names of the first few people for a subject."""
    names = listed(in_subject(str(person["name"]), LONGEST_NAMED) for person in people[:NAMED])
    return _("%(names)s …") % {"names": names} if len(people) > NAMED else names
