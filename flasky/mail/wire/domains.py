"""Write a domain in ASCII, by IDNA 2008 (RFC 5891).

Python's own codec, which Django uses, is of 2003, and makes fass.example of faß.example. What a registry would refuse,
as by the rules for writing from right to left, is not looked for: no mail arrives there. The tests compare with the
package `idna`, which is no dependency of the app.
"""

import re
import unicodedata

FULL_STOPS = re.compile("[.\u3002\uff0e\uff61]")
MAX_LABEL = 63  # characters (RFC 1035, section 2.3.4)
PARTS_OF_WORDS = ("Lu", "Ll", "Lo", "Lm", "Mn", "Mc", "Nd")  # RFC 5892, section 2.1; capitals are small by then
BETWEEN_LETTERS = "-\u3007\u00b7\u0375\u05f3\u05f4\u30fb\u200c\u200d"  # and what it allows where it joins letters
INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"  # "letters" that nobody can see
DEVIATIONS = "\u00df\u03c2"  # sharp s and final sigma: these two are what 2003 has otherwise, beside the joiners


def in_ascii(domain: str) -> str:
    """Return the domain as DNS and SMTP have it. Raise ValueError if none can be like that."""
    return ".".join(map(_label, domain.split(".") if domain.isascii() else FULL_STOPS.split(domain)))


def _label(label: str) -> str:
    if not label.isascii():
        small = _small(unicodedata.normalize("NFC", label))
        for each in small:
            is_word = unicodedata.category(each) in PARTS_OF_WORDS or each in BETWEEN_LETTERS
            if not is_word or each in INVISIBLE or "\ufe00" <= each <= "\ufe0f":
                raise ValueError(f"no domain can have the character {each!r} in {label!r}")
        label = small if small.isascii() else f"xn--{small.encode('punycode').decode('ascii')}"
    if len(label) > MAX_LABEL:
        raise ValueError(f"the part {label[:20]!r}… of a domain has {len(label)} characters, and at most {MAX_LABEL}")
    return label


def _small(label: str) -> str:
    """Return the label in small letters and in their plainest form, as UTS 46 maps what people type."""
    folded = (each.lower() if each.lower() in DEVIATIONS else each.casefold() for each in label)
    plain = unicodedata.normalize("NFKC", "".join(folded))
    return "".join(each if each in DEVIATIONS else unicodedata.normalize("NFKC", each.casefold()) for each in plain)
