"""flasky.mail: the door."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import PasswordResetForm
from django.core import mail
from django.template import TemplateDoesNotExist
from django.utils import timezone
from django.utils.html import escape

from flasky.mail import render_email, send_email
from flasky.mail.conf import TRANSPORTS
from flasky.mail.models import OutboxMessage
from flasky.mail.previews.kinds import kinds
from flasky.mail.previews.lint import problems
from tests.conftest import all_mail_goes_to

pytestmark = pytest.mark.django_db  # a mail is in the language of the user who has its address


@pytest.fixture
def templates(tmp_path, settings):
    """A folder for templates of this test's own."""
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path, *engine["DIRS"]]} for engine in settings.TEMPLATES]
    return tmp_path


@pytest.fixture
def welcome(templates, settings):
    all_mail_goes_to(settings, TRANSPORTS["locmem"])
    (templates / "welcome.txt").write_text("Welcome, {{ name }}!")
    (templates / "welcome.html").write_text("<p>Welcome, <b>{{ name }}</b>!</p>")


def test_a_second_kind_of_mail_needs_two_templates_and_one_call(welcome):
    send_email("ann@example.com", "Welcome", "welcome", name="Ann")
    [email] = mail.outbox
    assert email.body == "Welcome, Ann!"
    assert email.alternatives == [("<p>Welcome, <b>Ann</b>!</p>", "text/html")]
    assert email.to == ["ann@example.com"]


def test_text_is_not_escaped_and_html_is(welcome):
    email = send_email("ann@example.com", "Welcome", "welcome", name="O'Brien & <Söhne>")
    assert email.body == "Welcome, O'Brien & <Söhne>!"
    assert "O&#x27;Brien &amp; &lt;Söhne&gt;" in email.alternatives[0].content


def test_prefix_and_sender_come_from_the_settings(welcome, settings):
    settings.FLASKY_MAIL_SUBJECT_PREFIX = "[Shop]"
    settings.FLASKY_MAIL_SENDER = "Shop <shop@example.org>"
    email = send_email("ann@example.com", "Welcome", "welcome")
    assert email.subject == "[Shop] Welcome"
    assert email.from_email == "Shop <shop@example.org>"


def test_one_space_follows_the_prefix_also_djangos_which_ends_with_one(welcome, settings):
    settings.FLASKY_MAIL_SUBJECT_PREFIX = None
    settings.EMAIL_SUBJECT_PREFIX = "[Shop] "
    assert send_email("ann@example.com", "Welcome", "welcome").subject == "[Shop] Welcome"


def test_without_a_prefix_the_subject_starts_with_its_first_word(welcome, settings):
    settings.FLASKY_MAIL_SUBJECT_PREFIX = ""
    assert send_email("ann@example.com", "Welcome", "welcome").subject == "Welcome"


def test_several_addresses_get_one_mail(welcome):
    send_email(["ann@example.com", "bob@example.com"], "Welcome", "welcome")
    assert mail.outbox[0].to == ["ann@example.com", "bob@example.com"]


def test_vacation_responders_are_asked_to_stay_silent(welcome):
    email = send_email("ann@example.com", "Welcome", "welcome")
    assert email.message()["Auto-Submitted"] == "auto-generated"


def test_nobody_to_send_to_sends_nothing(welcome):
    send_email([], "Welcome", "welcome")
    assert mail.outbox == []


def test_a_missing_twin_is_an_error_at_the_call(templates):
    (templates / "half.txt").write_text("only text")
    with pytest.raises(TemplateDoesNotExist, match=r"half\.html"):
        send_email("ann@example.com", "Half", "half")


@pytest.mark.django_db
def test_a_line_break_in_the_subject_is_an_error_at_the_call(welcome, settings):
    all_mail_goes_to(settings, settings.OUTBOX)
    with pytest.raises(ValueError, match="newlines"):
        send_email("ann@example.com", "Welcome\nBcc: eve@example.com", "welcome")


@pytest.mark.django_db
def test_a_mail_can_be_urgent():
    assert (
        send_email("ann@example.com", "Reset", "mail/flasky_mail/test", priority="urgent").outbox_message.priority
        == "urgent"
    )
    assert send_email("ann@example.com", "Hello", "mail/flasky_mail/test").outbox_message.priority == "normal"


@pytest.mark.django_db
def test_a_mail_can_be_for_later():
    tomorrow = timezone.now() + timedelta(days=1)
    email = send_email("ann@example.com", "Hello", "mail/flasky_mail/test", send_at=tomorrow)
    assert email.outbox_message.next_attempt_at == tomorrow


class ResetForm(PasswordResetForm):
    """As in docs/writing-mail.md."""

    def send_mail(self, subject_template_name, email_template_name, context, from_email, to_email, **options):
        send_email(to_email, "Your new password", "mail/flasky_mail/test", priority="urgent", **context)


@pytest.mark.django_db
def test_djangos_password_reset_can_be_urgent():
    get_user_model().objects.create_user("ann", "ann@example.com", "a password")
    form = ResetForm({"email": "ann@example.com"})
    assert form.is_valid()
    form.save(domain_override="example.com")
    assert "password" in OutboxMessage.objects.get(priority="urgent").subject


# The project's own engine of templates


@pytest.fixture
def engine_with_everything(templates, settings):
    """An engine as a project may have it: with context processors, more tags, and loaders that keep what they read."""
    keeping = "django.template.loaders.cached.Loader"
    loaders = [(keeping, [f"django.template.loaders.{name}.Loader" for name in ("filesystem", "app_directories")])]
    settings.TEMPLATES = [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [templates],
            "OPTIONS": {
                "context_processors": ["django.template.context_processors.request"],
                "libraries": {"numbers": "django.contrib.humanize.templatetags.humanize"},
                "builtins": ["django.templatetags.i18n"],
                "loaders": loaders,
            },
        }
    ]


def test_a_mail_is_rendered_by_the_projects_engine_with_the_tags_it_has(welcome, templates, engine_with_everything):
    (templates / "part.txt").write_text("{{ name }}")
    for name, end in (("welcome.txt", ""), ("welcome.html", "<br>")):
        (templates / name).write_text(
            f'{{% load numbers %}}{{% translate "Monday" %}} {{{{ many|intcomma }}}} {{% include "part.txt" %}}{end}'
        )
    for name in ("O'Brien", "Ann & Bob"):  # the second time from what the loader has kept
        email = send_email("ann@example.com", "Welcome", "welcome", name=name, many=1200)
        assert email.body == f"Monday 1,200 {name}"
        assert email.alternatives[0].content == f"Monday 1,200 {escape(name)}<br>"


def test_the_apps_own_mail_is_found_by_whatever_loader_the_project_has(engine_with_everything):
    assert kinds() == ["mail/flasky_mail/test"]
    assert problems("mail/flasky_mail/test") == []


def test_a_project_without_an_engine_of_djangos_has_the_mails_of_its_apps(settings):
    settings.TEMPLATES = []
    email = render_email("ann@example.com", "Test", "mail/flasky_mail/test", host="here")
    assert "Sent from here" in email.body


@pytest.fixture
def test_mail(templates, engine_with_everything):
    """Return the HTML of the mail of sendtestemail in a project that has only the app."""
    return lambda: render_email("ann@example.com", "Test", "mail/flasky_mail/test", host="here").alternatives[0].content


def test_the_apps_own_mail_has_no_brand_of_this_site(test_mail):
    assert "sending mail works" in test_mail()
    assert "Flasky" not in test_mail()


def test_the_apps_own_mail_takes_the_projects_brand(test_mail, templates):
    frame = templates / "flasky_mail" / "mail_base.html"
    frame.parent.mkdir()
    frame.write_text('{% extends "flasky_mail/mail_base.html" %}{% block brand %}Shop{% endblock %}')
    assert re.search('<td class="brand"[^>]*>Shop</td>', test_mail())


def test_this_site_has_its_own_brand_on_the_test_mail():
    html = render_email("ann@example.com", "Test", "mail/flasky_mail/test", host="here").alternatives[0].content
    assert re.search('<td class="brand"[^>]*><a [^>]*>Flasky</a></td>', html)
