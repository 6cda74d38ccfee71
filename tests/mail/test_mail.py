"""flasky.mail: the door."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import PasswordResetForm
from django.core import mail
from django.template import TemplateDoesNotExist
from django.utils import timezone

from flasky.mail import send_email
from flasky.mail.compat import OUTBOX
from flasky.mail.models import OutboxMessage
from tests.conftest import all_mail_goes_to


@pytest.fixture
def templates(tmp_path, settings):
    """A folder for templates of this test's own."""
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path, *engine["DIRS"]]} for engine in settings.TEMPLATES]
    return tmp_path


@pytest.fixture
def welcome(templates, settings):
    all_mail_goes_to(settings, settings.TRANSPORTS["locmem"])
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
    all_mail_goes_to(settings, OUTBOX)
    with pytest.raises(ValueError, match="newlines"):
        send_email("ann@example.com", "Welcome\nBcc: eve@example.com", "welcome")


@pytest.mark.django_db
def test_a_mail_can_be_urgent():
    assert send_email("ann@example.com", "Reset", "mail/test", priority="urgent").outbox_message.priority == "urgent"
    assert send_email("ann@example.com", "Hello", "mail/test").outbox_message.priority == "normal"


@pytest.mark.django_db
def test_a_mail_can_be_for_later():
    tomorrow = timezone.now() + timedelta(days=1)
    email = send_email("ann@example.com", "Hello", "mail/test", send_at=tomorrow)
    assert email.outbox_message.next_attempt_at == tomorrow


class ResetForm(PasswordResetForm):
    """The README's."""

    def send_mail(self, subject_template_name, email_template_name, context, from_email, to_email, **options):
        send_email(to_email, "Your new password", "mail/test", priority="urgent", **context)


@pytest.mark.django_db
def test_djangos_password_reset_can_be_urgent():
    get_user_model().objects.create_user("ann", "ann@example.com", "a password")
    form = ResetForm({"email": "ann@example.com"})
    assert form.is_valid()
    form.save(domain_override="example.com")
    assert "password" in OutboxMessage.objects.get(priority="urgent").subject
