"""The admin: users, and a look into the outbox."""

from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.utils.html import strip_tags

from accounts.models import User
from flasky.mail import send_email
from flasky.mail.models import OutboxMessage

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
NEW_USER = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
USERS = "/admin/accounts/user/"
MESSAGES = "/admin/flasky_mail/outboxmessage/"


@pytest.fixture
def boss(client):
    """A superuser, logged in, of whom nobody was told."""
    User.objects.bulk_create([User(username="Boss", is_staff=True, is_superuser=True)])
    client.force_login(User.objects.get())
    return client


@pytest.fixture
def message():
    send_email(["ann@example.com", "bob@example.com"], "New User", "mail/new_user", user=User(username="O'Brien <b>"))
    return OutboxMessage.objects.get()


def page(response):
    return response.content.decode()


def read(response):
    """Return what a person reads on the page."""
    return " ".join(unescape(strip_tags(page(response))).split())


def log_in(client, name, password=PASSWORD):
    return client.post("/admin/login/?next=/admin/", {"username": name, "password": password})


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("Boss", "Boss"),
        ("ｓａｔｏ", "ｓａｔｏ"),
        ("ﬁona", "ﬁona"),
        ("Anna Lee O'Brien", " Anna Lee O'Brien "),
        ("Ren\u00e9", "Rene\u0301"),
    ],
)
def test_a_superuser_logs_in_with_the_name_as_a_person_types_it(client, name, typed):
    User.objects.create_superuser(name, password=PASSWORD)
    assert log_in(client, typed)["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize(("name", "password"), [("Boss", "wrong"), ("boss", PASSWORD), ("Nobody", PASSWORD), ("", "")])
def test_a_wrong_name_or_password_does_not_log_in(client, name, password):
    User.objects.create_superuser("Boss", password=PASSWORD)
    response = log_in(client, name, password)
    assert response.status_code == 200
    assert client.get("/admin/").status_code == 302


def test_a_visitor_does_not_get_in(client):
    User.objects.get_or_create_visitor("John")
    for password in ("", "!", "None"):
        assert log_in(client, "John", password).status_code == 200
    assert client.get(USERS).status_code == 302


@pytest.mark.parametrize("name", ["O'Brien Smith", "佐藤 花子", "ｓａｔｏ", "👩\u200d👧", "<b>x</b>"])
def test_a_user_added_by_hand_is_told_to_the_administrators_once(boss, name):
    response = boss.post(f"{USERS}add/", {"username": name, **NEW_USER})
    user = User.objects.get(username=name)
    assert response["Location"] == f"{USERS}{user.pk}/change/"
    assert user.check_password(PASSWORD)
    assert OutboxMessage.objects.get().subject.startswith("[Flasky] New User: ")


def test_a_user_may_be_added_without_a_password(boss):
    boss.post(f"{USERS}add/", {"username": "Ann", "usable_password": "false", "password1": "", "password2": ""})
    assert not User.objects.get(username="Ann").has_usable_password()


def test_the_name_of_a_user_added_by_hand_is_normalised(boss):
    boss.post(f"{USERS}add/", {"username": " Rene\u0301 ", **NEW_USER})
    assert User.objects.filter(username="Ren\u00e9").exists()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "This field is required."),
        ("Ann\tLee", "Please remove the control characters"),
        ("Ann\nLee", "please remove the line breaks"),
        ("\u202eAnn", "Please remove the invisible characters"),
        ("x" * 65, "Please use at most 64 characters; this name has 65."),
        ("Boss", "There is a user with this name already."),
    ],
)
def test_a_bad_name_is_refused_with_a_sentence_and_nobody_is_told(boss, name, complaint):
    response = boss.post(f"{USERS}add/", {"username": name, **NEW_USER})
    assert response.status_code == 200
    assert complaint in read(response)
    assert User.objects.count() == 1
    assert not OutboxMessage.objects.exists()


def test_the_admin_tells_capitals_from_small_letters_as_the_form_does(boss):
    boss.post(f"{USERS}add/", {"username": "boss", **NEW_USER})
    assert User.objects.filter(username="boss").exists()


def unchanged(user):
    """Return what a browser would send if nothing were changed."""
    joined = user.date_joined
    return {
        "username": user.username,
        "is_active": "on",
        "date_joined_0": f"{joined:%Y-%m-%d}",
        "date_joined_1": f"{joined:%H:%M:%S}",
    }


def test_a_changed_user_is_told_to_nobody(boss):
    boss.post(f"{USERS}add/", {"username": "Ann", **NEW_USER})
    user = User.objects.get(username="Ann")
    response = boss.post(f"{USERS}{user.pk}/change/", unchanged(user) | {"username": "ｓａｔｏ Lee"})
    assert response["Location"] == USERS
    user.refresh_from_db()
    assert user.username == "ｓａｔｏ Lee"
    assert user.check_password(PASSWORD)
    assert OutboxMessage.objects.count() == 1


def test_a_user_cannot_be_renamed_to_a_bad_name(boss):
    user = User.objects.create(username="Ann")
    response = boss.post(f"{USERS}{user.pk}/change/", unchanged(user) | {"username": "Ann\tLee"})
    assert "Please remove the control characters" in read(response)
    user.refresh_from_db()
    assert user.username == "Ann"


@pytest.mark.parametrize("url", [USERS, f"{USERS}?q=Ann", f"{USERS}?date_joined__year=2020", f"{USERS}add/"])
def test_the_pages_for_users_open(boss, url):
    assert boss.get(url).status_code == 200


def test_the_list_shows_each_message_with_its_state(boss, message):
    response = boss.get(MESSAGES)
    assert response.status_code == 200
    row = page(response).partition("<li data-key=")[2].partition("</li>")[0]
    assert "ann@example.com" in row
    assert "queued" in row


def test_the_page_of_a_message_shows_what_was_sent_as_text(boss, message):
    own = f"{MESSAGES}{message.pk}/change/"
    for shown in ("[Flasky] New User", "ann@example.com bob@example.com", "queued", message.message_id):
        assert shown in read(boss.get(own))
    for tab in ("text", "source"):
        assert "User O&#x27;Brien &lt;b&gt; has joined." in page(boss.get(f"{own}?tab={tab}"))
        assert "O'Brien" not in page(boss.get(f"{own}?tab={tab}"))
    assert "O&amp;#x27;Brien &amp;lt;b&amp;gt;" in page(boss.get(f"{own}?tab=source"))


@pytest.mark.parametrize("query", ["q=New+User", "q=ann%40example.com", "tab=queued", "time=1h"])
def test_messages_are_found(boss, message, query):
    assert "to ann@example.com, bob@example.com" in read(boss.get(f"{MESSAGES}?{query}"))


@pytest.mark.parametrize("query", ["q=Old+User", "q=eve%40example.com", "tab=sent"])
def test_messages_that_do_not_match_are_left_out(boss, message, query):
    response = boss.get(f"{MESSAGES}?{query}")
    assert response.status_code == 200
    assert "to ann@example.com, bob@example.com" not in read(response)


def test_a_mail_without_subject_or_html_can_be_looked_at(boss):
    mail.EmailMessage("", "Only text", "ann@example.com", ["bob@example.com"]).send()
    message = OutboxMessage.objects.get()
    assert "(no subject)" in read(boss.get(MESSAGES))
    assert "(no subject)" in read(boss.get(f"{MESSAGES}{message.pk}/change/"))
    assert "Only text" in read(boss.get(f"{MESSAGES}{message.pk}/change/"))


def test_nobody_adds_changes_or_deletes_a_message(boss, message):
    own = f"{MESSAGES}{message.pk}/"
    assert boss.get(f"{MESSAGES}add/").status_code == 403
    assert boss.post(f"{MESSAGES}add/", {"subject": "x"}).status_code == 403
    assert boss.post(f"{own}change/", {"subject": "x"}).status_code == 405
    assert boss.get(f"{own}delete/").status_code == 403
    assert boss.post(f"{own}delete/", {"post": "yes"}).status_code == 403
    boss.post(MESSAGES, {"action": "delete_selected", "_selected_action": [message.pk], "post": "yes"})
    assert OutboxMessage.objects.get().subject == "[Flasky] New User"


def test_strangers_are_sent_to_the_log_in(client, message):
    for url in (MESSAGES, f"{MESSAGES}{message.pk}/change/", USERS):
        response = client.get(url)
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/")


def test_staff_without_the_permission_see_no_mail(client, message):
    User.objects.bulk_create([User(username="Ann", is_staff=True)])
    client.force_login(User.objects.get())
    assert client.get("/admin/").status_code == 200
    assert client.get(MESSAGES).status_code == 403
    assert client.get(f"{MESSAGES}{message.pk}/change/").status_code == 403


def test_staff_with_the_permission_to_view_may_look(client, message):
    User.objects.bulk_create([User(username="Ann", is_staff=True)])
    user = User.objects.get()
    user.user_permissions.add(Permission.objects.get(codename="view_outboxmessage"))
    client.force_login(user)
    assert client.get(MESSAGES).status_code == 200
    assert client.get(f"{MESSAGES}{message.pk}/change/").status_code == 200
