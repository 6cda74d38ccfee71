"""accounts.names: what a name may be."""

import unicodedata

import pytest
from django.core.exceptions import ValidationError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accounts.names import MAX_LENGTH, NameFormField, normalize_name

LINE_BREAK = "A name is one line: please remove the line breaks."
CONTROL_CHARACTER = "Please remove the control characters (tabs and the like)."
BIDI = "Please remove the invisible characters that change the reading direction."
INVISIBLE = "A name needs at least one visible character."
REQUIRED = "This field is required."


def accepted(typed):
    return NameFormField().clean(typed)


def refusal(typed):
    """Return what the person who typed it gets to read."""
    with pytest.raises(ValidationError) as refused:
        accepted(typed)
    [message] = refused.value.messages
    return message


@pytest.mark.parametrize(
    "name",
    [
        "John",
        "O'Brien",
        "D’Arcy",
        "Jean-Luc Picard",
        "Anna  Maria",  # two spaces
        "Łukasz Żółć",
        "محمد",
        "שָׁלוֹם",
        "佐藤 花子",
        "ｓａｔｏ",
        "ﬁona",
        "नरेन्द्र",
        "김철수",
        "नेत्र\u200dा",
        "می\u200cخواهم",
        "\u200fמשה\u200f",  # a mark for direction, no override
        "👩\u200d👩\u200d👧\u200d👦",
        "❤️",
        "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
        "<b>x</b>&'\"",
        "42",
        "?",
    ],
)
def test_a_name_in_any_script_is_kept_as_typed(name):
    assert accepted(name) == unicodedata.normalize("NFC", name)


def test_two_ways_to_type_an_accent_are_one_name():
    assert accepted("Rene\u0301") == accepted("René") == "Ren\u00e9"


@pytest.mark.parametrize("name", ["ﬁ", "ｓａｔｏ", "²", "Ⅳ", "㎏"])
def test_letters_that_only_resemble_others_stay_what_they_are(name):
    assert accepted(name) == name != unicodedata.normalize("NFKC", name)


@pytest.mark.parametrize("space", [" ", "\t", "\u00a0", "\u1680", "\u2003", "\u2009", "\u202f", "\u205f", "\u3000"])
def test_space_of_any_kind_around_a_name_is_dropped_and_inside_it_stays(space):
    assert normalize_name(f"{space * 2}Ann{space}Lee{space} ") == f"Ann{space}Lee"


@pytest.mark.parametrize("typed", ["", None, " ", "\t", "   ", "\u00a0", "\u3000\u2003 "])
def test_nothing_but_space_is_no_name(typed):
    assert refusal(typed) == REQUIRED


@pytest.mark.parametrize("line_break", ["\n", "\r", "\r\n", "\v", "\f", "\u0085", "\u2028", "\u2029"])
@pytest.mark.parametrize("around", ["Ann{}Lee", "Ann{}", "{}Ann", "{}", " {} "])
def test_a_line_break_is_refused_wherever_it_is(line_break, around):
    assert refusal(around.format(line_break)) == LINE_BREAK


@pytest.mark.parametrize("control", ["\0", "\a", "\b", "\t", "\x1b", "\x1c", "\x1f", "\x7f", "\x80", "\x9f"])
def test_a_control_character_inside_a_name_is_refused(control):
    assert refusal(f"Ann{control}Lee") == CONTROL_CHARACTER


def test_a_lone_control_character_is_refused():
    assert refusal("\0") == CONTROL_CHARACTER


def test_half_a_surrogate_pair_is_refused_as_no_database_can_store_it():
    assert refusal("Ann\ud83d") == CONTROL_CHARACTER


@pytest.mark.parametrize("direction", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_what_reorders_the_text_around_it_is_refused(direction):
    assert refusal(f"Ann{direction}Lee") == BIDI


@pytest.mark.parametrize(
    "name",
    [
        "\u200d\u200c",  # joiners with nothing to join
        "\u200e\u200f",
        "\u3164",  # Hangul filler
        "\u115f\u1160\uffa0",
        "\u2800",  # Braille, no dot raised
        "\u0301",  # an accent without its letter
        "\ufe0f",
        "\U000e0041",  # a tag letter
        "\u2800 \u200b",
    ],
)
def test_a_name_without_anything_to_see_is_refused(name):
    assert refusal(name) == INVISIBLE


@pytest.mark.parametrize("character", ["\u00ad", "\u200b", "\u2060", "\ufeff"])
def test_what_comes_along_with_pasted_text_and_means_nothing_is_dropped(character):
    """Two names that differ in nothing else would look the same."""
    assert normalize_name(f"{character}Ann{character} Lee{character}") == "Ann Lee"
    assert refusal(character) == REQUIRED


@pytest.mark.parametrize("name", ["x" * 64, "😀" * 64, "e\u0301" * 64, " " * 40 + "x" * 64 + " " * 40])
def test_64_characters_fit_counted_after_normalisation(name):
    assert len(accepted(name)) == 64


@pytest.mark.parametrize(("name", "length"), [("x" * 65, 65), ("😀" * 70, 70), ("\u0958" * 33, 66)])
def test_more_than_64_characters_are_refused_with_their_number(name, length):
    assert refusal(name) == f"Please use at most 64 characters; this name has {length}."


def test_the_browser_does_not_cut_a_pasted_name():
    assert "maxlength" not in NameFormField(max_length=150).widget.attrs


@given(st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_whatever_is_accepted_is_clean_and_changes_no_more(typed):
    try:
        name = accepted(typed)
    except ValidationError:
        assume(False)
    assert normalize_name(name) == accepted(name) == name
    assert 0 < len(name) <= MAX_LENGTH
    assert len(name.splitlines()) == 1
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name)


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_normalising_twice_is_normalising_once(typed):
    assert normalize_name(normalize_name(typed)) == normalize_name(typed)


@given(st.text(), st.characters(categories=["Cc"]).filter(lambda character: character != "\t"), st.text())
@settings(max_examples=100, deadline=None)
def test_no_control_character_gets_through_whatever_is_around_it(before, control, after):
    with pytest.raises(ValidationError):
        accepted(before + control + after)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_every_letter_number_and_sign_of_unicode_may_be_in_a_name(name):
    assert accepted(f"x{name}") == unicodedata.normalize("NFC", f"x{name}")


def test_stacked_accents_cost_a_visitor_no_worker():
    """NFC takes quadratic time on them: 400,000 pairs kept a worker busy until it was killed."""
    assert refusal("a" + "\u0301\u0323" * 400_000) == "Please use at most 64 characters; this name has 800001."
