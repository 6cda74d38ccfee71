"""A language whose every word is in brackets, so that what nobody could translate stands out."""

import re
from gettext import NullTranslations
from html.parser import HTMLParser

from django.utils import translation
from django.utils.translation import trans_real

NAME = "xx"
FORMATS = "date format"  # the context of what is no word
# The values that a sentence is filled with stay outside the brackets, and so do the tags within it.
NOT_WORDS = re.compile(r"(<[^>]*>|%\(\w+\)[a-z]|%[a-z%]|\{\w*\})")
UNREAD = {"script", "style", "pre", "iframe"}
READ_ATTRIBUTES = {"alt", "aria-label", "data-away", "data-every", "data-stopped", "data-waits", "placeholder", "title"}


def bracketed(text):
    pieces = NOT_WORDS.split(text)
    return "".join(
        f"⟦{piece}⟧" if re.search("[A-Za-z]", piece) and not NOT_WORDS.fullmatch(piece) else piece for piece in pieces
    )


class Pseudo(NullTranslations):
    def gettext(self, message):
        context, _, text = message.rpartition(trans_real.CONTEXT_SEPARATOR)
        return text if context == FORMATS or not text else bracketed(text)

    def ngettext(self, one, many, count):
        return self.gettext(one if count == 1 else many)

    def to_language(self):
        return NAME

    def language(self):
        return NAME


def speak(monkeypatch):
    """Return what lets a block speak the language."""
    monkeypatch.setitem(trans_real._translations, NAME, Pseudo())
    return translation.override(NAME)


def untranslated(html, values):
    """Return the words of a page that are in no brackets, but for what matches one of the patterns of values."""
    page = Page()
    page.feed(html)
    found = []
    for text in page.texts:
        rest = re.sub(r"⟦[^⟧]*(?:⟧|…|$)", " ", text)  # what is too long is cut
        for pattern in values:
            rest = re.sub(pattern, " ", rest)
        if re.search("[A-Za-z]", rest):
            found.append(" ".join(text.split()))
    return found


class Page(HTMLParser):
    """What a person reads of a page, or hears: texts and the attributes that are read out."""

    def __init__(self):
        super().__init__()
        self.texts, self.unread = [], []

    def handle_starttag(self, tag, attributes):
        if tag in UNREAD:
            self.unread.append(tag)
        values = dict(attributes)
        self.texts += [values[name] for name in READ_ATTRIBUTES & values.keys() if values[name]]
        if tag == "input" and values.get("type") == "submit":
            self.texts.append(values.get("value") or "")

    def handle_endtag(self, tag):
        if self.unread and self.unread[-1] == tag:
            self.unread.pop()

    def handle_data(self, data):
        if not self.unread and data.strip():
            self.texts.append(data)
