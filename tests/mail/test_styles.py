"""flasky.mail.styles: one style sheet, written into the elements of a mail."""

import re

import pytest
from django.template import Engine
from django.template.loader import render_to_string

from flasky.mail import styles
from flasky.mail.previews.kinds import kinds, sample_email
from flasky.mail.styles import inline

CSS = """/* one class each */
.a { color: red; margin: 0; }
.b { color: blue; font-family: 'Segoe UI', sans-serif; }

/* in the head */
@media (max-width: 480px) { .a { margin: 1px !important; } }
"""
HTML = '<html><head></head><body><p class="a">1</p><p class="a b" id="x">2</p><p class="none">3</p><p>4</p></body>'


def test_each_element_gets_what_its_classes_want_and_the_head_the_rest():
    html = inline(HTML, CSS)
    assert '<p class="a" style="color: red;margin: 0;">1</p>' in html
    assert 'font-family: \'Segoe UI\', sans-serif;" id="x">2</p>' in html
    assert "color: blue" in html
    assert '<p class="none">3</p><p>4</p>' in html
    head = html.partition("</head>")[0]
    assert "@media" in head
    assert "one class each" not in head
    assert ".b {" not in head


def test_twice_is_once():
    styled = inline("<td class='a'></td>" + HTML.replace("<head></head>", ""), CSS)
    assert inline(styled, CSS) == styled


def test_without_the_package_the_whole_sheet_is_in_the_head(monkeypatch):
    monkeypatch.setattr(styles, "css_inline", None)
    html = inline(HTML, CSS)
    assert ".b {" in html.partition("</head>")[0]
    assert "style=" not in html


def test_a_class_is_worked_out_once_in_a_process(monkeypatch):
    asked = []

    def work_out(element, css):
        asked.append(element)
        return element.replace(">", ' style="color: red">', 1)

    monkeypatch.setattr(styles.css_inline, "inline_fragment", work_out)
    for _ in range(3):
        inline(HTML, CSS + "/* another sheet */")
    assert len(asked) == 3  # a, "a b" and none


def test_selectors_of_the_sheet_are_single_classes_and_the_mails_use_no_other():
    sheet = Engine.get_default().get_template("flasky_mail/mail.css").source
    of_elements = re.sub(r"(?s)/\*.*?\*/", "", sheet.rpartition("/*")[0])
    selectors = re.findall(r"(?m)^([^{}\n]+?) *\{", of_elements)
    assert len(selectors) > 10
    assert [selector for selector in selectors if not re.fullmatch(r"\.[a-z-]+", selector)] == []
    used = {name for kind in kinds() for name in re.findall(r'class="([^"]*)"', html_of(kind))}
    assert {name for names in used for name in names.split()} <= {selector[1:] for selector in selectors}


@pytest.mark.parametrize("kind", ["mail/new_user", "mail/password_reset", "mail/flasky_mail/test"])
def test_in_every_mail_the_class_comes_first_and_has_become_a_style(kind):
    html = html_of(kind)
    assert html.count("class=") == html.count('style="')
    assert html.count("<style>") == 1


def html_of(kind):
    return sample_email(kind, "en", "usual").alternatives[0].content


def test_a_page_can_use_the_tag_too(settings, tmp_path):
    settings.TEMPLATES = [{**engine, "DIRS": [*engine["DIRS"], tmp_path]} for engine in settings.TEMPLATES]
    page = '{% load flasky_mail_layout %}{% inlined "a.css" %}<b class="a">{{ x }}</b>{% endinlined %}'
    (tmp_path / "page.html").write_text(page)
    (tmp_path / "a.css").write_text(".a { color: red; }")
    assert render_to_string("page.html", {"x": "<"}) == '<b class="a" style="color: red;">&lt;</b>'
