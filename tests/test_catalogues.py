"""The catalogues of the apps and of the site: complete, and what is compiled is what is written."""

import re

import pytest
from django.template.loader import render_to_string
from django.utils import translation

from accounts.forms import NameForm
from tests.translations import APPS, ROOT, compiled, sentences, written

LANGUAGES = sorted(folder.name for folder in (ROOT / "locale").iterdir())
CATALOGUES = sorted(path for app in (".", *APPS) for path in (ROOT / app).glob("locale/*/LC_MESSAGES/django.po"))
RENEW = "docs/languages.md says how: makemessages, translate what is empty or fuzzy, compilemessages."
NUMBERS = {"%(count)s", "%(minutes)s", "%(minutes)d"}  # which a sentence about one need not have
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w+\}")
WORD_OF_A_STYLE = re.compile(r"""content: *["'](?=[^"'\\]*[a-z]).*""", re.IGNORECASE)


def name(path):
    return f"{path.parts[-5]} {path.parts[-3]}"


def of(language):
    """Return what the language has: of the site, and of each app where that app has it itself."""
    folders = [ROOT / app / "locale" / language for app in ("", *APPS)]
    found = [written(folder / "LC_MESSAGES/django.po") for folder in folders if folder.is_dir()]
    return {sentence for each in found for sentence in each}


def test_there_are_catalogues_and_sentences():
    assert len(CATALOGUES) >= len(LANGUAGES) + len(APPS)
    assert [len(sentences(app)) > least for app, least in (("", 120), ("flasky/mail", 500), ("flasky/drill", 45))]


@pytest.mark.parametrize("app", ["", *APPS], ids=["site", *APPS])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_waits_for_its_translation(language, app):
    missing = sentences(app) - of(language)
    assert not missing, f"{len(missing)} sentences have no translation. {RENEW}\n{sorted(missing)}"


@pytest.mark.parametrize("app", APPS)
def test_an_app_that_brings_a_language_brings_all_of_it(app):
    for catalogue in (ROOT / app).glob("locale/*/LC_MESSAGES/django.po"):
        assert sentences(app) - written(catalogue).keys() == set(), RENEW


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
    sheets = list((ROOT / "flasky/mail").rglob("static/**/*.css"))
    assert sheets
    assert [found for sheet in sheets for found in WORD_OF_A_STYLE.findall(sheet.read_text("utf-8"))] == []
