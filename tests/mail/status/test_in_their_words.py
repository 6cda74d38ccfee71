"""flasky.mail.status.in_their_words: what was stored of a relay is read in the reader's language."""

import re

import pytest
from django.utils import translation

from flasky.mail.status.in_their_words import _patterns, in_their_words
from tests.pseudo import bracketed, speak


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (
            "Nothing answers at relay.test port 25 (connection refused). Look at MAIL_SERVER and MAIL_PORT.",
            "relay.test port 25 无人应答（连接被拒绝）。请检查 MAIL_SERVER 和 MAIL_PORT。",
        ),
        (
            "relay.test:25 answered 421 4.7.0 Try again. Later. It takes no mail at the moment.",
            "relay.test:25 答复：421 4.7.0 Try again. Later。它目前不接受邮件。",
        ),
        ("ann@example.com: No reply to this recipient.\n250 Ok", "ann@example.com: 对这位收件人没有答复。\n250 Ok"),
        ("550 5.1.1 No such user. Look elsewhere.", "550 5.1.1 No such user. Look elsewhere."),
        (
            "Mailgun answered 401 Unauthorized: Forbidden. It cannot be reached: look at the network, and at "
            "MAIL_TRANSPORT and its settings.",
            "Mailgun 答复 401 Unauthorized：Forbidden. 无法到达：请检查网络，以及 MAIL_TRANSPORT 及其设置。",
        ),
        (
            "Resend at api.resend.com did not answer within 30 s. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
            "api.resend.com 上的 Resend 在 30 秒内没有应答。请设置 AWS_ACCESS_KEY_ID 和 AWS_SECRET_ACCESS_KEY。",
        ),
        (
            "A library's own words. Look at MAIL_TRANSPORT and its settings.",
            "A library's own words. 请检查 MAIL_TRANSPORT 及其设置。",
        ),
        (
            "'ann' is not a mail address: a name, an @ and a domain are needed.",
            "'ann' 不是邮件地址：需要名称、@ 和域名。",
        ),
        (
            "Nothing was heard of web-1 after it had claimed the message; it may have been handed over. This happened "
            "3 times: held until a person decides.",
            "web-1 认领邮件之后再无音讯；邮件可能已经交出。这种情况已发生 3 次：已搁置，等待人来决定。",
        ),
        ("handed over", "已交出"),
        ("Nobody is at home.", "Nobody is at home."),
        ("", ""),
    ],
)
def test_our_sentences_are_translated_and_the_relays_stay_as_they_are(stored, read):
    with translation.override("zh-hans"):
        assert in_their_words(stored) == read
    with translation.override("en"):
        assert in_their_words(stored) == stored


VALUES = re.compile(r"%\((\w+)\)s")
SETTINGS = re.compile(r"%\(([A-Z_]+)\)s")


@pytest.mark.parametrize("sentence", [sentence for sentence, _ in _patterns()])
def test_each_sentence_is_found_again_with_its_values(sentence, monkeypatch):
    said = dict.fromkeys(VALUES.findall(sentence), "550 A. b")
    values = said | dict.fromkeys(SETTINGS.findall(sentence), "MAIL_X")
    with speak(monkeypatch):
        assert in_their_words(sentence % values) == bracketed(sentence) % values
