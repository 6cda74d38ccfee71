"""A database that is away: a page that needs it fails soon, however many are asked for, and the others do not wait."""

import os
import re
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec

import pytest
import requests

from flasky.databases import gate
from flasky.databases.gate import Closed, Gate
from flasky.databases.url import POOL
from tests.cable import Cable
from tests.conftest import missing, wait_until
from tests.own_servers import OwnPostgresql, free_port
from tests.running_site import Site, Visitor

TIMEOUT = 5  # s that a connection may take
SOON = 3 * TIMEOUT  # s, on a busy machine; usually it is one timeout, and without the gate 40 s and more
AT_ONCE = TIMEOUT - 1  # s, on a busy machine; usually it is 0.02, and without the gate a timeout or more
DRIVERS = {"postgres": "psycopg", "mysql": "MySQLdb"}


@pytest.fixture(params=["postgres", "mysql"])
def kind(request):
    if find_spec(DRIVERS[request.param]) is None:
        missing(DRIVERS[request.param])
    return request.param


class SiteAlone(Site):
    """A site whose database is away, or migrated already."""

    def __enter__(self):
        self.start()
        return self


@contextmanager
def silent(kind):
    with Cable() as cable:
        yield f"{kind}://flasky:x@127.0.0.1:{cable.port}/flasky"


@contextmanager
def refusing(kind):
    yield f"{kind}://flasky:x@127.0.0.1:{free_port()}/flasky"


def timed(ask, *arguments):
    """Return the status of the answer and the seconds that it took."""
    began = time.monotonic()
    return ask(*arguments).status_code, time.monotonic() - began


def poster(site):
    """Return a function that posts a name with the form that a visitor has got already."""
    visitor = Visitor(site)
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', visitor.get().text)[1]
    form = {"csrfmiddlewaretoken": token}
    return lambda name: visitor.session.post(f"{site.url}/", {**form, "name": name}, timeout=200)


def at_once(posts):
    """Start the posts; return a function that waits for them and returns their statuses and seconds."""
    found = []
    threads = [threading.Thread(target=lambda post=post: found.append(timed(post, "Ann"))) for post in posts]
    for thread in threads:
        thread.start()

    def wait():
        for thread in threads:
            thread.join()
        return found

    return wait


@pytest.mark.parametrize("away", [silent, refusing])
def test_pages_that_need_an_absent_database_fail_within_one_connection_timeout_and_hold_up_no_others(
    tmp_path, kind, away
):
    with away(kind) as url, SiteAlone(tmp_path, threads=16, DATABASE_URL=url, MAIL_DISPATCHER="none") as site:
        posts = [poster(site) for _ in range(8)]
        answers = at_once(posts)
        for path in ("/", "/healthz", "/static/flasky/style.css", "/") * 3:
            status, seconds = timed(requests.get, site.url + path)
            assert (status, seconds < AT_ONCE) == (200, True), (path, seconds)
        for status, seconds in answers():
            assert (status, seconds < SOON) == (500, True), seconds
        status, seconds = timed(poster(site), "Bob")
        assert (status, seconds < SOON) == (500, True), seconds
    assert "No mail tells of this error" in "".join(site.log)


def test_a_server_that_falls_silent_holds_nobody_who_has_a_connection_to_it_and_is_used_again_when_it_is_back(tmp_path):
    with OwnPostgresql() as database, Cable(database.port) as cable:
        direct = database.url()
        Site(tmp_path, DATABASE_URL=direct).manage("migrate")
        url = direct.replace(str(database.port), str(cable.port))
        with SiteAlone(tmp_path, threads=16, DATABASE_URL=url, MAIL_DISPATCHER="none") as site:
            posts = [poster(site) for _ in range(8)]
            assert {status for status, _ in at_once(posts)()} == {200}
            cable.cut()
            for status, seconds in at_once([poster(site) for _ in range(8)])():
                assert (status, seconds < SOON) == (500, True), seconds
            cable.mend()
            post = poster(site)
            wait_until(lambda: post("Bob").status_code == 200)


def test_a_pool_soon_gives_up_so_that_whoever_asks_next_makes_it_try_at_once():
    """By default it tries again after 1, 2, 4, 8 … s for five minutes, and nobody else makes it try meanwhile."""
    psycopg_pool = pytest.importorskip("psycopg_pool")
    given_up = threading.Event()
    nowhere = f"host=127.0.0.1 port={free_port()}"
    with psycopg_pool.ConnectionPool(nowhere, **POOL, reconnect_failed=lambda pool: given_up.set()) as pool:
        with pytest.raises(psycopg_pool.PoolTimeout):
            pool.getconn(timeout=0.1)
        assert given_up.wait(60)


# The gate


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(gate, "OTHERS_WAIT", 0.2)
    monkeypatch.setattr(gate, "PAUSE", 0.2)


class Attempt:
    """An attempt in a thread of its own, which lasts until it is ended."""

    def __init__(self, through):
        self._through, self._end, self._succeeds = through, threading.Event(), True
        self.is_on, self.outcome = threading.Event(), ""
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            with self._through.attempt():
                self.is_on.set()
                assert self._end.wait(60)
                if not self._succeeds:
                    raise OSError
            self.outcome = "connected"
        except Closed:
            self.outcome = "closed"
        except OSError:
            self.outcome = "failed"

    def end(self, succeeds):
        self._succeeds = succeeds
        self._end.set()
        return self.wait()

    def wait(self):
        self.thread.join(60)
        return self.outcome


@pytest.fixture
def through():
    return Gate()


def first(through):
    attempt = Attempt(through)
    assert attempt.is_on.wait(60)
    return attempt


def test_others_wait_for_the_first_and_follow_when_it_gets_through(through):
    one = first(through)
    others = [Attempt(through) for _ in range(5)]
    assert one.end(succeeds=True) == "connected"
    for other in others:
        assert other.is_on.wait(60)
        assert other.end(succeeds=True) == "connected"


def test_others_give_up_when_the_first_fails(through):
    one = first(through)
    others = [Attempt(through) for _ in range(5)]
    assert one.end(succeeds=False) == "failed"
    assert {other.wait() for other in others} == {"closed"}


def test_others_give_up_soon_although_the_first_still_waits(through, impatient):
    one = first(through)
    assert {other.wait() for other in [Attempt(through) for _ in range(5)]} == {"closed"}
    assert one.end(succeeds=True) == "connected"


def test_after_a_failure_nobody_tries_for_a_moment_then_one_and_nobody_waits_for_it(through, impatient):
    first(through).end(succeeds=False)
    assert Attempt(through).wait() == "closed"
    wait_until(lambda: time.monotonic() >= through._failed_at + gate.PAUSE)
    again = first(through)
    assert Attempt(through).wait() == "closed"
    assert again.end(succeeds=True) == "connected"
    assert first(through).end(succeeds=True) == "connected"


def test_where_connections_come_about_all_the_time_nobody_waits_for_another(through):
    first(through).end(succeeds=True)
    together = [first(through) for _ in range(5)]
    assert {attempt.end(succeeds=True) for attempt in together} == {"connected"}


def test_one_failure_among_successes_closes_nothing(through):
    first(through).end(succeeds=True)
    one, other = first(through), first(through)
    assert other.end(succeeds=True) == "connected"
    assert one.end(succeeds=False) == "failed"
    assert first(through).end(succeeds=True) == "connected"


def test_an_attempt_that_is_interrupted_leaves_nobody_waiting(through, impatient):
    with pytest.raises(KeyboardInterrupt), through.attempt():
        raise KeyboardInterrupt
    wait_until(lambda: time.monotonic() >= through._failed_at + gate.PAUSE)
    assert first(through).end(succeeds=True) == "connected"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_child_does_not_wait_for_an_attempt_of_its_parent():
    """The thread that made it does not exist there, and would never end it."""
    with gate._gates["default"].attempt():
        child = os.fork()
        if not child:
            os._exit(len(gate._gates))
        assert os.waitpid(child, 0)[1] == 0
