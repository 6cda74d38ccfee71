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
            "relay.test:25 答复：421 4.7.0 Try again. Later。 它目前不接受邮件。",
        ),
        ("ann@example.com: No reply to this recipient.\n250 Ok", "ann@example.com: 对这位收件人没有答复。\n250 Ok"),
        ("550 5.1.1 No such user. Look elsewhere.", "550 5.1.1 No such user. Look elsewhere."),
        ("", ""),
    ],
)
def test_our_sentences_are_translated_and_the_relays_stay_as_they_are(stored, read):
    with translation.override("zh-hans"):
        assert in_their_words(stored) == read
    with translation.override("en"):
        assert in_their_words(stored) == stored


SETTINGS = re.compile(r"%\(([A-Z_]+)\)s")


@pytest.mark.parametrize("sentence", [sentence for sentence, _ in _patterns()])
def test_each_sentence_is_found_again_with_its_values(sentence, monkeypatch):
    said = dict.fromkeys(("server", "host", "error", "seconds", "reply", "offered"), "550 A. b")
    values = said | dict.fromkeys(SETTINGS.findall(sentence), "MAIL_X")
    with speak(monkeypatch):
        assert in_their_words(sentence % values) == bracketed(sentence) % values
