"""Tell Prometheus how often a log-in has failed. MAIL_METRICS_ALSO names it; see flasky/mail/monitoring/metrics.py."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily

from accounts.logins import FAILED
from flasky.guard import counters


def families() -> Iterator[Any]:
    meaning = "Log-ins with a wrong name or password; not those that a limit refused."
    yield CounterMetricFamily("flasky_logins_failed", meaning, value=counters.read(FAILED))
