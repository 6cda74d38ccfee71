"""accounts.resets: a new password by mail, as text and HTML in the layout of all mails."""

import re

import pytest

from accounts.models import User
from flasky.mail.models import OutboxMessage, Priority
from flasky.mail.wire.rebuild import html_body, parse, text_body

pytestmark = pytest.mark.django_db

ASK = "/admin/password_reset/"


@pytest.fixture(autouse=True)
def ann(settings):
    settings.FLASKY_SITE_URL, settings.FLASKY_ADMIN = "https://www.example.com", []
    return User.objects.create_user("Ann", "ann@example.com", "an old password", is_staff=True)


def test_the_log_in_page_leads_there(client):
    assert ASK in client.get("/admin/login/").content.decode()
    assert "忘记了登录信息？" in client.get("/admin/login/", headers={"accept-language": "zh"}).content.decode()


def test_the_mail_leads_to_a_page_where_a_new_password_is_chosen(client, ann):
    assert client.post(ASK, {"email": "ANN@example.com"}).status_code == 302
    message = OutboxMessage.objects.get()
    assert (message.subject, message.priority) == ("[Flasky] Choose a new password", Priority.URGENT)
    assert message.is_sensitive
    text, html = text_body(parse(message.content)), html_body(parse(message.content))
    assert "your account at Flasky has this address" in text
    [link] = re.findall(r"https://www\.example\.com(/admin/reset/\S+)", text)
    assert link in html
    page = client.get(link, follow=True)
    client.post(
        page.redirect_chain[-1][0], {"new_password1": "a much better one", "new_password2": "a much better one"}
    )
    ann.refresh_from_db()
    assert ann.check_password("a much better one")
    assert client.get(link, follow=True).context["validlink"] is False


def test_where_nobody_knows_the_sites_address_no_link_leads_to_the_host_of_whoever_asks(client, settings, caplog):
    settings.FLASKY_SITE_URL, settings.ALLOWED_HOSTS, settings.DEBUG = "", ["*"], False
    assert client.post(ASK, {"email": "ann@example.com"}, headers={"host": "evil.example"}).status_code == 302
    assert not OutboxMessage.objects.exists()
    assert "Set FLASKY_SITE_URL" in caplog.text


def test_nobody_learns_whether_there_is_such_an_account(client):
    known, unknown = (client.post(ASK, {"email": address}) for address in ("ann@example.com", "bob@example.com"))
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert OutboxMessage.objects.count() == 1


def test_the_address_in_the_mail_is_not_that_of_the_request(client, settings):
    settings.ALLOWED_HOSTS = ["*"]
    client.post(ASK, {"email": "ann@example.com"}, headers={"host": "evil.example"})
    assert b"evil.example" not in bytes(OutboxMessage.objects.get().content)


@pytest.mark.parametrize("limit", ["LOGINS_PER_NAME", "LOGINS_PER_ADDRESS"])
def test_only_so_many_can_be_caused(client, settings, limit):
    setattr(settings, limit, 2)
    answers = [client.post(ASK, {"email": "ann@example.com"}).status_code for _ in range(3)]
    assert answers == [302, 302, 429]
    assert OutboxMessage.objects.count() == 2


def test_it_speaks_the_language_of_whoever_asks(client):
    client.post(ASK, {"email": "ann@example.com"}, headers={"accept-language": "zh-hans"})
    assert OutboxMessage.objects.get().subject == "[Flasky] 设置新密码"
