"""Answer Prometheus with the stats of the outbox, and what other apps add, at /metrics."""

import logging
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from django.core.exceptions import MiddlewareNotUsed
from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string

from flasky.mail.conf import conf
from flasky.mail.runtime import deadline
from flasky.mail.status.stats import OUTCOMES, Stats, read_stats

if find_spec("prometheus_client"):  # it is optional
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
    from prometheus_client.exposition import choose_encoder

logger = logging.getLogger(__name__)


def _read_all() -> list[Any]:
    others = [import_string(path) for path in conf.MAIL_METRICS_ALSO]
    return [*families(read_stats()), *(family for function in others for family in function())]


_look = deadline.SingleFlight(_read_all)


def metrics(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer Prometheus before the middleware that looks at hosts and TLS: it asks by IP address, without TLS."""
    if not (conf.MAIL_METRICS_TOKEN and find_spec("prometheus_client")):
        raise MiddlewareNotUsed

    def middleware(request: HttpRequest) -> HttpResponse:
        return _answer(request) if request.path == "/metrics" else get_response(request)

    return middleware


def _answer(request: HttpRequest) -> HttpResponse:
    if not constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {conf.MAIL_METRICS_TOKEN}"):
        headers = {"WWW-Authenticate": "Bearer"}
        return HttpResponse("Send MAIL_METRICS_TOKEN as bearer token.\n", "text/plain", status=401, headers=headers)
    try:
        registry = CollectorRegistry()
        registry.register(_Read(_look.answer()))
    except (DatabaseFailure, deadline.DatabaseIsSilent, deadline.NoThread) as error:
        logger.warning("The metrics could not be read: %s", error or "the database is silent.")
        return HttpResponse("The database cannot be read.\n", "text/plain", status=503)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type, headers={"Cache-Control": "no-store"})


class _Read:
    """What was read, as prometheus_client collects it."""

    def __init__(self, found: list[Any]) -> None:
        self.found = found

    def collect(self) -> list[Any]:
        return self.found


def families(found: Stats) -> Iterator[Any]:
    sums = found.sums
    yield _counter("stored", "Messages stored, copies too: the highest number, even if rolled back.", found.stored)
    yield _counter("accepted", "Messages that ended as sent.", sums["sent"])
    yield _counter("failed", "Messages that ended as failed: refused for good, or given up.", sums["failed"])
    yield _counter("retries", "Attempts that were not the first of their message.", sums["retries"])
    attempts = CounterMetricFamily("flasky_mail_attempts", "Attempts by what came of them.", labels=["outcome"])
    for outcome in OUTCOMES:
        attempts.add_metric([outcome], sums[outcome])
    yield attempts
    yield SummaryMetricFamily(
        "flasky_mail_acceptance_seconds",
        "Time from being stored, or queued again by a person, to the acceptance.",
        count_value=sums["sent"],
        sum_value=sums["waited_ms"] / 1000,
    )
    yield _by_state("messages", "Messages that are not finished; counts end at 100,000.", found.depth)
    yield _by_state("oldest_seconds", "Longest wait of one of them since it could first leave; 0 without.", found.age)
    yield _gauge("due_messages", "Messages that could be delivered now; the count ends at 100,000.", found.due)
    yield _gauge("overdue_seconds", "Time since the first of them became due; 0 without any.", found.overdue)
    yield _gauge("in_flight_attempts", "Claims whose holders talk to the relay, one attempt each.", found.in_flight)
    yield _gauge("deliverers", "Processes that deliver and have lately given a sign of life.", found.processes)
    yield _gauge("deliverers_stuck", "Those of them that have work and get nowhere.", found.stuck)
    yield _gauge("deliverer_threads", "Their threads.", found.threads)
    yield _gauge("relays_away", "Relays that take no mail at the moment.", found.relays_away)
    clocks = GaugeMetricFamily(
        "flasky_mail_clock_ahead_seconds", "How far a host's clock is ahead of the database's.", labels=["host"]
    )
    for host, seconds in found.clocks.items():
        clocks.add_metric([host], seconds)
    yield clocks
    yield _gauge(
        "over_budget_messages", "Messages that the mail budget holds; the count ends at 100,000.", found.over_budget
    )
    yield _gauge("gathering_messages", "Messages that wait for a digest; the count ends at 100,000.", found.gathering)


def _counter(name: str, meaning: str, value: int) -> Any:
    return CounterMetricFamily(f"flasky_mail_{name}", meaning, value=value)


def _gauge(name: str, meaning: str, value: float) -> Any:
    return GaugeMetricFamily(f"flasky_mail_{name}", meaning, value=value)


def _by_state(name: str, meaning: str, values: dict[str, Any]) -> Any:
    family = GaugeMetricFamily(f"flasky_mail_{name}", meaning, labels=["state"])
    for state, value in values.items():
        family.add_metric([state], value)
    return family
