"""The visitor's language: what the browser asks for, or what was chosen on a page."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

CHINESE, ENGLISH = "您叫什么名字？", "What is your name?"


@pytest.mark.parametrize(
    ("asked", "shown", "code"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", CHINESE, "zh-hans"),
        ("zh-Hans", CHINESE, "zh-hans"),
        ("zh", CHINESE, "zh-hans"),
        ("en-GB", ENGLISH, "en"),
        ("de,fr;q=0.5", ENGLISH, "en"),
        ("", ENGLISH, "en"),
    ],
)
def test_a_page_speaks_what_the_browser_asks_for(client, asked, shown, code):
    response = client.get("/", headers={"accept-language": asked})
    page = response.content.decode()
    assert f"{shown}</label>" in page
    assert f'<html lang="{code}"' in page
    assert "Accept-Language" in response["Vary"]


def test_who_asks_for_none_of_ours_gets_the_sites(client, settings):
    settings.LANGUAGE_CODE = "zh-hans"
    assert CHINESE in client.get("/", headers={"accept-language": "de"}).content.decode()


@pytest.mark.parametrize("url", ["/", "/admin/login/", "/nowhere"])
def test_every_page_has_a_switch_and_what_is_chosen_stays(client, url):
    page = client.get(url).content.decode()
    assert 'value="zh-hans" lang="zh-hans">简体中文</button>' in page
    assert f'name="next" value="{url}"' in page
    chosen = client.post("/language/", {"language": "zh-hans", "next": url})
    assert chosen["Location"] == url
    assert chosen.cookies["django_language"]["httponly"]
    page = client.get(url, headers={"accept-language": "en"}).content.decode()
    assert '<html lang="zh-hans"' in page
    assert 'value="en" lang="en">English</button>' in page


def test_the_switch_leads_nowhere_else(client):
    chosen = client.post("/language/", {"language": "zh-hans", "next": "https://evil.example/"})
    assert chosen["Location"] == "/"


def test_the_switch_is_for_our_own_pages_only():
    assert Client(enforce_csrf_checks=True).post("/language/", {"language": "zh-hans"}).status_code == 403
