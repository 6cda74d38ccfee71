"""flasky.site.checks: settings with which the site would be open to others."""

import re
import secrets
from collections import defaultdict

import pytest

from flasky.site.checks import check_site_settings
from tests.docs.pages import ROOT

STRONG = secrets.token_urlsafe(50)


def ids():
    return [message.id for message in check_site_settings() if message.id in ("flasky.E050", "flasky.E051")]


@pytest.mark.parametrize(
    "key",
    [
        *("x", "secret" * 8, "a" * 80, "abcd" * 20, f"django-insecure-{STRONG}", "a long random text"),
        *("a long random text " * 4, "0123456789" * 6, f"change-me-{STRONG}", f"YOUR SECRET KEY {STRONG}"),
        "this is only an example of a key, so please replace it by your own",
    ],
    ids=str.__len__,
)
def test_a_key_that_can_be_guessed_stops_the_start(settings, key):
    settings.SECRET_KEY = key
    [message] = [message for message in check_site_settings() if message.id == "flasky.E050"]
    assert message.is_serious()
    assert key not in str(message) or len(key) == 1
    settings.DEBUG = True
    assert ids() == []


def test_a_key_of_before_that_can_be_guessed_stops_it_too(settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = STRONG, [STRONG, "old"]
    assert ids() == ["flasky.E050"]


@pytest.mark.parametrize("key", [STRONG, secrets.token_hex(32)], ids=["urlsafe", "hex"])
def test_keys_as_the_pages_make_them_are_good(settings, key):
    settings.SECRET_KEY = key
    assert ids() == []


@pytest.mark.parametrize(
    ("site", "hosts", "https", "expected"),
    [
        ("https://www.example.com", ["www.example.com"], True, []),
        ("https://www.example.com:8443", [".example.com"], True, []),
        ("https://[2001:db8::1]", ["[2001:db8::1]"], True, []),
        ("https://www.example.com", ["example.com"], True, ["flasky.W054"]),
        ("http://www.example.com", ["*"], True, ["flasky.W055"]),
        ("http://www.example.com", ["*"], False, []),
        ("", ["example.com"], True, []),
    ],
)
def test_an_address_of_the_site_that_leads_nowhere_is_found(settings, site, hosts, https, expected):
    settings.FLASKY_SITE_URL, settings.ALLOWED_HOSTS, settings.HTTPS = site, hosts, https
    assert [message.id for message in check_site_settings() if message.id in ("flasky.W054", "flasky.W055")] == expected


@pytest.mark.parametrize("host", ["*", ".example.com", "www.example.com", "192.168.1.5", "localhost.example.com", "."])
def test_debug_pages_are_for_this_machine_only(settings, host):
    settings.ALLOWED_HOSTS = ["localhost", host]
    assert ids() == []
    settings.DEBUG = True
    assert ids() == ["flasky.E051"]


@pytest.mark.parametrize("host", ["localhost", ".localhost", "flasky.localhost", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_names_of_this_machine_are_no_error(settings, host):
    settings.DEBUG, settings.ALLOWED_HOSTS = True, [host]
    assert ids() == []


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/nowhere", "/mailbox/", "/"])
def test_by_another_name_a_debugging_site_shows_nothing(client, settings, path):
    settings.DEBUG, settings.ALLOWED_HOSTS = True, []
    response = client.get(path, headers={"host": "192.168.1.5"})
    assert response.status_code == 400
    assert "MIDDLEWARE" not in response.content.decode()


def test_an_id_is_given_in_one_file_only():
    """Two who chose the next free number at the same time gave it to two things."""
    files = defaultdict(set)
    for path in ROOT.glob("[fa]*/**/*.py"):
        for found in re.findall(r'id="(flasky\.\w+)"', path.read_text("utf-8")):
            files[found].add(path)
    assert len(files) > 30
    assert {found: paths for found, paths in files.items() if len(paths) > 1} == {}
