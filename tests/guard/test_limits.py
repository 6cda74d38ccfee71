"""flasky.guard.limits: only so much in so long, for all processes together."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest
from django.db import connection, connections

from flasky.guard import limits
from flasky.guard.limits import Limit, TooMany, count, give_back, is_first, take, take_for
from flasky.guard.models import Tally

NOW = 1_800_000_000  # the first second of a minute
HERE = Limit("form", "192.0.2.7", most=2, seconds=60)
ALL = Limit("form, everybody", "", most=3, seconds=3600)


@pytest.fixture
def at(monkeypatch):
    """Set the clock."""

    def set_clock(moment):
        monkeypatch.setattr(limits.clock, "now", lambda: datetime.fromtimestamp(moment, timezone.utc))

    set_clock(NOW)
    return set_clock


def is_refused(*asked):
    try:
        take(*asked)
    except TooMany:
        return True
    return False


@pytest.mark.django_db
class TestTake:
    def test_as_many_as_the_limit_says_are_let_through(self, at):
        assert [is_refused(HERE) for _ in range(4)] == [False, False, True, True]

    def test_the_next_period_begins_anew(self, at):
        assert [is_refused(HERE) for _ in range(3)] == [False, False, True]
        at(NOW + 59)
        assert is_refused(HERE)
        at(NOW + 60)
        assert not is_refused(HERE)

    def test_a_refusal_says_which_limit_it_was_and_when_to_come_again(self, at):
        take(HERE, ALL)
        take(HERE, ALL)
        at(NOW + 20)
        with pytest.raises(TooMany) as refused:
            take(ALL, HERE)
        assert (refused.value.limit, refused.value.seconds) == (HERE, 40)

    def test_of_two_limits_that_are_reached_the_longer_wait_is_said(self, at):
        take(HERE._replace(most=1), ALL._replace(most=1))
        with pytest.raises(TooMany) as refused:
            take(HERE._replace(most=1), ALL._replace(most=1))
        assert refused.value.seconds == 3600

    def test_what_one_limit_refuses_no_other_counts(self, at):
        take(HERE, ALL)
        take(HERE, ALL)
        assert is_refused(HERE, ALL)
        assert (count(HERE), count(ALL)) == (2, 2)

    def test_everybody_is_counted_alone(self, at):
        take(HERE)
        take(HERE)
        take(HERE._replace(whom="192.0.2.8"))
        take(HERE._replace(name="another form"))

    def test_a_limit_of_zero_is_none(self, at, django_assert_num_queries):
        with django_assert_num_queries(0):
            take(HERE._replace(most=0))

    def test_what_is_given_back_can_be_taken_again(self, at):
        take(HERE)
        take(HERE)
        give_back(HERE)
        assert not is_refused(HERE)
        give_back(HERE._replace(whom="nobody"))

    def test_a_refusal_costs_one_look_and_writes_nothing(self, at, django_assert_num_queries):
        take(HERE)
        take(HERE)
        with django_assert_num_queries(1):
            assert is_refused(HERE, ALL)

    def test_a_final_limit_that_is_reached_is_remembered_until_its_period_ends(self, at, django_assert_num_queries):
        final = HERE._replace(is_final=True)
        assert [is_refused(final) for _ in range(3)] == [False, False, True]
        with django_assert_num_queries(0):
            assert is_refused(ALL, final)
        at(NOW + 60)
        assert not is_refused(final)

    def test_the_first_refusal_of_a_period_is_told_from_the_others(self, at):
        for expected in (True, False, False):
            assert is_first(TooMany(HERE, 60)) is expected
        at(NOW + 60)
        assert is_first(TooMany(HERE, 60))

    @pytest.mark.parametrize("whom", ["", "a" * 5000, "Änn 😀", "x\x00y", "\ud800", "2001:db8::/64", "a\nb"])
    def test_anything_can_be_counted_and_cannot_be_read_in_the_table(self, at, whom):
        take(HERE._replace(whom=whom))
        key = Tally.objects.get().key
        assert key.isascii()
        assert len(key) <= 80
        assert not whom or whom not in key

    def test_periods_that_are_over_are_cleared_away(self, at, monkeypatch):
        take(HERE, ALL)
        at(NOW + 61)
        monkeypatch.setattr(limits, "_clean_at", 0)
        limits._full.update(Tally.objects.values_list("key", flat=True))
        take(HERE._replace(whom="192.0.2.8"))
        assert (Tally.objects.count(), count(ALL), len(limits._full)) == (2, 1, 1)


@pytest.mark.django_db(transaction=True)
class TestTakeFor:
    def test_the_work_is_done_and_counted_together(self):
        assert take_for(lambda: "done", HERE) == "done"
        assert count(HERE) == 1

    def test_work_that_fails_is_not_counted(self):
        with pytest.raises(ZeroDivisionError):
            take_for(lambda: 1 / 0, HERE)
        assert count(HERE) == 0

    def test_work_for_which_the_limit_was_reached_meanwhile_is_undone(self):
        def others_are_quicker():
            Tally.objects.create(key="what the work has written", count=1)
            take(HERE, HERE)

        take(HERE)
        with pytest.raises(TooMany):
            take_for(others_are_quicker, HERE)
        assert not Tally.objects.filter(key="what the work has written").exists()
        assert count(HERE) == 1

    def test_beyond_the_limit_the_work_is_not_begun(self):
        take(HERE._replace(most=1))
        with pytest.raises(TooMany):
            take_for(lambda: pytest.fail("it was begun"), HERE._replace(most=1))

    def test_without_a_limit_it_is_only_done(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert take_for(lambda: "done", HERE._replace(most=0)) == "done"


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_as_many_are_let_through_as_the_limit_says():
    limit = Limit("rush", "", most=5, seconds=10**9)

    def try_once(_):
        try:
            return is_refused(limit)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(try_once, range(24)))
    assert refused.count(False) == 5
    assert count(limit) == 5
    assert not connection.in_atomic_block
