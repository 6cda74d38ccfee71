"""The catalogues of flasky.mail and of the site: complete, and what is compiled is what is written."""

import ast
import re
from gettext import GNUTranslations
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation.template import templatize

from accounts.forms import NameForm

ROOT = Path(__file__).parents[1]
APP = ROOT / "flasky/mail"
OF_THE_APP = sorted(APP.glob("locale/*/LC_MESSAGES/django.po"))
OF_THE_SITE = sorted(ROOT.glob("locale/*/LC_MESSAGES/django.po"))
CATALOGUES = OF_THE_APP + OF_THE_SITE
RENEW = (
    "In flasky/mail, or for the site beside manage.py with --ignore 'flasky/mail/*' --ignore '.venv*', run: python -m "
    "django makemessages --all --no-location --no-obsolete --no-wrap. Translate what is empty or fuzzy. Then run: "
    "python -m django compilemessages"
)
PLURALS = ("ngettext", "ngettext_lazy")
CONTEXTS = ("pgettext", "pgettext_lazy")
SINGLE = ("_", "gettext", "gettext_lazy", "gettext_noop")
TEXT = r"""(u?'(?:[^'\\]|\\.)*'|u?"(?:[^"\\]|\\.)*")"""
CALL = re.compile(rf"\b(ngettext|pgettext|gettext|_)\({TEXT}(?:, {TEXT})?")
WORD_OF_A_STYLE = re.compile(r"""content: *["'](?=[^"'\\]*[a-z]).*""", re.IGNORECASE)
NUMBERS = {"%(count)s", "%(minutes)s", "%(minutes)d"}  # which a sentence about one need not have
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w+\}")


def name(path):
    return f"{path.parts[-5]} {path.parts[-3]}"


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


def sentences(path):
    """Return those that this catalogue should have."""
    folders, templates = ([APP], APP) if path in OF_THE_APP else ([ROOT / "accounts", ROOT / "flasky/site"], ROOT)
    python = [sentence for folder in folders for file in folder.rglob("*.py") for sentence in in_python(file)]
    pattern = "templates/**/*.*" if templates == ROOT else "**/templates/**/*.*"
    return {*python, *(sentence for file in templates.glob(pattern) for sentence in in_template(file))}


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
    assert OF_THE_APP
    assert OF_THE_SITE
    assert len(sentences(OF_THE_APP[0])) > 300
    assert len(sentences(OF_THE_SITE[0])) > 50


@pytest.mark.parametrize("path", CATALOGUES, ids=name)
def test_no_sentence_waits_for_its_translation(path):
    missing = sentences(path) - written(path).keys()
    assert not missing, f"{len(missing)} sentences have no translation. {RENEW}\n{sorted(missing)}"


@pytest.mark.parametrize("path", CATALOGUES, ids=name)
def test_what_is_compiled_is_what_is_written(path):
    translations = {sentence: text for sentence, text in written(path).items() if sentence}
    assert compiled(path) == translations, RENEW


@pytest.mark.parametrize("path", CATALOGUES, ids=name)
def test_a_translation_has_the_placeholders_of_its_sentence(path):
    wrong = {
        sentence
        for sentence, text in written(path).items()
        if sentence and {*PLACEHOLDER.findall(sentence)} - NUMBERS != {*PLACEHOLDER.findall(text)} - NUMBERS
    }
    assert wrong == set()


def test_a_page_speaks_the_language(rf):
    with translation.override("zh-hans"):
        shown = ("flasky_mail/web/base.html", "flasky_mail/web/refresh.html")
        page = "".join(render_to_string(template, request=rf.get("/")) for template in shown)
    assert '<html lang="zh-hans">' in page
    assert "自动刷新" in page


def test_the_form_and_its_refusals_speak_it_too(rf):
    form = NameForm({"name": "Ann"})
    with translation.override("zh-hans"):
        form.put_off(9)
        page = render_to_string("index.html", {"form": form}, rf.get("/"))
        page += render_to_string("429.html", {"minutes": 9}, rf.get("/"))
    assert "请在 9 分钟后再次提交表单" in page
    assert "请等待 9 分钟后重试" in page


def test_no_style_sheet_says_a_word_which_no_catalogue_could_translate():
    sheets = list(APP.rglob("static/**/*.css"))
    assert sheets
    assert [found for sheet in sheets for found in WORD_OF_A_STYLE.findall(sheet.read_text("utf-8"))] == []
