"""Play a few points of each kind; `python -m tests.steps` plays all, and CI does."""

import os
import subprocess
import sys

import pytest

from tests.databases import SUITE


def play(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.steps", "--processes", "1", *arguments],
        env={**os.environ, "TEST_DATABASE_URL": SUITE.geturl()},
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.mark.parametrize("act", ["death", "stop", "time-out"])
def test_whoever_is_struck_loses_nothing(act):
    played = play("--act", act, "--part", "60")
    assert played.returncode == 0, played.stdout + played.stderr
    assert " 0 failed" in played.stdout


def test_two_at_once_lose_nothing():
    played = play("--act", "schedules", "--part", "1000")
    assert played.returncode == 0, played.stdout + played.stderr
    assert " 0 failed" in played.stdout
