"""flasky.mail.status.reasons: why a message failed, in a few words."""

import pytest

from flasky.mail.status.reasons import reason_of


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("550 5.1.1 <ann@example.com>: Recipient address rejected: User unknown", "user unknown"),
        ("452 4.2.2 The email account that you tried to reach is over quota", "mailbox full"),
        ("552-5.2.2 mailbox full", "mailbox full"),
        ("552 Quota exceeded", "mailbox full"),
        ("550 No such user here", "user unknown"),
        ("550 unknown user", "user unknown"),
        ("550 5.7.1 Blocked", "refused by policy"),
        ("550 Mailbox unavailable", "mailbox not available"),
        ("554 5.99.99 Never", "refused"),
        ("The relay closed the connection.", "refused"),
        ("", "given up without a reply"),
        ("٥٥٠ 5.1.1", "refused"),
    ],
)
def test_a_reply_has_a_reason(reply, label):
    assert reason_of(reply).label == label


@pytest.mark.parametrize(
    ("reply", "is_the_address"),
    [("550 5.1.1 x", True), ("553 x", True), ("550 user unknown", True), ("452 4.2.2 x", False), ("", False)],
)
def test_another_address_helps_where_the_address_is_wrong(reply, is_the_address):
    assert reason_of(reply).is_the_address is is_the_address
