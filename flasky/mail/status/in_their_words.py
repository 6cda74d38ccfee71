"""Say what was stored about a relay, or raised about an address, in the reader's language: `in_their_words(reason)`.

Both are English, whoever stored or raised them; the sentences are known, so each is found again with what it was filled
with. What no sentence of ours is, such as a relay's own reply, stays as it was said.
"""

import re
from functools import lru_cache

from django.utils import translation

from flasky.mail.db import outages
from flasky.mail.models import claims
from flasky.mail.status.written import joined
from flasky.mail.transports import sentences, sentences_of_providers
from flasky.mail.transports.reply_table import Advice
from flasky.mail.wire import sentences as of_addresses

VALUE = re.compile(r"%\\?\((\w+)\\?\)s")
ENDS = re.compile(r"(?<=[.:]) ")  # of a sentence, perhaps
OF_ONE = re.compile(r"^(\S+@\S+: )?(.*)$", re.DOTALL)  # a line of an attempt with several recipients


def in_their_words(text: str) -> str:
    language = translation.get_language() or "en"
    if language.partition("-")[0] == "en":
        return text
    return "\n".join(_line(line, language) for line in text.split("\n"))


@lru_cache(1000)  # a relay says the same again and again
def _line(line: str, language: str) -> str:
    found = OF_ONE.match(line)
    of_whom, said = (found[1] or "", found[2]) if found else ("", line)
    return of_whom + (_translated(said) or _after_others(said) or said)


def _translated(said: str) -> str:
    """Return the translation if this is a sentence of ours, or several of them; nothing if it is not."""
    for end in [found.start() for found in ENDS.finditer(said)]:
        first = _sentence(said[:end])
        if first and (rest := _translated(said[end + 1 :])):
            return joined(first, rest)
    return _sentence(said)


def _after_others(said: str) -> str:
    """Return the translation of our sentences behind those of somebody else, such as a library's."""
    for end in [found.start() for found in ENDS.finditer(said)]:
        if rest := _translated(said[end + 1 :]):
            return joined(said[:end], rest)
    return ""


def _sentence(said: str) -> str:
    for sentence, pattern in _patterns():
        if found := pattern.fullmatch(said):
            values = {name: _value(value) for name, value in found.groupdict().items()}
            return translation.gettext(sentence) % values
    return ""


def _value(value: str) -> str:
    """Return what a sentence was filled with; where a provider is was made of a sentence itself."""
    found = _pattern(sentences_of_providers.AT).fullmatch(value)
    return translation.gettext(sentences_of_providers.AT) % found.groupdict() if found else value


@lru_cache(1)
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return our sentences, those first that say the most themselves."""
    modules = (sentences, sentences_of_providers, of_addresses, outages, claims)
    ours = [value for each in modules for value in vars(each).values() if isinstance(value, str) and " " in value]
    for by_place in (sentences.HUNG_UP_AT, sentences.SILENT_AT, sentences.ANSWERED_AT):
        ours += by_place.values()
    none = [sentences_of_providers.AT, *(module.__doc__ for module in modules)]
    ours = [sentence for sentence in [*ours, *(advice.value for advice in Advice)] if sentence not in none]
    return [(sentence, _pattern(sentence)) for sentence in sorted(ours, key=_says, reverse=True)]


def _says(sentence: str) -> int:
    return len(VALUE.sub("", sentence))


def _pattern(sentence: str) -> re.Pattern[str]:
    seen: set[str] = set()

    def hole(found: re.Match[str]) -> str:
        name = found[1]
        group = f"(?P={name})" if name in seen else f"(?P<{name}>.+?)"
        seen.add(name)
        return group

    return re.compile(VALUE.sub(hole, re.escape(sentence)), re.DOTALL)
