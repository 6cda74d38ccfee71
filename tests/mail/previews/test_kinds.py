"""flasky.mail.previews.kinds: which mails there are, and what they are filled with."""

import re
import unicodedata
from email import message_from_bytes, policy

import pytest
from django.conf import global_settings
from django.test import modify_settings
from django.utils.html import escape

from accounts.models import User
from flasky.mail.models import OutboxMessage
from flasky.mail.previews.kinds import TEXTS, USUAL, kinds, languages, sample_context, sample_email, templates


@pytest.fixture
def write(settings, tmp_path):
    """Add a folder of templates to the project's; return what writes one of them."""
    settings.TEMPLATES = [{**engine, "DIRS": [*engine["DIRS"], tmp_path]} for engine in settings.TEMPLATES]

    def write(name, content=""):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, "utf-8")

    return write


def order(text):
    return {"customer": text}


def test_the_projects_own_mails_are_in_it():
    assert {"mail/new_user", "mail/flasky_mail/test"} <= set(kinds())


def test_a_kind_is_in_it_once_and_may_be_in_a_folder_of_its_own(write):
    write("mail/orders/paid.txt")
    write("mail/orders/paid.html")
    assert kinds().count("mail/orders/paid") == 1
    assert {"mail/orders/paid.html", "mail/orders/paid.txt"} < set(templates())


@pytest.mark.parametrize("name", ["half.txt", "half.html"])
def test_a_kind_with_one_twin_is_in_it(write, name):
    write(f"mail/{name}")
    assert "mail/half" in kinds()


def test_a_template_that_replaces_another_of_its_name_is_the_same_one(write):
    write("mail/new_user.txt")
    assert templates().count("mail/new_user.txt") == 1


@pytest.mark.parametrize("name", ["base.html", "base_wide.txt", "_button.html", "orders/base.html"])
def test_layouts_and_parts_are_no_mails(write, name):
    before = kinds()
    write(f"mail/{name}")
    assert kinds() == before


@pytest.mark.parametrize("name", ["mail/news.html~", "mail/news.mjml", "news.html", "mailing/news.txt"])
def test_other_files_are_no_mails(write, name):
    before = kinds()
    write(name)
    assert kinds() == before


def test_a_mail_whose_name_only_begins_like_a_layouts_is_a_mail(write):
    write("mail/baseball.txt")
    assert "mail/baseball" in kinds()


def test_the_samples_are_as_hostile_as_they_say():
    assert len(TEXTS["very-long"]) > 254  # longer than any address, without a place to break
    assert not set(TEXTS["very-long"]) & set(" -\n")
    assert {"R", "AL"} <= set(map(unicodedata.bidirectional, TEXTS["right-to-left"]))
    assert any(character > "\uffff" for character in TEXTS["emoji"])
    assert "\u200d" in TEXTS["emoji"]  # several that are shown as one
    assert all(markup in TEXTS["markup"] for markup in ("<script>", "&amp;", "{{", "{%"))
    assert all(quote in TEXTS["quotes"] for quote in "\"'`\\")
    assert TEXTS["missing"] == ""


@pytest.mark.django_db
def test_the_email_is_the_one_that_a_new_user_causes():
    User.objects.create(username=TEXTS[USUAL])
    stored = message_from_bytes(bytes(OutboxMessage.objects.get().content), policy=policy.default)
    email = sample_email("mail/new_user", "en", USUAL)
    [(html, _)] = email.alternatives
    for kind, sample in (("plain", email.body), ("html", html)):
        assert without_facts(stored.get_body([kind]).get_content()) == without_facts(sample)


def without_facts(body):
    """Return the lines of a new user's mail that are the same for every way, number and place of the site."""
    return [line for line in body.splitlines() if not re.search(r"How|Today|http|When|^$", line)]


@pytest.mark.parametrize("sample", TEXTS)
@pytest.mark.parametrize("kind", ["mail/new_user", "mail/flasky_mail/test"])
def test_what_a_person_said_is_in_the_text_as_it_is_and_in_the_html_escaped(kind, sample):
    email = sample_email(kind, "en", sample)
    [(html, mimetype)] = email.alternatives
    assert mimetype == "text/html"
    hair_space = "\u200a"  # which keeps a name from becoming a link
    assert TEXTS[sample] in email.body.replace(hair_space, "")
    assert escape(TEXTS[sample]) in html.replace(hair_space, "")


@pytest.mark.parametrize(("language", "day"), [("en", "Monday"), ("de", "Montag"), ("ar", "الاثنين")])
def test_the_email_is_in_the_language(write, language, day):
    for name in ("mail/week.txt", "mail/week.html"):
        write(name, '{% load i18n %}{% translate "Monday" %}')
    email = sample_email("mail/week", language, USUAL)
    assert (email.body, email.alternatives[0][0]) == (day, day)


@pytest.mark.parametrize("named", [[], global_settings.LANGUAGES])
def test_a_project_that_names_no_languages_has_the_one_that_its_mails_are_sent_in(settings, named):
    settings.LANGUAGES = named
    assert languages() == {"en": "en"}


def test_a_mail_without_a_sample_of_its_own_is_filled_with_a_user():
    assert sample_context("mail/welcome")["user"].username == TEXTS[USUAL]


def test_a_users_name_may_be_another_field(monkeypatch):
    monkeypatch.setattr(User, "USERNAME_FIELD", "email")
    assert sample_context("mail/welcome")["user"].email == TEXTS[USUAL]


def test_a_project_without_users_fills_in_none():
    with modify_settings(INSTALLED_APPS={"remove": ["django.contrib.auth", "django.contrib.admin", "accounts"]}):
        assert sample_context("mail/welcome") == {}


def test_the_test_mail_has_a_sample_in_any_project(settings):
    settings.MAIL_SAMPLES = {"mail/order": f"{__name__}.order"}
    assert {"host", "sent_at"} == set(sample_context("mail/flasky_mail/test"))


def test_a_mail_with_a_sample_of_its_own_is_filled_with_that(settings):
    settings.MAIL_SAMPLES = {"mail/order": f"{__name__}.order"}
    assert sample_context("mail/order", "Ann") == {"customer": "Ann"}


@pytest.mark.django_db
def test_a_sample_does_not_even_ask_the_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        for kind in kinds():
            for sample in TEXTS:
                sample_email(kind, "en", sample)
    assert not User.objects.exists()
    assert not OutboxMessage.objects.exists()
