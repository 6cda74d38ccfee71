"""Check and normalise people's names: any script, spaces, emoji; nothing invisible that could mislead a reader."""

import re
import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

MAX_LENGTH = 64  # code points, after normalisation
LONGEST_TO_NORMALIZE = 1000  # code points
SPACES = "\t" + "".join(chr(point) for point in range(0x3001) if unicodedata.category(chr(point)) == "Zs")

# They reorder the text around them (Unicode Standard Annex #9, section 2).
BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Soft hyphen, zero width space, word joiner, byte order mark: they come along with pasted text, and two names that
# differ in nothing else would look the same.
WITHOUT_MEANING = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
NEVER_STORED = re.compile("[\0\ud800-\udfff]")  # the databases refuse to look for these
# Line ends, other control characters, and what reorders the text around it: a name that no form has looked at.
NEVER_IN_SUBJECTS = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
# Letters by category, blank to the eye: Hangul fillers and the empty Braille pattern.
BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def normalize_name(value: str) -> str:
    """Return the name in NFC without surrounding space; line breaks stay, to be refused.

    What is far too long is returned as it is, to be refused too: NFC takes quadratic time on stacked accents.
    """
    if len(value) > LONGEST_TO_NORMALIZE:
        return value
    return unicodedata.normalize("NFC", value.translate(WITHOUT_MEANING)).strip(SPACES)


def validate_name(value: str) -> None:
    """Raise ValidationError for a name that a person could not read as it was typed."""
    if any(unicodedata.category(character) in ("Zl", "Zp") or character in "\r\n\v\f\x85" for character in value):
        raise ValidationError(_("A name is one line: please remove the line breaks."), code="line_break")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ValidationError(_("Please remove the control characters (tabs and the like)."), code="control_character")
    if BIDI_CONTROLS.intersection(value):
        raise ValidationError(
            _("Please remove the invisible characters that change the reading direction."), code="bidi"
        )
    if value and not any(is_visible(character) for character in value):
        raise ValidationError(_("A name needs at least one visible character."), code="invisible")
    if len(value) > MAX_LENGTH:
        sentence = _("Please use at most %(limit)s characters; this name has %(count)s.")
        raise ValidationError(sentence % {"limit": MAX_LENGTH, "count": len(value)}, code="max_length")


def is_visible(character: str) -> bool:
    return character not in BLANK_LETTERS and unicodedata.category(character)[0] in "LNPS"


class NameFormField(forms.CharField):
    """A name as a person types it. No maxlength attribute: a browser would cut a pasted name without a word."""

    def __init__(self, **options: Any) -> None:
        options.pop("max_length", None)
        super().__init__(strip=False, **options)
        # Django's own check for NUL would come first, and say less.
        self.validators = [validate_name]

    def to_python(self, value: Any) -> str:
        return normalize_name(super().to_python(value) or "")


class NameField(models.CharField):  # type: ignore[type-arg]
    """A name, stored and looked up in its normal form."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options["max_length"] = MAX_LENGTH
        super().__init__(*args, **options)
        self.validators = [validate_name]

    def to_python(self, value: Any) -> Any:
        return normalize_name(value) if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Give the instance the stored form, so that whoever is told of it afterwards is told the same name."""
        name = self.to_python(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, name)
        return name

    def formfield(self, **options: Any) -> Any:
        return super().formfield(**{"form_class": NameFormField, **options})

    def db_parameters(self, connection: Any) -> Any:
        """Compare exactly everywhere: the default of MariaDB and MySQL takes Ann, ANN and Änn for one name."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters
