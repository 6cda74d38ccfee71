"""sendtestemail, as somebody at a terminal sees it."""

import os
import socket
import subprocess
import sys

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from flasky.mail.checks import OUTBOX
from flasky.mail.compat import HAS_MAILERS
from flasky.mail.dispatchers import threads
from flasky.mail.limits import budget
from flasky.mail.management.commands import sendtestemail
from flasky.mail.models import OutboxMessage, State
from flasky.mail.storing.origin import origin
from tests.conftest import use_relay
from tests.databases import empty_database
from tests.scripted_relay import ScriptedRelay
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def output(capsys):
    return lambda: capsys.readouterr().out


def test_the_test_mail_arrives_and_the_servers_words_are_shown(relay, settings, output):
    call_command("sendtestemail", "ann@example.com", "bob@example.com")
    shown = output()
    assert relay.mails[0].recipients == ["ann@example.com", "bob@example.com"]
    assert relay.mails[0].message["Subject"] == "[Flasky] Test mail"
    assert f"Server    127.0.0.1:{settings.MAIL_PORT}" in shown
    assert "Security  none" in shown
    assert "Login     no" in shown
    assert "To        ann@example.com: accepted: 250 2.0.0 Queued as 1" in shown
    assert "Time      " in shown
    assert not OutboxMessage.objects.exists()


def test_a_second_mail_follows_on_the_same_connection(relay, output):
    call_command("sendtestemail", "ann@example.com")
    assert relay.sessions == 1
    assert [mail.message["Subject"] for mail in relay.mails] == [
        "[Flasky] Test mail",
        "[Flasky] Test mail, the second on the same connection",
    ]
    assert "Again     ann@example.com: accepted: 250 2.0.0 Queued as 2" in output()


def test_a_server_that_forbids_mails_behind_each_other_shows_itself(settings, output, caplog):
    with ScriptedRelay(pipelining=True, one_by_one=True) as relay:
        use_relay(settings, relay)
        call_command("sendtestemail", "ann@example.com")
        assert len(relay.accepted) == 2
    assert "Again     ann@example.com: accepted" in output()
    assert "Each mail is said alone from now on" in caplog.text


def test_a_refused_first_mail_is_not_followed_by_a_second(relay):
    relay.replies = {"RCPT": ["550 5.1.1 No such user"]}
    with pytest.raises(CommandError, match=r"550 5\.1\.1 No such user"):
        call_command("sendtestemail", "no@example.com")
    assert relay.mails == []


def test_starttls_with_login(settings, tls_context, trusted, output):
    with SmtpServer(starttls_context=tls_context, login=("ann", "secret")) as server:
        use_relay(settings, server, host="localhost", MAIL_USE_TLS=True, MAIL_USERNAME="ann", MAIL_PASSWORD="secret")
        call_command("sendtestemail", "ann@example.com")
        assert server.mails[0].secured
    shown = output()
    assert "Security  STARTTLS" in shown
    assert "Login     yes" in shown
    assert "secret" not in shown


def test_tls_from_the_first_byte(settings, tls_context, trusted, output):
    with SmtpServer(tls_context=tls_context) as server:
        use_relay(settings, server, host="localhost", MAIL_USE_SSL=True)
        call_command("sendtestemail", "ann@example.com")
    assert "Security  TLS" in output()


def test_admins_and_managers_are_those_of_the_settings(relay):
    call_command("sendtestemail", "--admins", "--managers")
    assert relay.mails[0].recipients == ["admin@example.com"]


def test_another_template_is_sent_with_made_up_content(relay):
    call_command("sendtestemail", "ann@example.com", template="mail/new_user")
    assert "User Zoë O'Brien <test> has joined." in relay.mails[0].text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            [],
            "You must specify some email recipients, or pass the --managers or --admins options after setting FLASKY",
        ),
        (["ann@example.com", "--using", "none"], "There is no mailer 'none' for --using"),
        (["nobody"], "'nobody' is not a mail address"),
        (["ann@example.com", "--template", "mail/none"], "There is no template mail/none"),
    ],
)
def test_rubbish_is_answered_with_a_sentence(relay, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("sendtestemail", *arguments)
    assert relay.mails == []


def test_a_refused_recipient_is_named_and_the_others_get_the_mail(relay):
    relay.replies = {"no@example.com": "550 5.1.1 No such user."}
    with pytest.raises(CommandError, match=r"Not accepted for no@example\.com \(550 5\.1\.1 No such user\)\. Look at"):
        call_command("sendtestemail", "no@example.com", "yes@example.com")
    assert relay.mails[0].recipients == ["yes@example.com"]


def test_a_wrong_password_names_the_settings(settings, tls_context, trusted):
    with SmtpServer(starttls_context=tls_context, login=("ann", "secret")) as server:
        use_relay(settings, server, host="localhost", MAIL_USE_TLS=True, MAIL_USERNAME="ann", MAIL_PASSWORD="wrong")
        with pytest.raises(CommandError, match="Look at MAIL_USERNAME and MAIL_PASSWORD"):
            call_command("sendtestemail", "ann@example.com")


def test_an_untrusted_certificate_names_the_setting(settings, tls_context):
    with SmtpServer(starttls_context=tls_context) as server:
        use_relay(settings, server, host="localhost", MAIL_USE_TLS=True)
        with pytest.raises(CommandError, match="SSL_CERT_FILE"):
            call_command("sendtestemail", "ann@example.com")


def test_a_silent_server_names_the_setting(settings, smtp_server):
    use_relay(settings, smtp_server)
    settings.MAIL_TIMEOUT = 1
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.MAIL_PORT = silent.getsockname()[1]
        with pytest.raises(CommandError, match="did not greet within 1 s"):
            call_command("sendtestemail", "ann@example.com")


def test_another_transport_needs_no_server(settings, output):
    settings.MAIL_TRANSPORT = "locmem"
    call_command("sendtestemail", "ann@example.com")
    assert mail.outbox[0].to == ["ann@example.com"]
    assert "Server    django.core.mail.backends.locmem.EmailBackend" in output()


@pytest.fixture
def mailers(settings):
    if not HAS_MAILERS:
        pytest.skip("this Django has no MAILERS")
    locmem = {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}
    settings.MAILERS = {"default": {"BACKEND": OUTBOX}, "bulk": locmem}


def test_another_alias_is_tried_past_the_outbox(relay, mailers, output):
    call_command("sendtestemail", "ann@example.com", using="bulk")
    assert [each.to for each in mail.outbox] == [["ann@example.com"]]
    shown = output()
    assert 'Server    MAILERS["bulk"]' in shown
    assert "To        ann@example.com: accepted" in shown
    assert relay.mails == []


def test_the_alias_of_the_outbox_is_tried_with_what_is_behind_it(relay, mailers):
    call_command("sendtestemail", "ann@example.com", using="default")
    assert len(relay.mails) == 2
    assert not OutboxMessage.objects.exists()


def test_what_is_wrong_with_another_alias_is_said_of_its_own_settings(settings, mailers):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    settings.MAILERS = {**settings.MAILERS, "smtp": {"BACKEND": smtp, "OPTIONS": {"host": "127.0.0.1", "port": port}}}
    settings.MAIL_SERVER = "another.example.com"
    with pytest.raises(CommandError, match=rf'port {port} .*MAILERS\["smtp"\]\["OPTIONS"\]\["host"\]'):
        call_command("sendtestemail", "ann@example.com", using="smtp")


def test_another_alias_cannot_be_queued(relay, mailers):
    with pytest.raises(CommandError, match=r'--queue goes through the outbox, and MAILERS\["bulk"\] past it'):
        call_command("sendtestemail", "ann@example.com", "--queue", using="bulk")


def test_queue_goes_through_the_outbox_and_waits_for_whoever_delivers(relay, settings, output):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.threads"
    threads.serve()
    try:
        call_command("sendtestemail", "ann@example.com", "--queue")
    finally:
        threads.stop()
    assert "Sent      250 2.0.0 Queued as 1" in output()
    assert OutboxMessage.objects.get().state == State.SENT


def test_queue_notes_the_source_and_the_operator(relay, settings, monkeypatch):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    monkeypatch.setenv("LOGNAME", "ann")
    call_command("sendtestemail", "bob@example.com", "--queue")
    message = OutboxMessage.objects.get()
    assert (message.kind, message.cause) == ("mail/flasky_mail/test", "")
    assert (message.source, message.actor) == ("sendtestemail", "ann")
    assert origin() == {"source": "", "actor": "", "request_id": ""}


def test_queue_says_when_nobody_delivers(monkeypatch):
    monkeypatch.setattr(sendtestemail, "QUEUE_TIMEOUT", 0)
    with pytest.raises(CommandError, match="Is a server or a worker running"):
        call_command("sendtestemail", "ann@example.com", "--queue")


def test_queue_says_when_the_mail_budget_takes_no_more(settings):
    settings.MAIL_BUDGET_TOTAL, settings.MAIL_BUDGET_HELD = (1,), 1
    budget.forget()
    mail.send_mass_mail([("Hi", "Hello", "ann@example.com", ["bob@example.com"])] * 2)
    with pytest.raises(CommandError, match="so this one was not taken"):
        call_command("sendtestemail", "ann@example.com", "--queue")
    budget.forget()


def test_queue_says_when_the_relay_refused(relay, settings):
    settings.MAIL_DISPATCHER = "flasky.mail.dispatchers.inline"
    relay.replies = {"RCPT": "550 5.1.1 No such user"}
    with pytest.raises(CommandError, match="is failed: 550"):
        call_command("sendtestemail", "ann@example.com", "--queue")


def test_a_failure_is_exit_code_1_and_one_sentence_at_the_terminal(tmp_path):
    relay = {"MAIL_TRANSPORT": "smtp", "MAIL_SERVER": "127.0.0.1", "MAIL_PORT": "1", "ALLOWED_HOSTS": "localhost"}
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "flasky.settings", "DATABASE_URL": empty_database(tmp_path)}
    command = [sys.executable, "manage.py", "sendtestemail", "ann@example.com"]
    finished = subprocess.run(command, env=environment | relay, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 1
    assert finished.stderr.startswith("CommandError: Nothing answers at 127.0.0.1 port 1 (connection refused).")
    assert finished.stderr.count("\n") == 1
