import random
from dataclasses import replace
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from benchmarks.simulate import __main__ as command
from benchmarks.simulate.ages import ages, at_percent, peak, seconds_to_normal
from benchmarks.simulate.costs import Costs, measured_costs
from benchmarks.simulate.process import Process, share
from benchmarks.simulate.scenarios import NEVER, SCENARIOS, Relay, Scenario, expected_messages
from benchmarks.simulate.world import World, arrivals, seeded, simulate
from flasky.mail.delivery import batches, worker
from flasky.mail.models import State
from tests.actors import store

COSTS = Costs(message=0.001, claim=0.010, database=0.4)
OUTAGE = Scenario("", Relay(outage=(60, 360)), lasts=600)
GREYLISTING = Scenario("", Relay(greylisted=0.5), lasts=60)

few = st.integers(1, 8)
relays = st.builds(
    Relay,
    round_trip=st.sampled_from([0.0001, 0.02, 0.3]),
    service=st.sampled_from([0.0, 0.5]),
    most_connections=st.sampled_from([1, 3, NEVER]),
    outage=st.sampled_from([(NEVER, NEVER), (0, 30), (20, 90), (20, 25)]),
    slow=st.sampled_from([(NEVER, NEVER), (10, 60)]),
    slow_service=st.just(2.0),
    greylisted=st.sampled_from([0.0, 0.3, 1.0]),
)


def run(scenario, seed=1, rate=3.0, processes=2, threads=4):
    return simulate(scenario, seed, rate, processes, threads, COSTS)


def story(world):
    return [(message.stored_at, message.attempts, message.finished_at, message.state) for message in world.messages]


def drained(relay, processes, threads, waiting=400):
    return run(Scenario("", relay, lasts=0, waiting=waiting), processes=processes, threads=threads)


def test_the_same_seed_tells_the_same_story():
    assert story(run(GREYLISTING, seed=7)) == story(run(GREYLISTING, seed=7)) != story(run(GREYLISTING, seed=8))


def test_chance_elsewhere_is_left_as_it_was():
    with seeded(1):
        before = random.getstate()
        run(GREYLISTING, seed=2)
        assert random.getstate() == before


@tries(max_examples=25, deadline=None)
@given(relays, few, few, st.integers(0, 40), st.integers(0, 1000))
def test_no_mail_is_lost_or_accepted_twice(relay, processes, threads, waiting, seed):
    world = run(Scenario("", relay, lasts=60, waiting=waiting), seed, 1.0, processes, threads)
    assert not world.due
    assert not world.later
    assert all(message.state == State.SENT and message.finished_at < NEVER for message in world.messages)
    if not relay.greylisted:
        assert {len(message.attempts) for message in world.messages} <= {1}


@tries(max_examples=25, deadline=None)
@given(relays, few, few, st.integers(0, 1000))
def test_a_relay_never_has_more_connections_than_it_allows(relay, processes, threads, seed):
    highest = 0

    class Watched(Relay):
        def seconds(self, now):
            nonlocal highest
            highest = max(highest, world.connections)
            return super().seconds(now)

    with seeded(seed):
        world = World(Scenario("", Watched(**vars(relay)), 30, waiting=20), 1.0, processes, threads, COSTS)
        world.run()
    assert 1 <= highest <= min(relay.most_connections, processes * threads)


def test_what_the_relay_never_takes_is_given_up_after_the_days_of_the_settings(settings):
    settings.MAIL_GIVE_UP_DAYS = 2
    world = run(Scenario("", Relay(greylisted=0.5, greylisted_for=NEVER), lasts=20))
    given_up = [message for message in world.messages if message.is_greylisted]
    assert given_up
    assert {message.state for message in given_up} == {State.FAILED}
    assert all(2 <= (each.finished_at - each.stored_at) / 86400 < 2.4 for each in given_up)


def test_an_outage_costs_no_message_an_attempt():
    world = run(OUTAGE)
    assert {len(message.attempts) for message in world.messages} == {1}
    assert not [message for message in world.messages if 60 <= message.attempts[0] < 360]


def test_after_an_outage_the_age_of_the_queue_is_normal_within_the_longest_pause_and_the_time_to_drain():
    world = run(OUTAGE)
    [during, long_after] = ages(world, [359, 500])
    assert max(during) == pytest.approx(300, abs=5)
    assert max(long_after, default=0) < 1
    assert 0 < seconds_to_normal(world, OUTAGE) < 1.2 * worker.LONGEST_PAUSE + 30


def test_an_outage_is_probed_by_one_thread_of_each_process_with_the_workers_pauses():
    world = run(replace(OUTAGE, relay=Relay(outage=(0, 360))), processes=1, threads=4)
    assert world.refused_connections <= 4 + 6 + 360 / (0.8 * worker.LONGEST_PAUSE)


def test_after_the_first_acceptance_all_threads_go_on():
    world = run(Scenario("", Relay(outage=(0, 30), service=1.0), lasts=0, waiting=20), processes=1, threads=4)
    starts = sorted(moment for message in world.messages for moment in message.attempts)
    assert starts[4] - starts[0] < 2


def test_an_idle_connection_is_not_kept():
    relay = Relay(connecting=100)
    world = run(Scenario("", relay, lasts=2000), rate=0.01, processes=1, threads=1)
    slow = [each for each in world.messages if each.finished_at - each.stored_at > relay.connecting * relay.round_trip]
    assert len(slow) > len(world.messages) / 2


def test_the_pauses_between_probes_are_the_workers():
    real, process = worker.Worker(), Process(World(SCENARIOS["baseline"], 1, 1, 1, COSTS))
    with patch("random.uniform", lambda low, high: low), patch("time.monotonic", lambda: process.world.now):
        for _ in range(10):
            process.world.now = max(process.probe_at, 1.0)
            process.note_outage()
            real._is_news("down")
            assert (process.pause, process.probe_at) == (real._pause, real._probe_at)
        real._outage_noted = False  # in the database
        for moment in (process.probe_at - 0.1, process.probe_at):
            process.world.now = moment
            real._note_recovery()
            process.note_recovery()
            assert (process.in_outage, process.pause) == (bool(real._outage), real._pause)
    real._pool.shutdown()


@pytest.mark.django_db
@pytest.mark.parametrize("due", [0, 1, 7, 130])
def test_a_claim_is_as_large_as_delivery_makes_it(due, settings):
    for _ in range(due):
        store("ann@example.com")
    for settings.MAIL_WORKERS in (1, 2, 4, 8):
        for pace in (0.0, 0.003, 0.03, 0.4, 1.0, 5.0):
            assert share(pace, due, settings.MAIL_WORKERS) == batches.next_batch(pace).size


def test_what_is_due_first_goes_first():
    world = run(Scenario("", lasts=30, waiting=30), processes=1, threads=1)
    assert [each.attempts for each in world.messages] == sorted(each.attempts for each in world.messages)


def test_a_refused_message_is_tried_again_after_the_pauses_of_the_plan():
    greylisted = [message for message in run(GREYLISTING).messages if message.is_greylisted]
    assert len(greylisted) > 50
    for message in greylisted:
        for earlier, later in pairwise(message.attempts):
            age = earlier + GREYLISTING.relay.round_trip - message.stored_at
            pause = next(pause for pause in (5, 15, 60, 300, 900) if pause > age)
            assert 0.9 * pause < later - earlier < 1.1 * pause + 0.5


@tries(max_examples=20, deadline=None)
@given(st.sampled_from([0.002, 0.02, 0.2]), st.sampled_from([0.0, 0.1, 2.0]), few, few)
def test_twice_the_threads_are_never_slower_but_for_their_small_claims(round_trip, service, processes, threads):
    relay = Relay(round_trip=round_trip, service=service)
    slack = 6 * processes * threads * COSTS.claim  # of all these cases the worst needs 5.4
    assert drained(relay, processes, 2 * threads).now <= drained(relay, processes, threads).now + slack


def test_twice_the_threads_take_half_the_time_of_a_slow_relay():
    slow = Relay(service=2.0)
    assert drained(slow, 2, 8).now == pytest.approx(drained(slow, 2, 4).now / 2, rel=0.05)


@pytest.mark.parametrize(
    ("database", "relay", "waiting", "rate"),
    [
        ("SQLite", Relay(round_trip=0, connecting=0), 10_000, 1302),
        ("PostgreSQL", Relay(round_trip=0, connecting=0), 10_000, 766),
        ("SQLite", Relay(), 400, 131),
        ("PostgreSQL", Relay(), 400, 122),
    ],
)
def test_the_model_drains_as_fast_as_was_measured(database, relay, waiting, rate):
    scenario = Scenario("", relay, lasts=0, waiting=waiting)
    world = simulate(scenario, 1, 1.0, 1, 4, measured_costs(database))
    assert waiting / world.now == pytest.approx(rate, rel=0.25)


def test_a_burst_is_as_large_as_it_says():
    burst = Scenario("", lasts=60, burst=(20, 30, 100))
    with seeded(1):
        moments = list(arrivals(burst, 2.0))
    inside = [moment for moment in moments if 20 <= moment < 30]
    assert len(inside) == pytest.approx(2000, rel=0.1)
    assert len(moments) - len(inside) == pytest.approx(100, rel=0.3)
    assert moments == sorted(moments)
    assert expected_messages(burst, 2.0) == 2100


def test_ages_and_the_peak_are_those_of_the_messages_that_wait():
    world = run(GREYLISTING)
    for moment, those in zip((30, 60), ages(world, [30, 60]), strict=True):
        waiting = [each for each in world.messages if each.stored_at <= moment < each.finished_at]
        assert those == [moment - each.stored_at for each in waiting]
        assert len(those) <= peak(world)
    assert at_percent([9, 8, 7, 6], 100) == 9
    assert at_percent([9, 8, 7, 6], 50) == 7
    assert at_percent([], 50) == 0


def test_the_command_prints_a_table_and_draws(capsys, tmp_path):
    words = ["--scenario", "crowded,baseline", "--rate", "0.05", "--draw", str(tmp_path / "ages.svg")]
    command.main(words)
    printed = capsys.readouterr().out
    assert "## crowded: 5 connections allowed, 20,000 mails waiting" in printed
    assert "0 given up, 1.00 attempts a mail" in printed
    assert "| time | waiting | age p50 | p99 | max |" in printed
    assert (tmp_path / "ages.svg").read_text().count("<polyline") == 4


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--rate 0", "'0' is no number above 0"),
        ("--rate many", "'many' is no number above 0"),
        ("--rate nan", "'nan' is no number above 0"),
        ("--threads 0", "'0' is no whole number from 1 to 1000"),
        ("--processes 1.5", "'1.5' is no whole number from 1 to 1000"),
        ("--seed one", "'one' is no whole number"),
        ("--scenario flood", "no scenario is called flood; there are baseline, outage"),
        ("--scenario burst --rate 1000", "--rate 1000 means 63,540,000 mails in the scenario burst"),
        ("--draw nowhere/ages.svg", "there is no directory nowhere"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(words, sentence, capsys):
    with pytest.raises(SystemExit) as end:
        command.arguments(words.split())
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err
