"""flasky.site.request_id: an id that leads from a request to its mails, and is nothing that anybody could misuse."""

import re

import pytest
from django.core.mail import send_mail
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import path
from hypothesis import given
from hypothesis import settings as rules
from hypothesis import strategies as st

from flasky import urls
from flasky.mail.models import OutboxMessage
from flasky.mail.storing.copies import new_message_from
from flasky.site.request_id import request_id, with_request_id
from tests.site.test_site import raising

handler400 = urls.handler400


def send(request):
    send_mail("Hi", "text", None, ["b@example.com"])
    return HttpResponse(request_id())


urlpatterns = [*urls.urlpatterns, path("send/", send), path("broken", raising(ZeroDivisionError()))]

pytestmark = pytest.mark.urls(__name__)

MADE_HERE = re.compile("[0-9a-f]{32}")
HOSTILE = [
    "",
    " ",
    "a b",
    "x" * 65,
    "ann@example.com",
    "a\r\nSet-Cookie: x=1",
    "<script>",
    '"; DROP TABLE',
    "\x00",
    "ä",
    "٣",  # a digit, but not of ours
    "a\n",
    "{0.__class__}",
    "%s",
    "a,b",
]


def answered(rf, given):
    """Return what the id of a request with this header is, inside and in the response."""
    inside = []

    def view(request):
        inside.append((request_id(), request.request_id))
        return HttpResponse()

    response = with_request_id(view)(rf.get("/", headers={"X-Request-ID": given}))
    [(current, on_request)] = inside
    assert current == on_request == response["X-Request-ID"]
    return current


@pytest.mark.parametrize("given", ["a", "7f3c2a", "x" * 64, "4bf92f35-77b3.4da6_A"])
def test_the_id_that_the_proxy_has_chosen_is_kept(rf, given):
    assert answered(rf, given) == given


@pytest.mark.parametrize("given", HOSTILE)
def test_an_id_that_is_no_plain_word_is_replaced(rf, given):
    assert MADE_HERE.fullmatch(answered(rf, given))


@given(st.text(max_size=80))
@rules(max_examples=100, deadline=None)
def test_whatever_is_given_the_id_is_a_short_plain_word(given):
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answered(RequestFactory(), given))


def test_no_two_requests_get_the_same_id(client):
    assert client.get("/healthz/more")["X-Request-ID"] != client.get("/healthz/more")["X-Request-ID"]


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["/", "/no-such-page", "/broken", "/static/none"])
def test_every_page_names_its_id(client, url):
    client.raise_request_exception = False
    assert client.get(url, headers={"X-Request-ID": "7f3c2a"})["X-Request-ID"] == "7f3c2a"


@pytest.mark.django_db
def test_a_mail_knows_the_request_that_has_stored_it(client):
    response = client.post("/send/", headers={"X-Request-ID": "7f3c2a"})
    assert response.content == b"7f3c2a"
    assert OutboxMessage.objects.get().request_id == "7f3c2a"


@pytest.mark.django_db
def test_a_report_of_an_error_knows_the_request_that_has_failed(client):
    client.raise_request_exception = False
    client.get("/broken", headers={"X-Request-ID": "7f3c2a"})
    assert OutboxMessage.objects.get().request_id == "7f3c2a"


@pytest.mark.django_db
def test_a_copy_belongs_to_the_request_that_makes_it(client):
    client.post("/send/", headers={"X-Request-ID": "7f3c2a"})
    assert new_message_from(OutboxMessage.objects.get()).request_id == ""


@pytest.mark.django_db
def test_a_mail_without_a_request_has_none():
    send_mail("Hi", "text", None, ["b@example.com"])
    assert OutboxMessage.objects.get().request_id == ""


def test_after_a_request_nothing_is_left_of_it(client, rf):
    client.get("/no-such-page")
    assert request_id() == ""
    with pytest.raises(LookupError):
        with_request_id(raising(LookupError()))(rf.get("/"))
    assert request_id() == ""


@pytest.mark.django_db
def test_who_delivers_knows_the_request_without_another_query(client, django_assert_num_queries):
    client.post("/send/", headers={"X-Request-ID": "7f3c2a"})
    [claimed] = OutboxMessage.objects.claim(1)
    with django_assert_num_queries(0):
        assert claimed.request_id == "7f3c2a"


@pytest.mark.django_db
def test_the_page_of_a_message_leads_to_all_mails_of_its_request(client, settings):
    settings.DEBUG = True
    for chosen in ("7f3c2a", "7f3c2a", "7f3c2b"):
        client.post("/send/", headers={"X-Request-ID": chosen})
    first, second, other = OutboxMessage.objects.order_by("pk")
    page = client.get(f"/mailbox/{first.pk}/").content.decode()
    [link] = re.findall(r'href="([^"]+)"><bdi class="id">7f3c2a</bdi>', page)
    found = client.get(link).content.decode()
    assert [f'data-key="{message.pk}"' in found for message in (first, second, other)] == [True, True, False]


@pytest.mark.django_db
def test_the_page_of_a_message_without_a_request_names_none(client, settings):
    settings.DEBUG = True
    send_mail("Hi", "text", None, ["b@example.com"])
    assert "<dt>Request</dt>" not in client.get(f"/mailbox/{OutboxMessage.objects.get().pk}/").content.decode()
