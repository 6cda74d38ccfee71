"""The commands speak LANGUAGE_CODE, in columns also where a letter is two columns wide."""

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from accounts.models import User
from flasky.mail.models import OutboxMessage, State
from tests.conftest import use_relay
from tests.scripted_relay import ScriptedRelay

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def chinese():
    with translation.override("zh-hans"):  # as LANGUAGE_CODE does for manage.py
        yield


def printed(capsys, *command):
    call_command(*command)
    return capsys.readouterr().out


def test_what_was_queued_and_pruned_is_said(capsys):
    User.objects.create(username="Ann")
    OutboxMessage.objects.update(state=State.FAILED)
    assert "将重新排队 1 封。" in printed(capsys, "requeue_mail", "--dry-run")
    assert "将移除 0 封邮件" in printed(capsys, "prune_mail", "--dry-run")
    assert "没有保留此人的任何内容。" in printed(capsys, "erase_mail", "nobody@example.com")


def test_a_test_mail_is_answered_in_columns(capsys, settings):
    with ScriptedRelay() as relay:
        use_relay(settings, relay)
        lines = printed(capsys, "sendtestemail", "ann@example.com").splitlines()
    assert lines[0] == f"服务器    127.0.0.1:{relay.port}"
    assert lines[1] == "加密      无"
    assert lines[3] == "收件人    ann@example.com: 已接受: 250 2.0.0 Queued"


def test_a_relay_that_is_away_is_explained(settings):
    with ScriptedRelay() as relay:
        use_relay(settings, relay)
    with pytest.raises(CommandError, match="无人应答（连接被拒绝）。请检查 MAIL_SERVER 和 MAIL_PORT。"):
        call_command("sendtestemail", "ann@example.com")
