"""The system checks speak LANGUAGE_CODE: problem and hint, whole sentences, with nothing of English left but names."""

import re

import pytest
from django.core.checks import run_checks
from django.utils import translation

from flasky.env import Phrase
from tests.mail.test_checks import test_a_value_that_cannot_work_is_found as every_check

CASES = [case.values if hasattr(case, "values") else case for case in every_check.pytestmark[0].args[1]]
ENGLISH = re.compile(r"\b(the|is|it|must|of|and|which|has|no|set|choose|write)\b")


def said(settings, changes):
    for name, value in {"MAIL_TRANSPORT": "smtp", **changes}.items():
        setattr(settings, name, value)
    with translation.override("zh-hans"):
        return [message for message in run_checks(databases=[]) if message.id.startswith("flasky.")]


@pytest.mark.parametrize(("changes", "finding"), CASES)
def test_each_finding_and_its_hint_are_chinese(changes, finding, settings):
    [message] = said(settings, changes)
    for sentence in (message.msg, message.hint):
        ours = re.sub(r"“.*”|'[^']*'|：.*", "", str(sentence))  # what was set, and what Python says of it
        assert re.search(r"[\u4e00-\u9fff]", str(sentence)), sentence
        assert not ENGLISH.search(ours), sentence


def test_what_a_variable_must_be_is_said_whole(settings):
    expected = Phrase("%(others)s or %(last)s", meant="zh-hans", others="en", last="zh-hans")
    [message] = said(settings, {"UNREADABLE_SETTINGS": [("LANGUAGE_CODE", "zh_CN", expected)]})
    assert message.msg == "LANGUAGE_CODE 为 zh_CN，无法读取。应为：en 或 zh-hans。您是指 zh-hans 吗？"
