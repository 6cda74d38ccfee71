"""flasky.mail.delivery.pool: no job and no connection is lost count of."""

import threading

import pytest
from django.db import connections

from flasky.mail.delivery.pool import Pool, _Job
from tests.conftest import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Work:
    """A job that notes its threads and their connections, and waits until it may go on."""

    def __init__(self):
        self.wrappers, self.begun, self.may_go_on = [], threading.Semaphore(0), threading.Event()

    def __call__(self):
        wrapper = connections["default"]
        wrapper.ensure_connection()
        self.wrappers.append(wrapper)
        self.begun.release()
        assert self.may_go_on.wait(60)

    def wait_for(self, count):
        for _ in range(count):
            assert self.begun.acquire(timeout=60)


@pytest.fixture
def work():
    work = Work()
    yield work
    work.may_go_on.set()


def all_closed(work):
    return all(wrapper.connection is None for wrapper in work.wrappers)


def test_threads_that_are_idle_close_their_connections_at_the_end(work):
    pool = Pool(4, work)
    for _ in range(4):
        pool.do()
    work.wait_for(4)
    work.may_go_on.set()
    wait_until(lambda: pool._executor._idle_semaphore._value == 4)
    pool.shutdown()
    assert len(work.wrappers) == 4
    assert all_closed(work)


def test_a_thread_that_is_still_busy_at_the_end_closes_its_connection_too(work):
    pool = Pool(1, work)
    pool.do()
    work.wait_for(1)
    ending = threading.Thread(target=pool.shutdown)
    ending.start()
    work.may_go_on.set()
    ending.join(60)
    assert not ending.is_alive()
    assert all_closed(work)


def test_a_job_is_done_or_withdrawn_and_never_both():
    """A thread that was busy may take a job at the moment in which it is withdrawn."""
    done = []
    withdrawn, begun = _Job(lambda: done.append("withdrawn")), _Job(lambda: done.append("begun"))
    assert withdrawn.withdraw()
    withdrawn()
    begun()
    assert not begun.withdraw()
    assert done == ["begun"]


def refuse_threads(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_a_job_that_no_thread_can_be_started_for_is_never_done(work, monkeypatch):
    pool = Pool(2, work)
    with monkeypatch.context() as machine:
        refuse_threads(machine)
        with pytest.raises(RuntimeError, match="new thread"):
            pool.do()
    work.may_go_on.set()
    pool.do()
    pool.shutdown()
    assert len(work.wrappers) == 1


def test_who_is_busy_when_the_machine_runs_out_of_threads_goes_on_and_closes_its_connection(work, monkeypatch):
    pool = Pool(2, work)
    pool.do()
    work.wait_for(1)
    [busy] = [thread for thread in threading.enumerate() if thread.name.startswith("mail_")]
    with monkeypatch.context() as machine:
        refuse_threads(machine)
        with pytest.raises(RuntimeError, match="new thread"):
            pool.do()
    work.may_go_on.set()
    busy.join(60)
    assert all_closed(work)
    pool.shutdown()
