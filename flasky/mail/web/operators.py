"""Read what is typed into the search: words, "several words as one", and operators such as is:failed and to:ann.

An operator that chooses what the page has a tab or a filter for becomes that choice, and is no word any more. One that
nobody knows is a word as any other.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from django.db.models import Q

from flasky.mail.web.tabs import TABS

CHOICES = {"is": "tab", "kind": "kind", "source": "source"}  # operator → name in the query string
FIELDS = {"to": ("recipients",), "subject": ("subject",)}
ALL_FIELDS = ("subject", "recipients", "message_id")
TERM = re.compile(r'(?:(?P<operator>[a-z]+)[:：])?(?P<text>"[^"]+"|\S+)', re.IGNORECASE)  # or a Chinese colon


class Term(NamedTuple):
    typed: str
    operator: str  # in lower case; nothing if it is a word
    text: str


def chosen(query: Mapping[str, str], words: str) -> tuple[dict[str, str], str]:
    """Return the tab and the filters of the query as the operators change them, and the words that are left."""
    choices = {name: query.get(name, "") for name in CHOICES.values()}
    left = []
    for term in terms(words):
        choice = _choice(term)
        if choice:
            choices[CHOICES[term.operator]] = choice
        else:
            left.append(term.typed)
    return choices, words if len(left) == len(terms(words)) else " ".join(left)


def terms(words: str) -> list[Term]:
    return [_term(found) for found in TERM.finditer(words)]


def only_recipient(words: str) -> str:
    """Return the words, without the operator `to` if that is all they are."""
    found = terms(words)
    return found[0].text if len(found) == 1 and found[0].operator == "to" else words


def matches(term: Term) -> Q:
    """Return the condition for the messages in which a field of the term has its text."""
    condition = Q()
    for field in FIELDS.get(term.operator, ALL_FIELDS):
        condition |= Q(**{f"{field}__icontains": term.text})
    return condition


def _term(found: re.Match[str]) -> Term:
    operator, text = (found["operator"] or "").lower(), found["text"]
    unquoted = text[1:-1] if re.fullmatch('"[^"]+"', text) else text
    if operator in CHOICES or operator in FIELDS:
        return Term(found[0], operator, unquoted)
    return Term(found[0], "", found[0] if operator else unquoted)


def _choice(term: Term) -> str:
    """Return the value that the term chooses; nothing if it chooses none."""
    if term.operator == "is":
        names = {name.lower(): tab.name for tab in TABS for name in (tab.name, str(tab.label)) if tab.name}
        return names.get(term.text.lower(), "")
    return term.text if term.operator in CHOICES else ""
