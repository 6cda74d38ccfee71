"""The commands in Chinese on a terminal: whatever it can write, in columns, and Chinese where a person reads it."""

import os
import re
import subprocess
import sys
from collections import Counter

import pytest
from django.core.management import get_commands, load_command_class
from django.utils import translation

from flasky.drill.report import Report
from flasky.mail.status.written import cut, in_columns, width

OURS = sorted(name for name, app in get_commands().items() if app.startswith("flasky.") and name != "runserver")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def manage(*arguments, **variables):
    clean = {name: os.environ[name] for name in ("PATH", "HOME", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
    settings = {"ENV_FILE": os.devnull, "SECRET_KEY": "x" * 50, "DEBUG": "True", "LANGUAGE_CODE": "zh-hans"}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env={**clean, **settings, **variables},
        capture_output=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("terminal", "encoding"),
    [
        ({"LC_ALL": "C.UTF-8"}, "utf-8"),
        ({"LC_ALL": "C"}, "utf-8"),
        ({"LC_ALL": "zh_CN.UTF-8"}, "utf-8"),
        ({"PYTHONIOENCODING": "gbk"}, "gbk"),
        ({"PYTHONIOENCODING": "ascii"}, "ascii"),
        ({"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "ascii"),
    ],
    ids=str,
)
def test_no_terminal_makes_a_command_fail(terminal, encoding):
    finished = manage("prune_mail", "--help", **terminal)
    assert finished.returncode == 0, finished.stderr
    expected = "只计数" if encoding != "ascii" else r"\u53ea\u8ba1\u6570"
    assert expected in finished.stdout.decode(encoding)


def test_what_is_wrong_with_the_settings_is_said_in_chinese():
    finished = manage("check", MAIL_PORT="0", MAIL_TIMEOUT="many", LC_ALL="C.UTF-8")
    assert "MAIL_PORT 为 0；端口的范围是 1 到 65535。" in finished.stderr.decode()
    assert "MAIL_TIMEOUT 为 many，无法读取。应为：整数。" in finished.stderr.decode()


@pytest.mark.parametrize("name", OURS)
def test_each_commands_help_is_chinese(name):
    with translation.override("zh-hans"):
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    assert CHINESE.search(parser.description)
    by_django = {"help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color"}
    ours = [action for action in parser._actions if action.dest not in {*by_django, "skip_checks"}]
    assert not [action.dest for action in ours if not CHINESE.search(action.help)]


def test_a_chinese_character_has_two_columns():
    assert [width("邮件"), width("mail"), width("e\u0301")] == [4, 4, 1]
    assert in_columns("邮件", 6) == "邮件  "
    assert in_columns("邮件", 3) == "邮件"
    assert [cut("已杀死 2", 4), cut("已杀死 2", 5), cut("mail", 9)] == ["已杀", "已杀", "mail"]


def test_the_drills_report_is_a_table_in_chinese():
    with translation.override("zh-hans"):
        lines = str(Report({}, [], Counter(), 0, 1, ["after the claim"], [0.5], 1.0)).splitlines()
    assert "认领之后被杀死" in lines[0]
    values = [re.search(r" {2,}(\S.*)$", line) for line in lines]
    assert {width(line[: found.start(1)]) for line, found in zip(lines, values, strict=True)} == {38}
    assert not re.search("[a-z]{3,}", "".join(lines))
