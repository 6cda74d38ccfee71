"""flasky.guard.refusing: what somebody is told who has reached a limit."""

import pytest
from django.test import RequestFactory

from flasky.guard.limits import Limit, TooMany
from flasky.guard.refusing import TooManyRequests
from flasky.mail import OutboxFull


def answer(error):
    return TooManyRequests(lambda request: None).process_exception(RequestFactory().get("/"), error)


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "wait a minute"), (60, "wait a minute"), (61, "wait 2 minutes"), (900, "15 minutes")]
)
def test_the_answer_says_when_to_come_again(seconds, words):
    response = answer(TooMany(Limit("form", "", 1, 900), seconds))
    assert (response.status_code, response["Retry-After"]) == (429, str(seconds))
    assert words in response.content.decode()


def test_an_outbox_that_is_full_is_answered_alike():
    response = answer(OutboxFull(3600))
    assert (response.status_code, response["Retry-After"]) == (429, "3600")
    assert "wait 60 minutes" in response.content.decode()


def test_another_failure_is_none_of_its_business():
    assert answer(ValueError()) is None
