"""benchmarks.comparison and benchmarks.figure: what is better, what is worse, what is the machine."""

import pytest

from benchmarks import comparison
from benchmarks.figure import Figure


def test_it_names_what_became_slower_than_the_rounds_differ(capsys):
    comparison.show([rates(Flasky=[900, 1000, 1100])], [rates(Flasky=[700, 800, 850])])
    assert "Draining, SQLite: Flasky, 1,000 (900 to 1,100) before, 800 (700 to 850) now" in capsys.readouterr().out


def test_it_names_nothing_that_lies_within_the_rounds(capsys):
    comparison.show([rates(Flasky=[900, 1000, 1100])], [rates(Flasky=[700, 800, 950])])
    assert "Nothing became worse" in capsys.readouterr().out


def test_fewer_milliseconds_are_better():
    [pair] = comparison.pairs([times(Flasky=[5, 6])], [times(Flasky=[3, 4])])
    assert pair.is_better
    assert not pair.is_worse


def test_what_was_not_measured_before_is_compared_with_nothing(capsys):
    comparison.show([times(Flasky=[5])], [rates(Flasky=[5])])
    assert "There are no earlier results of these figures." in capsys.readouterr().out


def test_a_peer_is_taken_at_its_best_in_each_round():
    figure = rates(Flasky=[100, 100], small=[50, 10], large=[10, 25])
    figure.ratio_to_best("Flasky", ("small", "large"), "the peer", 2, at_least=True)
    [check] = figure.checks
    assert (check.low, check.high) == (2, 4)
    assert check.verdict == "pass"


@pytest.mark.parametrize(("now", "is_worse"), [([1.02], False), ([1.04], True)])
def test_one_round_alone_has_to_differ_by_some_per_cent(now, is_worse):
    [pair] = comparison.pairs([times(Flasky=[1.0])], [times(Flasky=now)])
    assert pair.is_worse == is_worse


def rates(**values):
    return Figure("drain", "Draining", "mails/s", "SQLite", values)


def times(**values):
    return Figure("store", "Storing", "ms", "SQLite", values)
