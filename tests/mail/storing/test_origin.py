"""flasky.mail.storing.origin: from where a mail came, and by whom."""

import asyncio
import getpass
import threading

import pytest
from asgiref.sync import sync_to_async
from django.core.mail import send_mail
from django.http import HttpResponse
from django.test import AsyncClient
from django.urls import include, path

from accounts.models import User
from flasky.mail.models import MAX_ACTOR, MAX_SOURCE, OutboxMessage
from flasky.mail.storing.origin import coming_from, noting_origin, operator, origin

NOWHERE = {"source": "", "actor": "", "request_id": ""}


def send(request):
    send_mail("Hi", "text", None, ["b@example.com"])
    return HttpResponse()


async def send_async(request):
    await asyncio.sleep(0)  # others may come in between
    await sync_to_async(send)(request)
    return HttpResponse()


inside = [
    path("send/", send, name="send"),
    path("async/", send_async, name="async"),
    path("quiet/", lambda request: HttpResponse()),
]
urlpatterns = [*inside, path("admin/", include((inside, "admin")))]


@pytest.fixture
def site(settings, db):
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def ann(db):
    User.objects.bulk_create([User(username="Ann O'Brien")])
    return User.objects.get()


def came_from():
    message = OutboxMessage.objects.get()
    return message.source, message.actor


def test_a_mail_comes_from_elsewhere_unless_somebody_says_so():
    assert origin() == NOWHERE


def test_the_innermost_counts_and_the_outer_comes_back():
    with coming_from("admin", "Ann"):
        with coming_from("sendtestemail", "root"):
            assert origin() == NOWHERE | {"source": "sendtestemail", "actor": "root"}
        assert origin() == NOWHERE | {"source": "admin", "actor": "Ann"}
    assert origin() == NOWHERE


def test_an_error_ends_it_too():
    with pytest.raises(LookupError), coming_from("admin", "Ann"):
        raise LookupError
    assert origin() == NOWHERE


def test_a_long_name_is_cut_to_what_the_column_takes():
    with coming_from("y" * 200, "x" * 200):
        assert (origin()["source"], origin()["actor"]) == ("y" * MAX_SOURCE, "x" * MAX_ACTOR)


def test_two_threads_at_once_do_not_mix():
    both_inside = threading.Barrier(2, timeout=60)
    seen = {}

    def come(name):
        with coming_from("admin", name):
            both_inside.wait()
            seen[name] = origin()["actor"]
            both_inside.wait()

    threads = [threading.Thread(target=come, args=(name,)) for name in ("Ann", "Bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"Ann": "Ann", "Bob": "Bob"}


def test_two_tasks_at_once_do_not_mix():
    async def come(name, mine, other):
        with coming_from("admin", name):
            mine.set()
            await other.wait()
            return origin()["actor"]

    async def both():
        first, second = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(come("Ann", first, second), come("Bob", second, first))

    assert asyncio.run(both()) == ["Ann", "Bob"]


@pytest.mark.parametrize(
    ("method", "url", "source"),
    [
        ("post", "/send/", "send"),
        ("get", "/send/", "send"),
        ("post", "/admin/send/", "admin"),
        ("get", "/admin/send/", "admin"),
    ],
)
def test_the_route_is_the_source(client, site, method, url, source):
    getattr(client, method)(url)
    assert came_from() == (source, "")


@pytest.mark.parametrize(("url", "source"), [("/send/", "send"), ("/admin/send/", "admin")])
def test_who_is_logged_in_is_the_actor(client, site, ann, url, source):
    client.force_login(ann)
    client.post(url)
    assert came_from() == (source, "Ann O'Brien")


def test_a_request_without_mail_does_not_ask_who_is_logged_in(client, site, ann, django_assert_num_queries):
    client.force_login(ann)
    with django_assert_num_queries(0):
        assert client.post("/quiet/").status_code == 200


def test_after_a_request_nothing_is_left_of_it(client, site):
    client.post("/send/")
    assert origin() == NOWHERE


def test_after_a_request_that_failed_nothing_is_left_of_it(rf):
    def fail(request):
        assert origin() == NOWHERE, "no page was found yet"
        raise LookupError

    with pytest.raises(LookupError):
        noting_origin(fail)(rf.post("/"))
    assert origin() == NOWHERE


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("url", "source"), [("/async/", "async"), ("/admin/async/", "admin"), ("/send/", "send")])
def test_a_view_of_an_asgi_server_knows_it_too(site, ann, url, source):
    async def ask():
        client = AsyncClient()
        await client.aforce_login(ann)
        await client.post(url)

    asyncio.run(ask())
    assert came_from() == (source, "Ann O'Brien")


def test_the_operator_is_who_the_system_says(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ann")
    assert operator() == "ann"


@pytest.mark.parametrize("error", [KeyError, OSError, ImportError])
def test_an_operator_without_a_name_is_nobody(monkeypatch, error):
    def nameless():
        raise error

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert operator() == ""
