"""flasky.mail.wire: a Chinese subject travels in ASCII, in short lines, and is read as it was written."""

import re
from base64 import b64decode
from email import message_from_bytes, policy
from quopri import decodestring

import pytest
from django.core.mail import EmailMessage

from flasky.mail.wire.compose import compose

SUBJECTS = [
    "新用户：张小明",
    "您的订单已发货，请注意查收包裹。" * 12,
    "[Flasky] 新用户：欧阳 Ann 小明 𠮷野家 👋",
    "，。！？「」" * 20,
]


def lines_of_subject(subject):
    content = compose(EmailMessage(subject, "你好", "ann@example.com", ["bob@example.com"]))["content"]
    head = bytes(content).partition(b"\r\n\r\n")[0]
    return content, re.search(rb"(?im)^Subject: [^\r\n]*(?:\r\n[ \t][^\r\n]*)*", head)[0].split(b"\r\n")


@pytest.mark.parametrize("subject", SUBJECTS, ids=len)
def test_it_is_read_as_it_was_written(subject):
    content, lines = lines_of_subject(subject)
    assert (
        message_from_bytes(bytes(content), policy=policy.default)["Subject"].lstrip() == subject
    )  # folded after its name
    assert all(line.isascii() for line in lines)


@pytest.mark.parametrize("subject", SUBJECTS, ids=len)
def test_no_line_is_too_long_and_no_character_is_cut(subject):
    _, lines = lines_of_subject(subject)
    assert max(map(len, lines)) <= 78  # RFC 5322, section 2.1.1; Python takes one more than RFC 2047 says
    words = re.findall(rb"=\?utf-8\?([bq])\?([^?]*)\?=", b"\n".join(lines), re.IGNORECASE)
    assert words
    for way, text in words:
        (b64decode(text) if way in b"bB" else decodestring(text, header=True)).decode()  # each by itself (section 5)
