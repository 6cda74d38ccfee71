"""Show in a mail what a stranger has typed, and nothing more: {{ user.username|unlinked }}"""

import re

from django import template
from django.template.defaultfilters import stringfilter

register = template.Library()

# Before a letter they make mail programs see a link; some take the dots and signs of other scripts for ours.
MAKES_LINKS = re.compile(r"([.․。．｡@＠﹫:：﹕/／\\])(?=\S)")
# A space of a fifth of a letter's width, or less. What has no width at all is a letter to some: they see
# ann@example.com and www.example.com in spite of it.
HAIR_SPACE = "\u200a"


@register.filter(is_safe=True)
@stringfilter
def unlinked(text: str) -> str:
    """Return the text with hardly a space where a mail program could see an address in it."""
    return MAKES_LINKS.sub(rf"\1{HAIR_SPACE}", text)
