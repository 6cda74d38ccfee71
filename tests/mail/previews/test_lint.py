"""flasky.mail.previews.lint: what is wrong with a mail's templates, and what is not."""

import pytest
from django.template import Engine
from django.utils.html import escape
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from flasky.mail import render_email
from flasky.mail.previews.kinds import kinds
from flasky.mail.previews.lint import LARGEST, LONGEST_QUOTE, problems, wrong_in_html

UNDEFINED = "Correct its name, or add it to the sample of mail/news in MAIL_SAMPLES and to send_email's arguments."
RELATIVE = "and a mail is on no site. Begin it with https:// and the host."


@pytest.fixture
def write(settings, tmp_path):
    """Add a folder of templates to the project's; return what writes one of them."""
    settings.TEMPLATES = [{**engine, "DIRS": [*engine["DIRS"], tmp_path]} for engine in settings.TEMPLATES]
    (tmp_path / "mail").mkdir()
    return lambda name, content: (tmp_path / "mail" / name).write_text(content, "utf-8")


@pytest.fixture
def found(write):
    """Return what is found wrong with a mail of this HTML and text."""

    def found(html="<p>News</p>", text="News"):
        write("news.html", html)
        write("news.txt", text)
        return problems("mail/news")

    return found


def order(text):
    return {"order": {"number": 12, "lines": [{"article": text}]}}


def broken_without_text(text):
    return {"initial": text[0]}


def verbose(text):
    raise ValueError("line after\n" * 100)


@pytest.mark.parametrize("kind", kinds())
def test_nothing_is_wrong_with_the_projects_own_mails(kind):
    assert problems(kind) == []


@pytest.mark.parametrize(("missing", "twin"), [("txt", "html"), ("html", "txt")])
def test_a_missing_twin(write, missing, twin):
    write(f"news.{twin}", "News")
    assert problems("mail/news") == [
        f"mail/news.{missing} is missing: every mail is sent as text and as HTML. Write it beside mail/news.{twin}."
    ]


# Undefined variables


def test_an_undefined_variable_in_the_html(found):
    assert found(html="{{ nam }}") == [f"mail/news.html uses the undefined variable nam. {UNDEFINED}"]


def test_an_undefined_variable_in_the_text(found):
    assert found(text="{{ nam }}") == [f"mail/news.txt uses the undefined variable nam. {UNDEFINED}"]


@pytest.mark.parametrize(
    "content",
    [
        "{{ nam }} {{ nam }}",
        '{{ nam|default:"you" }}',
        "{% for letter in nam %}{{ letter }}{% endfor %}",
        "{% for letter in nam reversed %}{% empty %}None{% endfor %}",
        "{% regroup nam by city as cities %}",
        "{% with name=nam %}{{ name }}{% endwith %}",
        "{% load i18n %}{% blocktranslate %}Hello {{ nam }}{% endblocktranslate %}",
        "{% load i18n %}{% translate nam %}",
        "{% if not user.username %}{{ nam }}{% endif %}",
        '{% extends "mail/base.html" %}{% block content %}{{ block.super }}{{ nam }}{% endblock %}',
    ],
)
def test_it_is_found_wherever_a_sample_reaches_it(found, content):
    assert found(html=content) == [f"mail/news.html uses the undefined variable nam. {UNDEFINED}"]


def test_it_is_found_in_layouts_and_parts(found, write):
    write("base_news.html", "{% block content %}{% endblock %}{{ nam }}")
    write("_part.html", "{{ user.nam }}")
    assert found(
        '{% extends "mail/base_news.html" %}{% block content %}{% include "mail/_part.html" %}{% endblock %}'
    ) == [
        f"mail/news.html uses the undefined variable user.nam. {UNDEFINED}",
        f"mail/news.html uses the undefined variable nam. {UNDEFINED}",
    ]


@pytest.mark.parametrize(
    "content",
    [
        "{% if nam %}{{ nam }}{% endif %}",
        "{% if user.nam == 1 %}{% elif nam > 2 %}{% endif %}",
        '{% firstof nam user.nam "you" %}',
        '{{ user.username|default:"you" }} {{ user.email }} {{ user.last_login }}',
        "{% for letter in user.username %}{{ forloop.counter }}{{ letter }}{% empty %}{{ user.pk }}{% endfor %}",
        "{% with name=user.username %}{{ name }}{% endwith %}",
    ],
)
def test_what_may_be_missing_is_no_undefined_variable(found, content):
    assert found(html=content, text=content) == []


def test_a_sample_of_its_own_defines_what_it_says(found, settings):
    content = "{{ order.number }}{% regroup order.lines by article as articles %}{{ articles.0.grouper }}"
    assert len(found(html=content)) == 3
    settings.MAIL_SAMPLES = {"mail/news": f"{__name__}.order"}
    assert found(html=content) == []
    assert found(html="{{ user }}") == [f"mail/news.html uses the undefined variable user. {UNDEFINED}"]


def test_every_language_is_read(found, settings):
    only_german = "{% load i18n %}{% get_current_language as now %}{% if now == 'de' %}{{ nam }}{% endif %}"
    assert found(html=only_german, text=only_german) == []
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]
    assert len(found(html=only_german, text=only_german)) == 2


def test_a_translation_can_be_wrong_on_its_own(found, settings):
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]
    in_the_url = '{% load i18n %}{% translate "Monday" as day %}<a href="{{ day }}">'
    assert [sentence.split('"')[1] for sentence in found(in_the_url)] == ["Monday", "Montag"]


# What cannot be rendered


def test_a_template_that_cannot_be_compiled(found):
    [sentence] = found(text="Hello\n{% fo %}")
    assert sentence.startswith("mail/news.txt cannot be rendered with the sample usual in en: TemplateSyntaxError: ")
    assert "Invalid block tag on line 2: 'fo'." in sentence


def test_a_sample_that_fails_is_named(found, settings):
    settings.MAIL_SAMPLES = {"mail/news": f"{__name__}.broken_without_text"}
    assert found("{{ initial }}") == [
        f"mail/news.{suffix} cannot be rendered with the sample missing in en: IndexError: string index out of range"
        for suffix in ("txt", "html")
    ]


def test_a_sample_that_does_not_exist_is_named(found, settings):
    settings.MAIL_SAMPLES = {"mail/news": f"{__name__}.nothing"}
    assert f'ImportError: Module "{__name__}" does not define a "nothing"' in found()[0]


def test_what_was_found_before_it_failed_is_told_too(found):
    html = '<a href="/">{{ nam }}</a>{% if not user.username %}{% include "mail/none.html" %}{% endif %}'
    assert found(html) == [
        f"mail/news.html uses the undefined variable nam. {UNDEFINED}",
        f'mail/news.html has the relative URL "/", {RELATIVE}',
        "mail/news.html cannot be rendered with the sample missing in en: TemplateDoesNotExist: mail/none.html",
    ]


def test_an_undefined_argument_of_a_filter_is_named(found):
    [sentence] = found(text="{{ user.username|default:nam }}")
    assert "VariableDoesNotExist: Failed lookup for key [nam]" in sentence


def test_a_long_error_is_cut_and_in_one_line(found, settings):
    settings.MAIL_SAMPLES = {"mail/news": f"{__name__}.verbose"}
    sentence = found()[0]
    assert "ValueError: line after line after" in sentence
    assert len(sentence) < LONGEST_QUOTE + 100
    assert sentence.endswith("…")


# Size


@pytest.mark.parametrize(("html", "wrong"), [("x" * LARGEST, False), ("x" * LARGEST + "x", True)])
def test_the_html_may_have_102_kb(found, html, wrong):
    sentence = (
        "mail/news.html has 102,001 bytes of HTML, and Gmail cuts a mail off after 102,000. "
        "Shorten it, or link to what is long."
    )
    assert found(html) == [sentence] * wrong


def test_its_bytes_count_and_not_its_characters(found):
    assert "102,002 bytes" in found("ä" * 51_001)[0]


def test_the_largest_sample_counts(found):
    just_below = "x" * (LARGEST - 300)
    assert "bytes of HTML" in found(just_below + "{{ user.username }}")[0]


def test_the_text_may_be_longer(found):
    assert found(text="x" * LARGEST * 2) == []


# Images


@pytest.mark.parametrize("image", ['<img src="https://a.example/b.png">', '<IMG SRC="https://a.example/b.png"/>'])
def test_an_image_without_alternative_text(found, image):
    assert found(image) == [
        'mail/news.html has an image without alt: "https://a.example/b.png". Say what it shows; '
        'alt="" if it is decoration.'
    ]


@pytest.mark.parametrize("alternative", ['alt="A cat"', 'alt=""', "alt"])
def test_an_image_with_alternative_text_or_without_meaning(found, alternative):
    assert found(f'<img src="https://a.example/b.png" {alternative}>') == []


# URLs


@pytest.mark.parametrize("url", ["/a", "a", "../a", "?a=1", "//a.example/b", "", "#", "https:///a", "javascript:a"])
def test_a_relative_link(found, url):
    assert found(f'<a href="{url}">News</a>') == [f'mail/news.html has the relative URL "{url}", {RELATIVE}']


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "HTTP://a.example/b?c#d",
        " https://a.example",
        "mailto:ann@example.com",
        "tel:+4912345",
        "sms:+4912345",
        "cid:logo",
        "data:image/png;base64,AAAA",
        "#anchor",
    ],
)
def test_a_url_that_is_good_anywhere(found, url):
    assert found(f'<a href="{url}"></a><img alt="" src="{url}"><p style="background: url({url})">') == []


@pytest.mark.parametrize(
    "html",
    [
        '<img alt="" src="{}">',
        '<table background="{}"></table>',
        '<video poster="{}"></video>',
        '<form action="{}"></form>',
        '<link href="{}">',
        '<p style="background: url({})">',
        "<p style=\"background: url('{}')\">",
        "<style>p {{ background: URL( '{}' ) }}</style>",
    ],
)
def test_it_is_found_wherever_a_url_can_be(found, html):
    assert found(html.format("/a")) == [f'mail/news.html has the relative URL "/a", {RELATIVE}']


def test_a_word_that_looks_like_a_url_is_none(found):
    assert found("<style>p { color: red }</style><p>url(/a) href=/b &lt;a href=/c&gt;</p><!-- <a href='/d'> -->") == []


def test_a_host_that_is_missing_is_found(found):
    assert found('<a href="https://{{ user.username|urlencode }}/">') == [
        f'mail/news.html has the relative URL "https:///", {RELATIVE}'
    ]


def test_what_a_person_said_does_not_make_one_link_many(found):
    [sentence, without] = found('<a href="/users/{{ user.username }}/">')
    assert sentence == f'mail/news.html has the relative URL "/users/…/", {RELATIVE}'
    assert '"/users//"' in without


def test_a_long_url_is_cut(found):
    [sentence] = found(f'<a href="/{"x" * 1000}">')
    assert f'"/{"x" * (LONGEST_QUOTE - 2)}…"' in sentence


@rules(deadline=None)
@given(st.text(st.characters(exclude_characters=":", exclude_categories=["Cs", "Cc"])))
def test_no_url_without_a_scheme_is_let_through(url):
    if not url.startswith("#"):
        assert len(wrong_in_html("a.html", f'<a href="{escape(url)}">', "usual")) == 1


@rules(deadline=None)
@given(st.sampled_from(["http", "https"]), st.text())
def test_no_url_with_a_scheme_and_a_host_is_complained_of(scheme, rest):
    assert wrong_in_html("a.html", f'<a href="{scheme}://a{escape(rest)}">', "usual") == []


# Markup


@pytest.mark.parametrize(
    "html", ["{{ user.username|safe }}", "{% autoescape off %}<p>{{ user.username }}</p>{% endautoescape %}"]
)
def test_what_a_person_said_must_not_be_markup(found, html):
    assert found(html) == [
        "mail/news.html lets a person's text be markup. Leave out what keeps it from being escaped (safe, autoescape)."
    ]


def test_in_the_text_it_stays_as_it_is(found):
    assert found(html="{{ user.username }}", text="{{ user.username }}") == []


# What reading leaves behind


def test_the_projects_own_engine_does_not_become_strict(found):
    assert len(found(html="{{ nam }}!", text="{% for a in nam %}{% endfor %}!")) == 2
    email = render_email("ann@example.com", "News", "mail/news")
    assert (email.body, email.alternatives[0][0]) == ("!", "!")
    assert Engine.get_default().string_if_invalid == ""


@pytest.mark.django_db
def test_it_does_not_even_ask_the_database(found, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert found(html="{{ user.username }}", text="{{ user.get_full_name }}") == []
