"""Store what all who deliver to a relay share: its rate, its connections, its outages."""

import uuid
from datetime import datetime, timedelta
from datetime import timezone as zones

from django.db import models
from django.db.models.functions import Now

from flasky.mail.conf import conf
from flasky.mail.models.leases import end_of_lease, is_over
from flasky.mail.models.one_database import InOneDatabase, write_transaction
from flasky.mail.runtime import clock

SAME_CROWD = 2  # s within which several refusals for too many connections count as one
CALM = 60  # s without such a refusal until one connection more is allowed
LONG_AGO = datetime(2000, 1, 1, tzinfo=zones.utc)


class RelayQuerySet(InOneDatabase["Relay"]):
    def free_at(self, server: str) -> tuple[datetime, datetime]:
        """Return the moment from which the next message may leave, and the moment now, both by the database's clock."""
        relay = self.filter(server=server[:255])
        while not (found := relay.values_list("free_at", Now()).first()):
            self.get_or_create(server=server[:255])
        return found

    def reserve(self, server: str, free_at: datetime, end: datetime) -> bool:
        """Move the moment from which the next message may leave; return False if somebody has moved it meanwhile."""
        return bool(self.filter(server=server[:255], free_at=free_at).update(free_at=end))

    def connections(self, server: str, limit: int) -> int:
        """Return how many connections may be open now."""
        lowered = self.filter(server=server[:255]).values_list("allowed", flat=True).first()
        return min(limit, lowered or limit)

    def lowered(self, limit: int) -> "RelayQuerySet":
        """Return those to which fewer connections may be open; not those of a day ago, whose place another may have."""
        lately = Now() - timedelta(days=1)
        return self.filter(allowed__lt=limit, allowed_since__gt=lately).order_by("server")

    def allow_fewer(self, server: str, limit: int, in_use: int) -> tuple[int, int]:
        """Halve the connections that may be open; return how many it were and are.

        Those who meet the same crowd, within seconds, halve it once.
        """
        relay, _ = self.get_or_create(server=server[:255])
        before = min(limit, relay.allowed or limit)
        after = max(1, min(before, in_use + 1) // 2)
        unchanged = self.filter(_unchanged_for(SAME_CROWD), pk=relay.pk, allowed=relay.allowed)
        return before, after if unchanged.update(allowed=after, allowed_since=Now()) else before

    def allow_one_more(self, server: str, limit: int) -> None:
        """Do so if a while has passed since the last change."""
        calm = self.filter(_unchanged_for(CALM), server=server[:255], allowed__lt=limit)
        calm.update(allowed=models.F("allowed") + 1, allowed_since=Now())


def _unchanged_for(seconds: int) -> models.Q:
    """Return the condition; a change that is still to come was made by a clock that was ahead."""
    return models.Q(allowed_since__lt=Now() - timedelta(seconds=seconds)) | models.Q(allowed_since__gt=Now())


class Relay(models.Model):
    """What all who deliver to a relay share; there is none without a limit."""

    server = models.CharField(max_length=255, unique=True)
    # The next message may leave then. Never just Now(): what SQLite writes for that equals nothing that we could name.
    free_at = models.DateTimeField(default=LONG_AGO)
    allowed = models.PositiveSmallIntegerField(null=True, blank=True)  # connections; none: as many as the setting says
    allowed_since = models.DateTimeField(default=LONG_AGO)

    objects = RelayQuerySet.as_manager()

    def __str__(self) -> str:
        return self.server


class ConnectionSlotQuerySet(InOneDatabase["ConnectionSlot"]):
    def take(self, server: str, allowed: int, token: uuid.UUID, holder: str) -> bool:
        """Take one of the slots that are allowed, by the database's clock; return False if all are taken."""
        slots = self.filter(server=server[:255], number__lt=allowed)
        free = slots.filter(is_over()).order_by("number")
        while not slots._take_one(list(free.values_list("pk", flat=True)), token, holder):
            if slots.count() >= allowed:
                return False
            missing = [ConnectionSlot(server=server[:255], number=number) for number in range(allowed)]
            ConnectionSlot.objects.using(self.db).bulk_create(missing, ignore_conflicts=True)
        return True

    def _take_one(self, keys: list[int], token: uuid.UUID, holder: str) -> bool:
        changes = {"token": token, "holder": holder[:255], "lease_expires_at": end_of_lease()}
        return any(self.filter(is_over(), pk=key).update(**changes) for key in keys)

    def leave(self, token: uuid.UUID) -> None:
        self.filter(token=token).update(token=None, lease_expires_at=LONG_AGO)

    def renew(self, tokens: set[uuid.UUID]) -> None:
        self.filter(token__in=tokens).update(lease_expires_at=end_of_lease())

    def numbers(self, tokens: set[uuid.UUID]) -> dict[uuid.UUID | None, int]:
        return dict(self.filter(token__in=tokens).values_list("token", "number"))

    def in_use(self, server: str) -> int:
        return self.filter(server=server[:255], lease_expires_at__gte=Now()).count()


class ConnectionSlot(models.Model):
    """A connection that may be open to a relay; it is free when its lease is over."""

    server = models.CharField(max_length=255)
    number = models.PositiveSmallIntegerField()
    token = models.UUIDField(null=True, blank=True)
    holder = models.CharField(max_length=255, blank=True)  # host, process
    lease_expires_at = models.DateTimeField(default=LONG_AGO)

    objects = ConnectionSlotQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "number"], name="flasky_mail_one_slot")]

    def __str__(self) -> str:
        return f"{self.server}, {self.number}"


class RelayOutageQuerySet(InOneDatabase["RelayOutage"]):
    def note(self, server: str, reason: str, next_probe_at: datetime, sender: str = "") -> bool:
        """Return whether it is new."""
        changes = {"reason": reason, "next_probe_at": next_probe_at}
        with write_transaction(self.db):
            return self.update_or_create(server=server[:255], sender=sender, defaults=changes)[1]

    def ask_now(self) -> None:
        """Let each relay that takes nobody's mail be probed at the next look of whoever delivers to it."""
        now = clock.now()
        self.filter(sender="", next_probe_at__gt=now).update(next_probe_at=now)

    def passed_probe(self, server: str) -> datetime | None:
        """Return for when the relay's next probe was planned, or asked, if that time has come."""
        passed = self.filter(server=server[:255], sender="", next_probe_at__lte=clock.now())
        return passed.values_list("next_probe_at", flat=True).first()

    def clear(self, server: str, sender: str = "") -> None:
        self.filter(server=server[:255], sender=sender).delete()

    def current(self) -> "RelayOutageQuerySet":
        """Return what somebody still probes; whoever noted the rest has died, or has another relay by now."""
        limit = clock.now() - timedelta(seconds=conf.MAIL_OVERDUE)
        return self.filter(next_probe_at__gt=limit).order_by("since")

    def for_all(self) -> "RelayOutageQuerySet":
        """Return those that keep everybody's mail waiting."""
        return self.current().filter(sender="")


class RelayOutage(models.Model):
    """A relay that takes no mail at the moment, and why."""

    server = models.CharField(max_length=255)
    sender = models.CharField(max_length=320, blank=True)  # whose mail alone it does not take; none: everybody's
    reason = models.TextField()  # English, as in the log: mostly what the relay said
    since = models.DateTimeField(default=clock.now)
    next_probe_at = models.DateTimeField()

    objects = RelayOutageQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "sender"], name="flasky_mail_one_outage")]

    def __str__(self) -> str:
        return (
            f"Mail has waited since {self.since:%Y-%m-%d %H:%M:%S %Z}: {self.reason} "
            f"Next probe at {self.next_probe_at:%H:%M:%S %Z}."
        )
