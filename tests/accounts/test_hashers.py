"""accounts.hashers: however many log in at once, one password is hashed at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password, make_password

from accounts import hashers
from flasky import settings as site_settings
from flasky.guard.limits import TooMany
from tests.conftest import wait_until

OURS = "accounts.hashers.OneAtATimeHasher"


@pytest.fixture(autouse=True)
def ours(settings):
    settings.PASSWORD_HASHERS = [OURS]


@pytest.fixture
def slow(monkeypatch):
    """Let each hash wait for `go`; note how many are made at the same time."""
    slow = threading.Event()
    slow.running, slow.most, slow.started = 0, 0, 0

    def encode(self, password, salt, iterations=None):
        slow.running += 1
        slow.started += 1
        slow.most = max(slow.most, slow.running)
        assert slow.wait(60)
        slow.running -= 1
        return "pbkdf2_sha256$1$salt$hash"

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", encode)
    return slow


def test_the_site_hashes_with_it():
    assert site_settings.PASSWORD_HASHERS == [OURS]


def test_its_hashes_are_djangos(settings, monkeypatch):
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 1000)
    ours = make_password("secret")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    theirs = make_password("secret")
    assert check_password("secret", ours)
    settings.PASSWORD_HASHERS = [OURS]
    assert check_password("secret", theirs)
    assert not check_password("wrong", theirs)


def test_of_sixteen_at_once_one_is_hashed_a_few_wait_and_the_others_are_sent_away(slow):
    def try_to_hash(_):
        try:
            return make_password("secret") is not None
        except TooMany as refusal:
            return refusal.seconds

    with ThreadPoolExecutor(16) as pool:
        tries = [pool.submit(try_to_hash, number) for number in range(16)]
        wait_until(lambda: sum(attempt.done() for attempt in tries) == 16 - hashers.IN_LINE)
        assert (slow.started, slow.most) == (1, 1)
        slow.set()
    results = [attempt.result() for attempt in tries]
    assert [result for result in results if result is True] == [True] * hashers.IN_LINE
    assert results.count(hashers.COME_AGAIN) == 16 - hashers.IN_LINE
    assert slow.most == 1


def test_a_hash_that_fails_lets_the_next_one_in(monkeypatch):
    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", lambda *_: 1 / 0)
    for _ in range(2 * hashers.IN_LINE):
        with pytest.raises(ZeroDivisionError):
            make_password("secret")
