"""Limit how often passwords are guessed, by name and by address, before one is hashed; log each that was wrong.

Each attempt is counted first, and uncounted if it was right: so of many at once no more are hashed than the limits say.
A name that has lately been logged in from an address is counted there by itself, so that whoever guesses elsewhere
does not lock its owner out.
"""

import logging
from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest, HttpResponseBase

from accounts.names import normalize_name
from flasky.guard import counters
from flasky.guard.clients import network
from flasky.guard.limits import Limit, TooMany, count, give_back, is_first, take

REMEMBERED = 30 * 24 * 3600  # s for which an address is known to be that of a name's owner
FAILED = "log-ins that failed"  # for accounts/metrics.py

logger = logging.getLogger(__name__)


class LimitedBackend(ModelBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **others: Any
    ) -> Any:
        """Return the user whose password it is; raise TooMany instead of looking once there were too many guesses."""
        if username is None or password is None:
            return None
        where = network(request) if request else ""
        limits = limits_of(username, where)
        try:
            take(*limits)
        except TooMany as refusal:
            _log_refusal(username, where, refusal)
            raise
        user = super().authenticate(request, username, password, **others)
        if user is None:
            counters.add(FAILED)
            _log_failure(username, where, limits)
            return None
        give_back(*limits)
        with suppress(TooMany):  # it is known already
            take(_known(username, where))
        return user

    async def aauthenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **others: Any
    ) -> Any:
        return await sync_to_async(self.authenticate)(request, username, password, **others)


def limits_of(name: str, where: str) -> list[Limit]:
    """Return the limits that a guess counts for."""
    seconds = settings.LOGIN_PERIOD
    by_name = Limit("log-ins by name", normalize_name(name), settings.LOGINS_PER_NAME, seconds)
    if where and count(_known(name, where)):
        by_name = by_name._replace(name="log-ins of the owner", whom=f"{where} {by_name.whom}")
    return [by_name, Limit("log-ins by address", where, settings.LOGINS_PER_ADDRESS if where else 0, seconds)]


def password_change(request: HttpRequest) -> HttpResponseBase:
    """Show the admin's page, whose first field could be guessed too by whoever has somebody's session."""
    if request.method == "POST" and request.user.is_authenticated:
        whom = str(request.user.pk)
        take(Limit("changes of a password", whom, settings.LOGINS_PER_NAME, settings.LOGIN_PERIOD))
    return admin.site.password_change(request)


def _known(name: str, where: str) -> Limit:
    return Limit("address of a name's owner", f"{where} {normalize_name(name)}", 1, REMEMBERED)


def _log_failure(name: str, where: str, limits: list[Limit]) -> None:
    counts = [count(limit) for limit in limits]
    logger.warning(
        "A log-in as %s from %s failed: number %s for the name, %s from there.", *_masked(name, where), *counts
    )


def _log_refusal(name: str, where: str, refusal: TooMany) -> None:
    if is_first(refusal):
        logger.warning("Log-ins as %s from %s are refused: %s.", *_masked(name, where), refusal)


def _masked(name: str, where: str) -> tuple[str, str]:
    """Return the name's first letter only: people type their password there by mistake."""
    return ascii(f"{name[:1]}…"), where or "this machine"
