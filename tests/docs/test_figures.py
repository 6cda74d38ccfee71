"""benchmarks.docs: what the pages say was measured is what results.json has."""

import pytest

from benchmarks import docs
from benchmarks.figure import Figure

WRITTEN = docs.everything()


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_a_page_says_what_was_measured(page):
    assert page.read_text("utf-8") == WRITTEN[page], "python -m benchmarks.docs writes it anew"


def test_a_limit_that_is_missed_is_bold():
    figure = Figure("drain", "Draining", "mails/s", "SQLite", {"Flasky": [100.0, 300.0], "other": [100.0, 100.0]})
    figure.ratio("Flasky", "other", 3, at_least=True)
    assert "| Draining: Flasky / other | ≥ 3 × | **2.00 ×** |" in docs.goals([figure])


def test_a_number_within_a_sentence_is_the_median():
    figure = Figure("drain", "Draining", "mails/s", "SQLite", {"Flasky": [1.0, 1234.0, 9999.0]})
    page = "It delivers <!-- drain, SQLite, Flasky -->?<!-- / --> mails."
    assert docs.filled(page, [figure]) == "It delivers <!-- drain, SQLite, Flasky -->1,234<!-- / --> mails."
