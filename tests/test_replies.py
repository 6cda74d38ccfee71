"""flasky.mail.replies: what a reply means."""

import pytest
from anymail.exceptions import AnymailAPIError, AnymailInvalidAddress, AnymailSerializationError

from flasky.mail.replies import Verdict, provider_verdict, smtp_verdict


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (250, Verdict.ACCEPTED),
        (251, Verdict.ACCEPTED),
        (421, Verdict.POSTPONED),
        (450, Verdict.POSTPONED),
        (451, Verdict.POSTPONED),
        (452, Verdict.POSTPONED),
        (550, Verdict.REFUSED),
        (552, Verdict.REFUSED),
        (554, Verdict.REFUSED),
        (-1, Verdict.POSTPONED),  # no number at all
        (354, Verdict.POSTPONED),  # an answer to a question that was not asked
        (999, Verdict.POSTPONED),
    ],
)
def test_an_smtp_reply_is_sorted_by_its_first_digit(code, verdict):
    assert smtp_verdict(code) == verdict


@pytest.mark.parametrize(
    ("error", "status", "verdict"),
    [
        (AnymailAPIError("no network"), None, Verdict.POSTPONED),
        (AnymailInvalidAddress("no address"), None, Verdict.REFUSED),
        (AnymailSerializationError("no JSON"), None, Verdict.REFUSED),
        (AnymailAPIError("bad request"), 400, Verdict.REFUSED),
        (AnymailAPIError("wrong key"), 401, Verdict.POSTPONED),
        (AnymailAPIError("too many"), 429, Verdict.POSTPONED),
        (AnymailAPIError("their fault"), 503, Verdict.POSTPONED),
    ],
)
def test_a_providers_failure_is_sorted_by_its_http_status(error, status, verdict):
    assert provider_verdict(error, status) == verdict
