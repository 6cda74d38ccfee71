"""flasky.mail.runtime.forking: a forked child begins without its parent's threads, locks and connections."""

import ast
import os
import threading
import uuid
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path

import pytest

from flasky.mail import transports
from flasky.mail.db import write_lock
from flasky.mail.delivery import claims, recording
from flasky.mail.dispatchers import threads
from flasky.mail.monitoring import metrics, readiness

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

LOCKS = {
    "to write": (write_lock, "_writing"),
    "to gather results": (recording, "_adding"),
    "to record": (recording, "_writing"),
    "to start threads": (threads, "_starting"),
    "to keep connections": (transports, "_keeping"),
    "to keep claims": (claims._heartbeat, "_lock"),
    "to keep connection slots": (transports._slot_heartbeat, "_lock"),
    "to ask for readiness": (readiness._look, "_asking"),
    "to ask for metrics": (metrics._look, "_asking"),
}
HELD = {
    "workers": (threads, "_worker", object()),
    "results to record": (recording, "_gathering", object()),
    "threads that record": (recording, "_recorders", 3),
    "kept connections": (transports, "_kept", [object()]),
    "lent connections": (transports, "_lent", {object()}),
    "connection slots": (transports._slot_heartbeat, "_held", {object()}),
    "leases": (claims._heartbeat, "_held", {uuid.uuid4()}),
    "a thread that renews": (claims._heartbeat, "_thread", threading.current_thread()),
    "questions": (readiness._look, "_current", Future()),
}
if find_spec("celery"):
    from flasky.mail.dispatchers import celery

    LOCKS["to start a publisher"] = (celery, "_starting")
    HELD["publishers"] = (celery, "_publisher", object())
APP = Path(threads.__file__).parent.parent


def in_a_child(is_so):
    child = os.fork()
    if not child:
        os._exit(0 if is_so() else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("name", LOCKS)
def test_a_child_can_take_the_lock_that_its_parent_holds(name):
    owner, attribute = LOCKS[name]
    with getattr(owner, attribute):
        assert in_a_child(lambda: getattr(owner, attribute).acquire(blocking=False))


@pytest.mark.parametrize("name", HELD)
def test_a_child_has_none_of_what_its_parent_has(name):
    owner, attribute, held = HELD[name]
    before = getattr(owner, attribute)
    is_collection = isinstance(held, (list, set, dict))
    (fill(before, held) if is_collection else setattr(owner, attribute, held))
    try:
        assert getattr(owner, attribute)
        assert in_a_child(lambda: not getattr(owner, attribute))
    finally:
        (before.clear() if is_collection else setattr(owner, attribute, before))


def fill(collection, held):
    (collection.extend if isinstance(collection, list) else collection.update)(held)


def test_a_child_keeps_what_is_forgotten_by_nobody():
    """The two tests above would be worth nothing if a child began with nothing at all."""
    with (lock := threading.Lock()):
        assert not in_a_child(lambda: lock.acquire(blocking=False))


def test_every_module_with_a_lock_of_its_own_forgets_it_in_a_child():
    with_locks = {path for path in APP.glob("**/*.py") if makes_a_lock_for_the_process(path)}
    assert {path.stem for path in with_locks} >= {"write_lock", "recording", "threads", "heartbeat", "deadline"}
    assert [path for path in with_locks if "forget_in_child" not in path.read_text()] == []


def makes_a_lock_for_the_process(path):
    """Return whether the module has a lock, or a function that replaces one after a fork."""
    tree = ast.parse(path.read_text())
    kept = [*tree.body, *(node for node in ast.walk(tree) if getattr(node, "name", "") == "_forget")]
    return any(
        isinstance(call, ast.Call) and ast.unparse(call.func) in ("threading.Lock", "threading.Condition")
        for node in kept
        if not isinstance(node, ast.ClassDef) and (not isinstance(node, ast.FunctionDef) or node.name == "_forget")
        for call in ast.walk(node)
    )
