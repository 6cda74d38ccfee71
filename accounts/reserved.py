"""Tell whether a name could pass for one of the site's own people, however it is written."""

import unicodedata

from django.conf import settings

# Letters of other scripts, and digits, that look like one of ours in most fonts: after NFKC, without accents, small.
# Unicode's own table (UTS #39) has 6,000 pairs; these are the ones that one can type.
LOOKS = {
    "а": "a", "ɑ": "a", "α": "a", "@": "a", "4": "a", "в": "b", "с": "c", "ϲ": "c", "ᴄ": "c", "ԁ": "d", "ɗ": "d",
    "е": "e", "є": "e", "ҽ": "e", "ε": "e", "3": "e", "ɡ": "g", "һ": "h", "н": "h", "հ": "h", "і": "i", "ı": "i",
    "ι": "i", "1": "i", "!": "i", "|": "i", "l": "i", "ӏ": "i", "ǀ": "i", "ј": "j", "κ": "k", "к": "k", "м": "m",
    "ո": "n", "п": "n", "η": "n", "о": "o", "ο": "o", "օ": "o", "σ": "o", "ᴏ": "o", "0": "o", "ø": "o", "р": "p",
    "ρ": "p", "ԛ": "q", "г": "r", "ѕ": "s", "ꜱ": "s", "5": "s", "$": "s", "т": "t", "τ": "t", "7": "t", "υ": "u",
    "ս": "u", "ц": "u", "ν": "v", "ѵ": "v", "ᴠ": "v", "ѡ": "w", "ԝ": "w", "ω": "w", "х": "x", "χ": "x", "у": "y",
    "γ": "y", "ү": "y", "ᴢ": "z",
}  # fmt: skip


def is_reserved(name: str) -> bool:
    return bool(skeleton(name)) and skeleton(name) in {skeleton(reserved) for reserved in settings.RESERVED_NAMES}


def skeleton(name: str) -> str:
    """Return what the eye is left with: `Ａdmín`, `аdmin` with a Cyrillic а, `a.d.m.i.n` and `adm1n` are `admin`."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    looks = (LOOKS.get(letter, letter) for letter in plain)
    return "".join(letter for letter in looks if letter.isalnum()).replace("rn", "m").replace("vv", "w")
