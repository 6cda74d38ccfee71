"""accounts.sessions: what becomes of the copy that a thief has made of somebody's cookies."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.conf import settings as site_settings
from django.contrib import messages
from django.contrib.auth.models import Permission
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.mail import EmailMessage
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from django.utils import timezone

from accounts import sessions
from accounts.models import User
from flasky import urls
from flasky.mail.runtime import clock

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
OTHER_PASSWORD = "staple in another stable"
LIST = "/admin/flasky_mail/outboxmessage/"
PLACES = ["/admin/", "/admin/accounts/user/", "/admin/password_change/", LIST, f"{LIST}charts/", f"{LIST}{{}}/change/"]


def tell(request):
    messages.info(request, "Told.")
    return HttpResponse()


handler400 = urls.handler400
urlpatterns = [*urls.urlpatterns, path("tell", tell)]


@pytest.fixture
def boss(client):
    """Somebody who may do everything, and has typed the password."""
    User.objects.bulk_create([User(username="Boss", is_staff=True, is_superuser=True)])
    boss = User.objects.get()
    boss.set_password(PASSWORD)
    boss.save()
    log_in(client)
    return client


def log_in(client, password=PASSWORD):
    client.post("/admin/login/?next=/admin/", {"username": "Boss", "password": password})
    assert gets_in(client)
    return client


def gets_in(client, place="/admin/"):
    return client.get(place).status_code == 200


def copy_of(client):
    """Return the browser of a thief who has copied the cookies."""
    thief = Client()
    thief.cookies.update(client.cookies)
    assert gets_in(thief)
    return thief


def key(client):
    return client.cookies["sessionid"].value


def later(monkeypatch, **how_much):
    moment = timezone.now() + timedelta(**how_much)
    monkeypatch.setattr(timezone, "now", lambda: moment)  # Django's own
    monkeypatch.setattr(clock, "now", lambda: moment)


# A copy ends


@pytest.mark.parametrize("place", PLACES)
def test_a_copied_cookie_opens_nothing_once_its_owner_has_logged_out(boss, place):
    email = EmailMessage("Hi", "Hello", None, ["ann@example.com"])
    email.send()
    place = place.format(email.outbox_message.pk)
    thief = copy_of(boss)
    assert gets_in(thief, place)
    boss.post("/admin/logout/")
    assert thief.get(place)["Location"].startswith("/admin/login/")
    assert not Session.objects.exists()


def test_a_copied_cookie_changes_nothing_once_its_owner_has_logged_out(boss):
    thief = copy_of(boss)
    boss.post("/admin/logout/")
    thief.post("/admin/accounts/user/add/", {"username": "Eve", "usable_password": "false"})
    assert not User.objects.filter(username="Eve").exists()


def test_a_thief_who_logs_out_or_types_names_wins_nothing(boss):
    thief = copy_of(boss)
    boss.post("/admin/logout/")
    for number in range(3):
        thief.post("/", {"name": f"Eve {number}"})
        thief.post("/admin/logout/")
    assert not gets_in(thief)
    assert not Session.objects.exists()


def test_who_logs_out_in_one_browser_stays_logged_in_in_another(boss):
    other = log_in(Client())
    boss.post("/admin/logout/")
    assert gets_in(other)


def test_a_copied_cookie_ends_with_the_password(boss):
    thief = copy_of(boss)
    fields = {"old_password": PASSWORD, "new_password1": OTHER_PASSWORD, "new_password2": OTHER_PASSWORD}
    assert boss.post("/admin/password_change/", fields)["Location"] == "/admin/password_change/done/"
    assert gets_in(boss)
    assert not gets_in(thief)


@pytest.mark.parametrize(
    "act",
    [
        lambda: User.objects.filter(username="Boss").update(is_active=False),
        lambda: User.objects.filter(username="Boss").update(is_staff=False),
        lambda: User.objects.get(username="Boss").delete(),
        lambda: Session.objects.all().delete(),
    ],
    ids=["not active", "no staff", "deleted", "session deleted"],
)
def test_a_copied_cookie_ends_when_an_administrator_says_so(boss, act):
    thief = copy_of(boss)
    act()
    assert not gets_in(thief)
    assert not gets_in(boss)


def test_who_logs_out_everywhere_ends_every_session_of_theirs_and_nobody_elses(boss):
    other = log_in(Client())
    thief = copy_of(other)
    User.objects.create_superuser("Other", password=PASSWORD)
    stranger = Client()
    stranger.post("/admin/login/?next=/admin/", {"username": "Other", "password": PASSWORD})
    assert boss.post("/admin/logout/everywhere/")["Location"] == "/admin/"
    assert not any(gets_in(browser) for browser in (boss, other, thief))
    assert gets_in(stranger)
    assert Session.objects.count() == 1


def test_the_admin_offers_it_on_every_page_and_no_link_does_it(boss):
    assert 'action="/admin/logout/everywhere/"' in boss.get(LIST).content.decode()
    assert boss.get("/admin/logout/everywhere/").status_code == 405
    foreign = Client(enforce_csrf_checks=True)
    foreign.cookies.update(boss.cookies)
    assert foreign.post("/admin/logout/everywhere/").status_code == 403
    assert gets_in(boss)


def test_who_is_not_logged_in_logs_nobody_out(boss):
    assert Client().post("/admin/logout/everywhere/").status_code == 302
    assert gets_in(boss)


def test_an_administrator_logs_others_out_everywhere(boss):
    User.objects.create_superuser("Other", password=PASSWORD)
    browsers = [Client(), Client()]
    for browser in browsers:
        browser.post("/admin/login/?next=/admin/", {"username": "Other", "password": PASSWORD})
        assert gets_in(browser)
    chosen = {"action": "log_out_everywhere", "_selected_action": [User.objects.get(username="Other").pk]}
    page = boss.post("/admin/accounts/user/", chosen, follow=True).content.decode()
    assert "2 sessions were ended." in page
    assert not any(map(gets_in, browsers))
    assert gets_in(boss)


def test_who_may_only_look_at_users_logs_nobody_out(boss):
    viewer = User.objects.create_user("Viewer", password=PASSWORD, is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_user"))
    browser = Client()
    browser.force_login(viewer)
    chosen = {"action": "log_out_everywhere", "_selected_action": [User.objects.get(username="Boss").pk]}
    browser.post("/admin/accounts/user/", chosen)
    assert gets_in(boss)


def test_a_request_that_is_under_way_while_its_owner_logs_out_does_not_bring_the_session_back(boss):
    under_way = sessions.SessionStore(key(boss))
    under_way["read"] = "before"
    boss.post("/admin/logout/")
    with pytest.raises(UpdateError):
        under_way.save()
    assert not Session.objects.exists()


# A session ends by itself


def test_a_session_ends_a_day_after_the_log_in_however_much_it_is_used(boss, monkeypatch):
    ends = Session.objects.get().expire_date
    assert timedelta(hours=23) < ends - timezone.now() <= timedelta(hours=24)
    for _ in range(3):
        later(monkeypatch, hours=7)
        session = boss.session
        session["used"] = str(timezone.now())
        session.save()
        assert gets_in(boss)
        assert Session.objects.get().expire_date == ends
    later(monkeypatch, hours=4)
    assert not gets_in(boss)


def test_a_changed_password_does_not_prolong_the_session_that_goes_on(boss, monkeypatch):
    ends = Session.objects.get().expire_date
    later(monkeypatch, hours=12)
    fields = {"old_password": PASSWORD, "new_password1": OTHER_PASSWORD, "new_password2": OTHER_PASSWORD}
    boss.post("/admin/password_change/", fields)
    assert gets_in(boss)
    assert Session.objects.get().expire_date == ends


def test_a_new_secret_key_neither_logs_out_nor_prolongs(boss, settings, monkeypatch):
    ends = Session.objects.get().expire_date
    later(monkeypatch, hours=12)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new one", [settings.SECRET_KEY]
    assert gets_in(boss)
    settings.SECRET_KEY_FALLBACKS = []
    assert gets_in(boss)
    assert Session.objects.get().expire_date == ends


def test_the_cookie_of_a_session_is_for_the_browser_only_and_until_it_is_closed(boss, settings):
    settings.SESSION_COOKIE_SECURE = True
    cookie = log_in(Client()).cookies["sessionid"]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert cookie["max-age"] == cookie["expires"] == ""


# Typing names


@pytest.mark.parametrize("names", [["John"] * 20, [f"Guest {number}" for number in range(20)]])
def test_names_typed_by_who_is_logged_in_leave_the_session_as_it_is(boss, names, monkeypatch):
    before = Session.objects.values().get()
    later(monkeypatch, hours=1)
    for name in names:
        assert "sessionid" not in boss.post("/", {"name": name}, follow=True).cookies
    assert Session.objects.values().get() == before


def test_a_name_typed_by_a_visitor_asks_for_no_session_and_stores_none(client, django_assert_num_queries):
    client.post("/", {"name": "John"})
    with django_assert_num_queries(1) as queries:  # whether there is such a user
        client.post("/", {"name": "John"})
    assert "django_session" not in str(queries.captured_queries)
    assert "sessionid" not in client.cookies
    assert not Session.objects.exists()


def test_the_form_asks_no_session_even_of_who_is_logged_in(boss, django_assert_num_queries):
    with django_assert_num_queries(0):
        boss.get("/")


@pytest.mark.urls(__name__)
def test_a_message_for_a_visitor_stores_no_session(client):
    client.get("/tell")
    assert "Told." in client.get("/").content.decode()
    assert "Told." not in client.get("/").content.decode()
    assert not Session.objects.exists()


def test_the_admin_still_says_what_it_did(boss):
    page = boss.post("/admin/accounts/user/add/", {"username": "Ann", "usable_password": "false"}, follow=True)
    assert "was added successfully" in page.content.decode()
    assert Session.objects.count() == 1


def test_who_is_logged_in_is_greeted_by_the_name_that_was_typed(boss):
    page = boss.post("/", {"name": "John"}, follow=True).content.decode()
    assert "Hello, John!" in page
    assert gets_in(boss)
    boss.post("/admin/logout/")
    assert "Hello, John!" in boss.get("/").content.decode()


# A key


def test_a_log_in_gives_another_key_to_who_had_one(client, boss):
    given = key(boss)
    log_in(boss)
    assert key(boss) != given
    assert Session.objects.count() == 1


def test_a_copy_from_before_ends_when_its_owner_logs_in_again(boss):
    thief = copy_of(boss)
    log_in(boss)
    assert not gets_in(thief)


@pytest.mark.parametrize("planted", ["a" * 32, "0" * 32])
def test_a_key_that_somebody_planted_is_not_the_one_that_is_logged_in(boss, planted):
    victim = Client()
    victim.cookies["sessionid"] = planted
    log_in(victim)
    assert key(victim) != planted
    assert not Session.objects.filter(pk=planted).exists()


def signed_session_of_before():
    """Return what the version before gave to somebody who logged in."""
    user = User.objects.get(username="Boss")
    session = {
        "_auth_user_id": str(user.pk),
        "_auth_user_backend": site_settings.AUTHENTICATION_BACKENDS[0],
        "_auth_user_hash": user.get_session_auth_hash(),
        "name": "Boss",
        "known": True,
    }
    salt = "django.contrib.sessions.backends.signed_cookies"
    return signing.dumps(session, salt=salt, compress=True)


STRANGE = [
    "",
    "x",
    "a" * 31,
    "a" * 33,
    "A" * 32,
    "a" * 31 + "\n",
    "é" * 32,
    '"' * 32,
    "a" * 3000,
    r'"\000\000aaaaaaaa"',
]


@pytest.mark.parametrize("place", ["/", "/admin/", LIST, "/notification/"])
@pytest.mark.parametrize("value", [*STRANGE, signed_session_of_before])
def test_a_key_that_none_can_be_is_refused_without_a_question_and_taken_away(
    boss, place, value, django_assert_num_queries
):
    value = value() if callable(value) else value
    browser = Client(raise_request_exception=False, headers={"cookie": f"sessionid={value}"})
    with django_assert_num_queries(0):
        response = browser.get(place)
    assert response.status_code in (200, 204, 302)
    assert "Boss" not in response.content.decode()
    if value:
        assert response.cookies["sessionid"].value == ""


# Rows


def expired(count):
    ago = timezone.now() - timedelta(seconds=1)
    rows = [Session(session_key=f"{number:032}", session_data="", expire_date=ago) for number in range(count)]
    Session.objects.bulk_create(rows)


def test_who_logs_in_takes_the_sessions_away_that_are_over(boss):
    expired(3)
    log_in(Client())
    assert Session.objects.count() == 2


def test_a_log_in_takes_away_no_more_at_once_than_it_has_time_for(boss, monkeypatch):
    monkeypatch.setattr(sessions, "MOST_REMOVED", 2)
    expired(5)
    for left in (3, 1, 0):
        log_in(boss)
        assert Session.objects.filter(expire_date__lt=timezone.now()).count() == left


def test_a_log_in_that_fails_leaves_no_session(client):
    for _ in range(3):
        client.post("/admin/login/", {"username": "Boss", "password": "wrong"})
    assert not Session.objects.exists()


def test_the_engine_of_the_settings_is_the_one_of_these_tests():
    assert import_module(site_settings.SESSION_ENGINE) is sessions
