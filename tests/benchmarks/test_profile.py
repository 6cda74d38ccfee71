"""benchmarks.profile: how statements, functions and what libpq writes are summed up. test_costs.py runs all of it."""

import pytest

from benchmarks.child import ROOT
from benchmarks.profile import __main__ as profile
from benchmarks.profile import steps, subject

TRACE = (
    'time\tF\t16\tQuery\t "BEGIN"\ntime\tF\t9\tSync\ntime\tB\t10\tCommandComplete\ntime\tF\t5\tSync\ntime\tB\t5\tX\n'
)


def test_statements_that_differ_in_the_number_of_values_are_one():
    one = ["caller", 'INSERT INTO "flasky_mail_attempt" ("a", "b", "c", "d") VALUES (%s, %s)', 2, 0.1]
    three = ["caller", 'INSERT INTO "flasky_mail_attempt" ("a", "b", "c", "d") VALUES (%s, %s), (%s, %s)', 1, 0.2]
    [found, everything] = profile.statements({"statements": [one, three]})
    assert found[1] == everything[1] == 3
    assert found[0].endswith("VALUES (…)")


def test_functions_are_summed_by_package_but_those_in_c():
    functions = [
        ["flasky.mail.models.claims:48 claim", 1, 5.0, 9.0],
        ["flasky.mail.models.message:1 wait", 1, 2.0, 2.0],
        ["method 'commit' of 'sqlite3.Connection' objects", 1, 6.0, 6.0],
    ]
    assert steps.by_package(functions) == [
        ("flasky.mail.models", 7.0),
        ("method 'commit' of 'sqlite3.Connection' objects", 6.0),
    ]


def test_a_step_stands_beside_its_limit(capsys):
    functions = [["flasky.mail.delivery.recording:67 record", 1, 5.0, 900.0]]
    steps.show("drain", functions, {steps.SMALL: 250.0, steps.LINE: 100.0})
    assert "record and commit                 900.0      250  a commit of one small row" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for work in steps.STEPS.values() for step in work for name in step.functions])
def test_the_functions_of_a_step_are_there(name):
    module, function = name.split()
    assert f"def {function}(" in (ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8")


def test_a_round_trip_is_speaking_after_having_heard():
    assert subject.turns(TRACE) == 2
    assert subject.turns("") == 0
