"""An outbox with the mail of a month: how it is filled, and what a look at it asks the database."""

import json
import random
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import islice
from urllib.parse import quote

from django.contrib.auth import get_user_model
from django.core.management.color import no_style
from django.db import connection, transaction
from django.test import Client, override_settings

from benchmarks import mails
from flasky.mail import send_email
from flasky.mail.models import Attempt, FurtherRecipient, HourlyCount, OutboxMessage, State
from flasky.mail.web.search import SPAN

PERSON = "Looker"
DAYS = 30
TO = "to-whom@example.com"  # in the original; each copy has its own
BATCH = 5000
DUPLICATE = "possible duplicate"
IN_A_MILLION = {State.FAILED: 1000, State.QUEUED: 2000, State.HELD: 50, State.CANCELLED: 50, DUPLICATE: 200}
REPLIES = {
    State.SENT: "250 2.0.0 Ok: queued as 4F1C2{:X}",
    State.FAILED: "550 5.1.1 <{:X}>: Recipient address rejected: User unknown",
    State.QUEUED: "451 4.7.1 Greylisted {:X}, please try again later",
}
# kind, subject, source, in a thousand
KINDS = (
    ("mail/new_user", "[Flasky] New User", "index", 700),
    ("mail/welcome", "[Flasky] Welcome to Flasky", "index", 250),
    ("", "[Flasky] ERROR (EXTERNAL IP): Internal Server Error: /", "", 48),
    ("mail/reminder", "[Flasky] Your weekly summary", "admin", 2),
)


def fill(count):
    """Store `count` messages of the last 30 days, made from a real one: half of them went to one address."""
    started_at = time.perf_counter()
    send_email(TO, "New User", "mail/new_user", mails.new_user(), user=mails.new_user())
    original = OutboxMessage.objects.latest("pk")
    original.delete()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA cache_size=-2000000")  # KiB
    archive = Archive(original, count)
    rows = archive.rows()
    while batch := list(islice(rows, BATCH)):
        with transaction.atomic():
            insert(OutboxMessage, [message for message, _, _ in batch])
            insert(Attempt, [attempt for _, attempt, _ in batch])
            insert(FurtherRecipient, [one for _, _, further in batch for one in further])
    insert(HourlyCount, archive.hourly_counts())
    settle()
    return {"seconds_to_fill": time.perf_counter() - started_at}


class Archive:
    def __init__(self, original, count):
        self.original, self.count = original, count
        self.now = datetime.now(timezone.utc)
        self.chance = random.Random(5)
        self.ends = dict(self._ends())
        self.ended = Counter()

    def _ends(self):
        """Yield the numbers of those that were not simply sent; what waits is of the last days."""
        for end, in_a_million in IN_A_MILLION.items():
            first = self.count * 9 // 10 if end in (State.QUEUED, State.HELD) else 1
            some = max(5, in_a_million * self.count // 1_000_000)
            yield from ((number, end) for number in self.chance.sample(range(first, self.count), some))

    def rows(self):
        """Yield each message with its attempt and its further recipients, in the order in which they came."""
        return (self._rows(number) for number in range(1, self.count + 1))

    def _rows(self, number):
        end = self.ends.get(number, State.SENT)
        state = State.SENT if end == DUPLICATE else end
        reply = REPLIES.get(state, "").format(number)
        stored_at = self.now - timedelta(days=DAYS) * (self.count - number + self.chance.random()) / self.count
        tried_at = stored_at + timedelta(seconds=self.chance.random())
        recipients = list(self._recipients(number, state))
        [(kind, subject, source, _)] = self.chance.choices(KINDS, [kind[-1] for kind in KINDS])
        message_id = f"<{number}.{self.chance.randrange(10**15)}@web-1.example.com>"
        ended = state in (State.SENT, State.FAILED)
        if ended:
            self.ended[tried_at.replace(minute=0, second=0, microsecond=0), state] += 1
        message = {
            "id": number,
            "state": str(state),
            "created_at": stored_at,
            "queued_at": stored_at,
            "next_attempt_at": self._later() if state == State.QUEUED else stored_at,
            "priority": "normal",
            "finished_at": tried_at if ended or state == State.CANCELLED else None,
            "claim_token": None,
            "claimed_by": "",
            "lease_expires_at": None,
            "lost_claims": 0,
            "unknown_ends": 0,
            "attempt_count": int(bool(reply)),
            "last_reply": reply,
            "possible_duplicate": end == DUPLICATE,
            "message_id": message_id,
            "from_header": self.original.from_header,
            "subject": f"{subject} zanzibar" if number == self.count // 2 else subject,
            "envelope_sender": self.original.envelope_sender,
            "recipients": json.dumps(recipients),
            "outcomes": json.dumps(
                {address: {"accepted": state == State.SENT, "reply": reply} for address in recipients}
            )
            if ended
            else "{}",
            "content": self._content(message_id, recipients, subject),
            "provider_options": "{}",
            "first_recipient": recipients[0],
            "kind": kind,
            "cause": self._cause(),
            "source": source,
            "actor": "",
            "request_id": "",
        }
        further = [{"message_id": number, "address": each, "created_at": stored_at} for each in recipients[1:]]
        attempt = {
            "message_id": number,
            "started_at": tried_at,
            "seconds": 0.1,
            "outcome": {State.FAILED: "refused", State.QUEUED: "postponed"}.get(state, "accepted"),
            "reply": reply,
            "server": "mail.example.com:25",
            "secured": True,
            "logged_in": False,
            "worker": "web-1 4711 mail_2",
            "claim_token": None,
        }
        return message, attempt, further

    def _recipients(self, number, state):
        person = self.chance.randrange(self.count // 5)
        if state == State.QUEUED:
            yield f"ann.{person}@slow{number % 40}.example.net"
        elif number % 2:
            yield "admin@example.com"
            if number % 8 == 1:
                yield "deputy@example.com"
        else:
            yield f"ann.{person}@example.net"
        if self.chance.random() < 0.05:
            yield f"bob.{person}@example.org"

    def _later(self):
        return self.now + timedelta(hours=1 + 24 * self.chance.random())

    def _cause(self):
        """One user is what 20,000 in a million are about."""
        return f"accounts.user:{1 if self.chance.random() < 0.02 else self.chance.randrange(2, self.count)}"

    def _content(self, message_id, recipients, subject):
        content = bytes(self.original.content)
        for old, new in (
            (TO, ", ".join(recipients)),
            (self.original.message_id, message_id),
            (f"Subject: {self.original.subject}", f"Subject: {subject}"),
        ):
            content = content.replace(old.encode(), new.encode(), 1)
        return content

    def hourly_counts(self):
        """Return the counts in four rows an hour, as four processes would have written them."""
        return [
            {"hour": hour, "slot": slot}
            | {name: (self.ended[hour, state] + slot) // 4 for name, state in (("sent", "sent"), ("failed", "failed"))}
            for hour in sorted({hour for hour, _ in self.ended})
            for slot in range(4)
        ]


def insert(model, rows):
    """Write rows of values that the database takes as they are, but for times."""
    if not rows:
        return
    table, columns = model._meta.db_table, ", ".join(rows[0])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(list(row.values()))
            return
        places = ", ".join(["%s"] * len(rows[0]))
        times = [name for name, value in rows[-1].items() if name.endswith("_at") or name == "hour"]
        for row in rows:
            for name in times:
                row[name] = connection.ops.adapt_datetimefield_value(row[name])
        cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", [list(row.values()) for row in rows])


def settle():
    """Do now what PostgreSQL's autovacuum does in life; nobody ever analyses Flasky's SQLite."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [OutboxMessage]):
            cursor.execute(statement)
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def example():
    """Return what the URLs of pages name, and the cookie of a person who may see them."""
    newest = OutboxMessage.objects.order_by("-pk")
    recent = newest.filter(state=State.SENT, first_recipient__startswith="ann.").first()
    zanzibar = newest.get(pk=newest.first().pk // 2)
    some_days_ago = datetime.now(timezone.utc) - timedelta(days=10)
    return {
        "pk": recent.pk,
        "address": recent.first_recipient,
        "cause": recent.cause,
        "message_id": quote(recent.message_id),
        "window": quote(newest[SPAN].created_at.isoformat()),
        "found": quote((zanzibar.created_at + timedelta(seconds=60)).isoformat()),
        "month": f"{some_days_ago:%Y-%m}",
        "day": f"{some_days_ago:%Y-%m-%d}",
        "hour": f"{some_days_ago:%Y-%m-%dT%H}",
        "cookie": visitor().cookies["sessionid"].value,
    }


def visitor():
    people = get_user_model().objects
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(people.filter(username=PERSON).first() or people.create_superuser(PERSON))
    return client


@override_settings(DEBUG=True)
def slow_queries(url, milliseconds):
    """Return the queries of a page that take longer, with their times in ms and the lines of their plans."""
    noted = []

    def note(execute, sql, params, many, context):
        noted.append((sql, params))
        return execute(sql, params, many, context)

    client = visitor()
    with connection.execute_wrapper(note):
        client.get(url)
    timed = [(duration(*query), *query) for query in noted]
    return {"slow": [(took, sql, plan(sql, params)) for took, sql, params in timed if took > milliseconds]}


def duration(sql, params):
    started_at = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        cursor.fetchall()
    return 1000 * (time.perf_counter() - started_at)


def plan(sql, params):
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF)"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}", params)
        return [str(row[-1]) for row in cursor.fetchall()]
