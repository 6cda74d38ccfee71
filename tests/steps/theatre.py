"""A process's relays and database, in which one run follows the other."""

import threading

from django.conf import settings
from django.db import connections

from tests.steps.oracle import end_the_story
from tests.steps.relay import Relay
from tests.steps.story import Story


class Theatre:
    def __init__(self, stage, number):
        self.stage = stage
        self.relays = {groups: Relay(groups) for groups in (True, False)}  # forked, so before there is any thread
        stage.enter(number)
        self._warm_up()

    def _warm_up(self):
        """Let this process load and compile what the story needs, so that its children have it."""
        self.prepare()
        lease, settings.MAIL_LEASE = settings.MAIL_LEASE, 0.1  # s, so that the thread which renews is not waited for
        Story().run()
        end_the_story()
        settings.MAIL_LEASE = lease
        connections.close_all()
        while threading.active_count() > 1:
            threading.Event().wait(0.01)

    def prepare(self, groups=True):
        """Put everything back as it was before, and return the relay."""
        relay = self.relays[groups]
        relay.forget()
        self.stage.new_run()
        settings.MAIL_PORT = relay.port
        return relay

    def close(self):
        for relay in self.relays.values():
            relay.close()


def in_theatres(stage, play):
    """Return work for forks.shared(): each process has a theatre of its own, in which it plays its jobs."""

    def work(number, jobs):
        theatre = Theatre(stage, number)
        try:
            for job in jobs:
                yield from play(theatre, job)
        finally:
            theatre.close()

    return work
