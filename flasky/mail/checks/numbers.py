"""Check that the numbers in the settings can be meant."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.core import checks
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from flasky.mail.conf import Conf, conf
from flasky.mail.limits.budget import PERIODS
from flasky.mail.status.written import number

MOST_IN_BUDGET = 1_000_000_000


class Unit(NamedTuple):
    wrong: Any
    hint: Any


SECONDS = Unit(
    gettext_lazy("%(name)s is %(value)s seconds."),
    gettext_lazy("Choose a number from %(least)s to %(most)s seconds."),
)
DAYS = Unit(
    gettext_lazy("%(name)s is %(value)s days."),
    gettext_lazy("Choose a number from %(least)s to %(most)s days."),
)
THREADS = Unit(
    gettext_lazy("%(name)s is %(value)s threads."),
    gettext_lazy("Choose a number from %(least)s to %(most)s threads."),
)
CONNECTIONS = Unit(
    gettext_lazy("%(name)s is %(value)s connections."),
    gettext_lazy("Choose a number from %(least)s to %(most)s connections."),
)
RECIPIENTS = Unit(
    gettext_lazy("%(name)s is %(value)s recipients."),
    gettext_lazy("Choose a number from %(least)s to %(most)s recipients."),
)
MESSAGES = Unit(
    gettext_lazy("%(name)s is %(value)s messages."),
    gettext_lazy("Choose a number from %(least)s to %(most)s messages."),
)
MESSAGES_PER_SECOND = Unit(
    gettext_lazy("%(name)s is %(value)s messages per second."),
    gettext_lazy("Choose a number from %(least)s to %(most)s messages per second."),
)
BYTES = Unit(
    gettext_lazy("%(name)s is %(value)s bytes."),
    gettext_lazy("Choose a number from %(least)s to %(most)s bytes."),
)


def check_numbers() -> Iterator[checks.CheckMessage]:
    limits = (
        ("MAIL_TIMEOUT", conf.MAIL_TIMEOUT, 1, 3600, SECONDS),
        ("MAIL_WORKERS", conf.MAIL_WORKERS, 1, 100, THREADS),
        ("MAIL_GIVE_UP_DAYS", conf.MAIL_GIVE_UP_DAYS, 1, 365, DAYS),
        ("MAIL_KEEP_DAYS", conf.MAIL_KEEP_DAYS, 0, 36_500, DAYS),
        ("MAIL_KEEP_BODIES", conf.MAIL_KEEP_BODIES, 0, 36_500, DAYS),
        ("MAIL_READY_AGE", conf.MAIL_READY_AGE, 0, 30 * 86400, SECONDS),
        ("MAIL_MAX_CONNECTIONS", conf.MAIL_MAX_CONNECTIONS or 1, 1, 10_000, CONNECTIONS),
        ("MAIL_MAX_RECIPIENTS", conf.MAIL_MAX_RECIPIENTS or 1, 1, 100_000, RECIPIENTS),
        ("MAIL_RATE", conf.MAIL_RATE or 1, 0.001, 100_000, MESSAGES_PER_SECOND),
        ("MAIL_BUDGET_HELD", conf.MAIL_BUDGET_HELD, 0, 10_000_000, MESSAGES),
        ("MAIL_DIGEST_AFTER", conf.MAIL_DIGEST_AFTER, 0, 10_000, MESSAGES),
        ("MAIL_DIGEST_WINDOW", conf.MAIL_DIGEST_WINDOW, 1, 86_400, SECONDS),
        ("MAIL_DIGEST_WAIT", conf.MAIL_DIGEST_WAIT, 1, 86_400, SECONDS),
        ("MAIL_MAX_SIZE", conf.MAIL_MAX_SIZE, 1000, 1_000_000_000, BYTES),
    )
    for name, value, least, most, unit in limits:
        if not least <= value <= most:
            yield checks.Error(
                unit.wrong % {"name": conf.source(name), "value": value},
                hint=unit.hint % {"least": number(least, 3 if least < 1 <= most else 0), "most": number(most)},
                id="flasky.E006",
            )


def check_budget() -> Iterator[checks.CheckMessage]:
    for name in ("MAIL_BUDGET_RECIPIENT", "MAIL_BUDGET_KIND", "MAIL_BUDGET_TOTAL", "MAIL_BUDGET_URGENT"):
        numbers = getattr(conf, name)
        are_numbers = all(type(number) is int and 0 <= number <= MOST_IN_BUDGET for number in numbers)
        if len(numbers) > len(PERIODS) or not are_numbers:
            default = ", ".join(map(str, vars(Conf)[name].default))
            sentence = _(
                "%(name)s is %(value)r; it must be up to three whole numbers of messages from 0 to %(most)s: in a "
                "minute, an hour and a day."
            )
            yield checks.Error(
                sentence % {"name": name, "value": numbers, "most": number(MOST_IN_BUDGET)},
                hint=_("For example %(value)s, the default; 0 is no limit.") % {"value": default},
                id="flasky.E044",
            )


def check_digests() -> Iterator[checks.CheckMessage]:
    if conf.MAIL_DIGEST_AFTER and conf.MAIL_DIGEST_WAIT < 2 * conf.MAIL_SWEEP_INTERVAL:
        sentence = _(
            "MAIL_DIGEST_WAIT is %(value)s seconds, and whoever delivers looks every %(interval)s seconds "
            "(MAIL_SWEEP_INTERVAL): what is gathered may leave one by one."
        )
        hint = _("Let MAIL_DIGEST_WAIT be %(least)s or more; MAIL_DIGEST_AFTER=0 gathers nothing.")
        yield checks.Warning(
            sentence % {"value": conf.MAIL_DIGEST_WAIT, "interval": conf.MAIL_SWEEP_INTERVAL},
            hint=hint % {"least": math.ceil(2 * conf.MAIL_SWEEP_INTERVAL)},
            id="flasky.W012",
        )
