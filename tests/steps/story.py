"""The story that is stopped everywhere: mail is stored, woken, claimed, handed over, recorded, decided about, pruned.

All of it is the product's own code. What happens at once there, happens one after the other here, so that each run
takes the same steps: one deliverer is let work in the middle of the other's dialogue.
"""

import contextlib
import threading
from functools import partial

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.management import call_command
from django.db import connections, transaction
from django.test import Client

from flasky.mail.delivery import claims, deliver_due
from flasky.mail.delivery.pruning import DailyPruning
from flasky.mail.delivery.worker import Worker
from flasky.mail.dispatchers import threads
from flasky.mail.models import OutboxMessage, State
from flasky.mail.signals import claimed, text_sent
from flasky.mail.transports import close_kept

VISITOR = "Susan"
ANN, LATER, REFUSED, BEN = "ann@example.com", "later@example.com", "refused@example.com", "ben@example.com"
PERSON = "a person"


class Story:
    """Tell it with `run()`; `say` hears what was promised to callers. After `stop()` only what has begun is ended."""

    def __init__(self, say=lambda *words: None):
        self.say, self.is_stopped, self.stopping = say, False, []
        self.worker = threads._worker = _new_worker()  # woken by whoever stores, and not at work yet

    def run(self):
        for chapter in (self.visit, self.send_two, self.deliver, self.decide, self.give_back, self.deliver, self.prune):
            if self.is_stopped:
                break
            with contextlib.suppress(Exception):  # whoever called was told; the oracle looks at what is left
                chapter()
            connections.close_all()
        for thread in self.stopping:
            thread.join()
        close_kept()
        connections.close_all()

    def visit(self):
        """A visitor types a new name: a user is stored, and a mail to two administrators with it."""
        answer = Client(raise_request_exception=False, headers={"host": "localhost"}).post("/", {"name": VISITOR})
        if answer.status_code == 302:
            self.say("visitor")

    def send_two(self):
        with transaction.atomic():
            emails = [EmailMessage("Hi", "Hello", "me@example.com", [to]) for to in (REFUSED, BEN)]
            for email in emails:
                email.send()
        for email in emails:
            self.say("stored", email.outbox_message.message_id)

    def deliver(self):
        """Let a worker look twice; while it hands over one of several, its lease is renewed and another delivers."""
        settings.MAIL_WORKERS = 2  # so each leaves half of what is due to the other
        with self._joined_by_another():
            self.work(rounds=2)

    @contextlib.contextmanager
    def _joined_by_another(self):
        several = []

        def note(messages, **signal):
            if len(messages) > 1:
                several.append(len(messages))

        def join(**signal):
            if several:
                several.clear()
                text_sent.disconnect(join)
                _in_a_thread(self._renew)
                _in_a_thread(partial(deliver_due, lambda: self.is_stopped))

        claimed.connect(note)
        text_sent.connect(join)
        try:
            yield
        finally:
            claimed.disconnect(note)
            text_sent.disconnect(join)

    def _renew(self):
        claims._renew(set(claims._heartbeat._held))

    def decide(self):
        """A person holds what waits and releases it again, and tries once more what was refused."""
        OutboxMessage.objects.filter(state=State.QUEUED).hold(PERSON)
        OutboxMessage.objects.filter(state=State.HELD).release(PERSON)
        call_command("requeue_mail", verbosity=0, stdout=open("/dev/null", "w"))  # noqa: SIM115 (this process ends soon)

    def give_back(self):
        """Somebody claims two, delivers one, and stops."""
        settings.MAIL_WORKERS = 1
        done = []
        _in_a_thread(partial(deliver_due, lambda: bool(done) or self.is_stopped, lambda: done.append(1)))

    def prune(self):
        pruning = DailyPruning()
        pruning._look_at = 0.0
        pruning.begin_if_due()
        if pruning._thread:
            pruning._thread.join()

    def stop(self):
        """Stop as this process would be stopped here: another thread tells who works, and nothing new begins."""
        self.is_stopped = True
        stopping = threading.Thread(target=self.worker.stop)
        self.stopping.append(stopping)
        stopping.start()
        self.worker._stopping.wait(0.1)  # s; it is told later if this thread holds what it waits for

    def work(self, rounds):
        """Run the worker's timer in this thread, with one thread to deliver, until it has looked so many times."""
        self.worker._awake = _Rounds(self.worker, rounds)
        try:
            self.worker._run()
            self.worker._pool.shutdown()
        finally:
            self.worker = threads._worker = _new_worker()


def _new_worker():
    worker = Worker()
    worker._threads = 1  # more would take their steps in an order of their own
    return worker


class _Rounds(threading.Event):
    """What a worker's timer waits for: here until all threads have done, and so many times."""

    def __init__(self, worker, left):
        super().__init__()
        self.worker, self.left = worker, left

    def wait(self, timeout=None):
        self.worker._quiet.wait()
        self.left -= 1
        self.worker._maintain_at = 0.0  # as if the pause were over
        if not self.left:
            self.worker.stop()
        return False


def _in_a_thread(act):
    thread = threading.Thread(target=partial(_act, act))
    thread.start()
    thread.join()


def _act(act):
    try:
        with contextlib.suppress(Exception):
            act()
    finally:
        connections.close_all()
