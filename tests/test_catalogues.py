"""The catalogues of flasky.mail: complete, and what is compiled is what is written."""

import ast
import re
from gettext import GNUTranslations
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation.template import templatize

APP = Path(__file__).parents[1] / "flasky/mail"
CATALOGUES = sorted(APP.glob("locale/*/LC_MESSAGES/django.po"))
# Who adds a sentence need not know every language: so many may wait for a translator, and are shown in English.
WAITING = 25
RENEW = (
    "In flasky/mail run: python -m django makemessages --all --no-location --no-obsolete --no-wrap. Translate what is "
    "empty or fuzzy. Then run: python -m django compilemessages"
)
PLURALS = ("ngettext", "ngettext_lazy")
CONTEXTS = ("pgettext", "pgettext_lazy")
SINGLE = ("_", "gettext", "gettext_lazy", "gettext_noop")
TEXT = r"""(u?'(?:[^'\\]|\\.)*'|u?"(?:[^"\\]|\\.)*")"""
CALL = re.compile(rf"\b(ngettext|pgettext|gettext|_)\({TEXT}(?:, {TEXT})?")
WORD_OF_A_STYLE = re.compile(r"""content: *["'](?=[^"'\\]*[a-z]).*""", re.IGNORECASE)
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w+\}")


def name(path):
    return path.relative_to(APP / "locale").parts[0]


def key(function, texts):
    """Return the sentence as the catalogue has it: behind its context, without its plural."""
    return "\4".join(texts[:2]) if function in CONTEXTS else texts[0]


def in_python(path):
    for call in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            function = call.func.id
            if function in (*PLURALS, *CONTEXTS, *SINGLE):
                yield key(function, [argument.value for argument in call.args if isinstance(argument, ast.Constant)])


def in_template(path):
    for found in CALL.finditer(templatize(path.read_text("utf-8"))):
        yield key(found[1], [ast.literal_eval(text) for text in found.groups()[1:] if text])


def sentences():
    python = [sentence for path in APP.rglob("*.py") for sentence in in_python(path)]
    return {*python, *(sentence for path in APP.rglob("templates/**/*.*") for sentence in in_template(path))}


def written(path):
    """Return what the .po file has: the translations by sentence."""
    found = {}
    for entry in path.read_text("utf-8").split("\n\n"):
        fields, last = {}, ""
        for field, text in re.findall(r'(?m)^(?:(msg\w+)(?:\[\d\])? )?("(?:[^"\\]|\\.)*")$', entry):
            last = field or last
            fields[last] = fields.get(last, "") + ast.literal_eval(text)
        context = [fields["msgctxt"]] if "msgctxt" in fields else []
        if fields.get("msgstr") and "#, fuzzy" not in entry:
            found["\4".join([*context, fields["msgid"]])] = fields["msgstr"]
    return found


def compiled(path):
    with path.with_suffix(".mo").open("rb") as file:
        catalogue = GNUTranslations(file)._catalog
    return {key[0] if isinstance(key, tuple) else key: text for key, text in catalogue.items() if key}


def test_there_are_catalogues_and_sentences():
    assert CATALOGUES
    assert len(sentences()) > 300


@pytest.mark.parametrize("path", CATALOGUES, ids=name)
def test_hardly_a_sentence_waits_for_its_translation(path):
    missing = sentences() - written(path).keys()
    assert len(missing) <= WAITING, f"{len(missing)} sentences have no translation. {RENEW}\n{sorted(missing)}"


@pytest.mark.parametrize("path", CATALOGUES, ids=name)
def test_what_is_compiled_is_what_is_written(path):
    translations = {sentence: text for sentence, text in written(path).items() if sentence}
    assert compiled(path) == translations, RENEW


@pytest.mark.parametrize("path", CATALOGUES, ids=name)
def test_a_translation_has_the_placeholders_of_its_sentence(path):
    wrong = {
        sentence
        for sentence, text in written(path).items()
        if sentence and {*PLACEHOLDER.findall(sentence)} - {"%(count)s"} != {*PLACEHOLDER.findall(text)} - {"%(count)s"}
    }
    assert wrong == set()


def test_a_page_speaks_the_language(rf):
    with translation.override("zh-hans"):
        shown = ("flasky_mail/web/base.html", "flasky_mail/web/refresh.html")
        page = "".join(render_to_string(template, request=rf.get("/")) for template in shown)
    assert '<html lang="zh-hans">' in page
    assert "自动刷新" in page


def test_no_style_sheet_says_a_word_which_no_catalogue_could_translate():
    sheets = list(APP.rglob("static/**/*.css"))
    assert sheets
    assert [found for sheet in sheets for found in WORD_OF_A_STYLE.findall(sheet.read_text("utf-8"))] == []
