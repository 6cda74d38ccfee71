"""flasky.mail.transports.replies: what a reply means."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flasky.mail.transports.diagnosis import advise
from flasky.mail.transports.replies import MAX_TEXT, Reply, Verdict, is_out_of_turn, retry_hint, smtp_verdict
from flasky.mail.transports.reply_table import TABLE, Scope, Time

PLACES = ["GREETING", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "CONTENT"]


@pytest.mark.parametrize(
    ("command", "code", "text", "verdict"),
    [
        ("MAIL", 250, "2.1.0 Ok", Verdict.ACCEPTED),
        ("RCPT", 251, "User not local; will forward", Verdict.ACCEPTED),
        ("CONTENT", 250, "2.0.0 Queued", Verdict.ACCEPTED),
        ("RCPT", 450, "4.2.0 Greylisted", Verdict.POSTPONED),
        ("RCPT", 451, "4.3.0 Try later", Verdict.POSTPONED),
        ("RCPT", 452, "4.2.2 Mailbox full", Verdict.POSTPONED),
        ("MAIL", 452, "4.3.1 Out of space", Verdict.POSTPONED),
        ("CONTENT", 450, "4.7.1 Later", Verdict.POSTPONED),
        ("RCPT", 550, "5.1.1 No such user", Verdict.REFUSED),
        ("MAIL", 552, "5.3.4 Message too big", Verdict.REFUSED),
        ("DATA", 554, "5.5.1 No valid recipients", Verdict.REFUSED),
        ("CONTENT", 554, "5.7.1 Spam", Verdict.REFUSED),
        ("RCPT", 452, "4.5.3 Too many recipients", Verdict.POSTPONED),
        ("RCPT", 454, "4.7.1 Relay access denied", Verdict.POSTPONED),  # what a stock Postfix says of one address
        ("RCPT", 421, "4.7.0 Too many errors", Verdict.POSTPONED),
        ("RCPT", 450, "4.3.2 Not now", Verdict.POSTPONED),
        ("RCPT", 530, "5.7.0 Authentication required", Verdict.POSTPONED),
        ("RCPT", 552, "5.5.3 Too many recipients", Verdict.POSTPONED),  # RFC 5321, section 4.5.3.1.10
        ("DATA", 250, "Ok, but nothing was handed over", Verdict.POSTPONED),
        ("MAIL", 421, "4.7.0 Too many connections", Verdict.UNAVAILABLE),
        ("CONTENT", 421, "Shutting down", Verdict.UNAVAILABLE),
        ("MAIL", 450, "4.3.2 Not accepting mail", Verdict.UNAVAILABLE),
        ("MAIL", 454, "4.7.0 Temporary authentication failure", Verdict.UNAVAILABLE),
        ("MAIL", 503, "5.5.1 AUTH first", Verdict.UNAVAILABLE),
        ("RCPT", 503, "5.5.1 AUTH first", Verdict.POSTPONED),
        ("CONTENT", 503, "5.5.1 Spam", Verdict.REFUSED),
        ("MAIL", 530, "5.7.0 Must issue a STARTTLS command first", Verdict.UNAVAILABLE),
        ("MAIL", 535, "5.7.8 Bad credentials", Verdict.UNAVAILABLE),
        ("MAIL", -1, "no number", Verdict.POSTPONED),
        ("RCPT", 354, "an answer to another question", Verdict.POSTPONED),
        ("CONTENT", -1, "no number", Verdict.UNKNOWN),  # it may have been accepted
        ("CONTENT", 354, "go on", Verdict.UNKNOWN),
    ],
)
def test_an_smtp_reply_is_sorted_by_command_code_and_enhanced_code(command, code, text, verdict):
    assert smtp_verdict(command, code, text) == verdict
    assert Reply.to(command, code, text) == Reply(verdict, f"{code} {text}", command)


@given(st.sampled_from(PLACES), st.integers(-1, 999), st.text(max_size=30))
def test_each_reply_has_a_scope_a_time_and_advice(place, code, text):
    reply = Reply.to(place, code, text)
    assert isinstance(reply.scope, Scope)
    assert isinstance(reply.time, Time)
    assert "{" not in advise(reply)


def test_each_row_has_a_source_and_stands_there_once():
    assert all(row.source for row in TABLE)
    assert len(set(TABLE)) == len(TABLE)


@given(st.sampled_from(["MAIL", "RCPT", "DATA", "CONTENT"]), st.integers(-1, 999), st.text(max_size=30))
def test_only_a_2xx_reply_is_an_acceptance(command, code, text):
    assert (smtp_verdict(command, code, text) == Verdict.ACCEPTED) <= (code // 100 == 2)


@given(st.integers(-1, 999), st.text(max_size=30))
def test_nothing_that_is_said_of_one_recipient_calls_the_relay_away(code, text):
    assert smtp_verdict("RCPT", code, text) != Verdict.UNAVAILABLE


@pytest.mark.parametrize(
    ("command", "text", "is_so"),
    [
        ("MAIL", "503 Bad sequence of commands - pipelined after end of DATA", True),  # Haraka 3.3
        ("RCPT", "503 5.5.1 MAIL first", True),
        ("DATA", "503 5.5.1 RCPT first", True),
        ("MAIL", "554 SMTP synchronization error", True),  # Exim
        ("MAIL", "500 5.5.2 Syntax error", True),
        ("RCPT", "501 5.1.3 Bad address", False),
        ("MAIL", "550 5.7.1 Sender blocked", False),
        ("MAIL", "451 4.3.0 Not now", False),
        ("CONTENT", "503 5.5.1 Spam", False),  # the reply to what came before
    ],
)
def test_a_reply_about_the_order_is_told_from_one_about_the_message(command, text, is_so):
    code, _, rest = text.partition(" ")
    assert is_out_of_turn(Reply.to(command, int(code), rest)) == is_so


@given(st.integers(500, 599), st.text(max_size=30))
def test_nothing_that_was_refused_after_the_content_is_called_unknown(code, text):
    assert smtp_verdict("CONTENT", code, text) in (Verdict.REFUSED, Verdict.UNAVAILABLE)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("451 4.7.1 Greylisted, please try again in 300 seconds", 300),
        ("450 4.2.0 Greylisting in action, please come back in 00:04:59", 299),
        ("451 Try again in 5 minutes", 300),
        ("451 retry in 2 hours", 7200),
        ("450 4.7.1 Greylisted for 60 s", 60),
        ("451 4.3.0 Temporary failure", None),
        ("452 4.2.2 Mailbox full (quota 100 MB)", None),
        ("451 4.3.5 Try again later", None),
        ("450 4.2.0 Greylisted, see https://postgrey.example/help/x.html, try again in 300 seconds", 300),
        ("451 4.7.1 Greylisting in effect, please return in 59 seconds", 59),
        ("450 4.7.1 Recipient address rejected: Greylisted, service available in 59 seconds", 59),
        ("451 retry in 00:05:00", 300),
        ("451 please try again in 5 minutes.", 300),
        ("451 Please try again later (in 10 mins)", 600),
        ("451 Please wait 45 seconds and try again", 45),
        ("421 Try again after 2 h", 7200),
        ("450 max 30 mails/minute, try again later", None),
        ("450 Try again later, max 30 messages per 5 minutes", None),
        ("451 4.7.1 try again later 4h7sXq2m", None),
        ("451 retry later, queued as 4h7sX", None),
        ("451 delayed by filter 2.5 h12", None),
        ("451 I will get back to you 2 h", None),
        ("451 Try again later - gsmtp 5s12h3m", None),
        ("450 retry limit of 20 m reached", None),
        ("450 Try again in 5m/2", None),
        ("450 Try again in 10 messages", None),
        ("450 Please retry in 2026-11-27 12:00:00", None),
    ],
)
def test_a_hint_when_to_come_back_is_understood(text, seconds):
    assert retry_hint(text) == seconds


ASKING = re.compile("again|back|later|retry|re-try|resend|return|deferred|delayed|greylist|wait", re.IGNORECASE)
NUMBERS = ["30 mails/minute", "4h7sX", "2 h", "in 5 minutes", "for 300 seconds", "00:05:00", "1.2.3 s", "27 Nov", " "]


@given(st.lists(st.one_of(st.sampled_from(NUMBERS), st.text(max_size=10)), max_size=8).map(" ".join))
def test_without_a_word_that_asks_to_come_back_no_number_is_a_hint(text):
    assume(not ASKING.search(text))
    assert retry_hint(text) is None


@given(
    st.sampled_from(["try again", "retry", "come back", "greylisted", "wait", "later"]),
    st.text("0123456789smhSMH/:. X"),
)
def test_behind_a_word_that_asks_to_come_back_a_number_needs_the_words_of_a_known_form(word, numbers):
    assume(not (word == "wait" and re.match(r"\s*\d", numbers)))
    assert retry_hint(f"{word} {numbers}") is None


@given(st.text(max_size=500))
def test_any_text_is_read_without_an_error(text):
    hint = retry_hint(text)
    assert hint is None or hint >= 0


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("250 Ok", "250 Ok"),
        ("a@example.com: 250 Ok\nb@example.com: 550 No", "a@example.com: 250 Ok\nb@example.com: 550 No"),
        ("550 a\0b\tc\x1bd", "550 a\ufffdb\ufffdc\ufffdd"),
        ("5" * (MAX_TEXT + 1), "5" * MAX_TEXT),
    ],
    ids=["a line", "several lines", "what no column takes", "too much"],
)
def test_a_reply_is_kept_as_far_as_it_can_be_stored_and_read(said, kept):
    assert Reply(Verdict.REFUSED, said).text == kept
