"""What a database's server, or SQLite's log, counts while a process works; read before and after by another process."""

import sqlite3
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

PAGE = 4096 + 24  # bytes, with its head, in SQLite's log


def watch(url):
    kinds = {"sqlite": Log, "postgres": PostgresServer, "mysql": MariaDbServer}
    return kinds[urlsplit(url).scheme](url)


class Log:
    """SQLite's write-ahead log, which the process leaves growing."""

    def __init__(self, url):
        file = url.removeprefix("sqlite:///")
        self.path = Path(f"{file}-wal")
        self.connection = sqlite3.connect(file)  # the last one to close would remove the log

    def start(self):
        self.connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        self.before = self._size()

    def counts(self):
        grown = self._size() - self.before
        return [("WAL bytes", grown), ("pages written", grown // PAGE)], []

    def close(self):
        self.connection.close()

    def _size(self):
        return self.path.stat().st_size if self.path.exists() else 0


class PostgresServer:
    """Its statistics, and its log record by record if pg_walinspect is there: only that knows what an index gets."""

    def __init__(self, url):
        self.connection = psycopg.connect(url, autocommit=True)
        self.has_records = self._has_extension("pg_walinspect") and self._keeps_its_log()
        self.has_statements = self._has_extension("pg_stat_statements") and self._preloaded("pg_stat_statements")

    def _has_extension(self, name):
        try:
            self.connection.execute(f"CREATE EXTENSION IF NOT EXISTS {name}")
        except psycopg.Error:
            return False
        return True

    def _keeps_its_log(self):
        """Have the log kept until this session ends: a checkpoint would remove what has not been read yet."""
        try:
            slot = "SELECT pg_create_physical_replication_slot('flasky_' || pg_backend_pid(), true, true)"
            self.connection.execute(slot)
        except psycopg.Error:
            return False
        return True

    def _preloaded(self, name):
        return name in self.connection.execute("SHOW shared_preload_libraries").fetchone()[0]

    def start(self):
        if self.has_statements:
            self.connection.execute("SELECT pg_stat_statements_reset()")
        self.tables = self._tables()
        self.transactions = self._transactions()
        self.lsn = self.connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()[0]

    def counts(self):
        """Return what was counted, and lines that tell more. All sessions must have ended: they report late."""
        end = self.connection.execute("SELECT pg_current_wal_flush_lsn()").fetchone()[0]
        totals, lines = [], []
        if self.has_records:
            totals, lines = self._records(end)
        else:
            lines.append("pg_walinspect (PostgreSQL 15 and later) is not there: no bytes and no index writes.")
        self.connection.execute("SELECT pg_stat_clear_snapshot()")
        totals.append(("transactions", self._transactions() - self.transactions))
        for table, after in self._tables().items():
            changes = [new - old for new, old in zip(after, self.tables.get(table, [0] * 5), strict=True)]
            if any(changes):
                names = ("inserted", "updated", "of these HOT", "deleted", "dead rows left")
                lines.append(
                    f"{table}: " + ", ".join(f"{name} {{{n}}}" for name, n in zip(names, changes, strict=True))
                )
        if self.has_statements:
            lines += self._statements()
        else:
            lines.append("pg_stat_statements is not in shared_preload_libraries: no server time of each statement.")
        return totals, lines

    def close(self):
        self.connection.close()

    def _transactions(self):
        return self.connection.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()[0]

    def _tables(self):
        rows = self.connection.execute(
            "SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del, n_dead_tup FROM pg_stat_user_tables"
        )
        return {name: counts for name, *counts in rows}

    def _records(self, end):
        """Count this database's records, and those of its transactions that name no table."""
        database = self.connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()[
            0
        ]
        records = self.connection.execute(
            """WITH records AS MATERIALIZED (
                   SELECT xid, resource_manager AS manager, record_type AS kind, record_length AS length,
                          fpi_length AS images, substring(block_ref FROM 'rel \\d+/(\\d+)/\\d+')::oid AS database,
                          substring(block_ref FROM 'rel \\d+/\\d+/(\\d+)')::oid AS file
                   FROM pg_get_wal_records_info(%s, %s)),
               ours AS (SELECT DISTINCT xid FROM records WHERE database = %s AND xid <> '0'::xid)
               SELECT manager, kind, coalesce(relname, ''), coalesce(relkind::text, ''),
                      count(*), sum(length), sum(images)
               FROM records LEFT JOIN pg_class ON relfilenode = file
               WHERE database = %s OR (database IS NULL AND xid IN (SELECT xid FROM ours))
               GROUP BY 1, 2, 3, 4""",
            [self.lsn, end, database, database],
        ).fetchall()
        written, images, index_writes, commits = 0, 0, 0, 0
        by_index, by_kind = Counter(), Counter()
        for manager, kind, relation, relkind, count, length, image in records:
            written += length - image
            images += image
            by_kind[f"{manager} {kind}"] += count
            commits += count * (kind == "COMMIT")
            if relkind == "i" and kind.startswith("INSERT"):
                index_writes += count
                by_index[relation] += count
        totals = [("WAL bytes", written), ("bytes of page images", images), ("index writes", index_writes)]
        totals.append(("commits that wrote", commits))
        lines = ["index writes: " + ", ".join(f"{name} {{{count}}}" for name, count in by_index.most_common())]
        lines.append("log records: " + ", ".join(f"{kind} {{{count}}}" for kind, count in by_kind.most_common(14)))
        return totals, lines

    def _statements(self):
        rows = self.connection.execute(
            """SELECT calls, total_exec_time, wal_bytes, query FROM pg_stat_statements
               WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND query ~ '^(SELECT|INSERT|UPDATE|DELETE|WITH|COMMIT)' AND query !~ 'pg_(get_wal|stat_)'
               ORDER BY total_exec_time DESC LIMIT 15"""
        )
        return [
            f"server: {{{calls}}} times, {{{1000 * total:.0f}}} µs, {{{int(wal)}}} bytes of WAL: {beginning(query)}"
            for calls, total, wal, query in rows
        ]


def beginning(query):
    return " ".join(query.split())[:110]


class MariaDbServer:
    """The server's own counters, which others' work goes into as well."""

    NAMES = {
        "Com_select": "SELECT",
        "Com_insert": "INSERT",
        "Com_update": "UPDATE",
        "Com_commit": "COMMIT",
        "Com_begin": "BEGIN",
        "Innodb_os_log_written": "bytes of redo log",
        "Innodb_os_log_fsyncs": "log fsyncs",
        "Innodb_rows_inserted": "rows inserted",
        "Innodb_rows_updated": "rows updated",
        "Innodb_pages_written": "pages written",
    }

    def __init__(self, url):
        import MySQLdb

        parts = urlsplit(url)
        self.connection = MySQLdb.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=parts.username,
            password=parts.password or "",
            autocommit=True,
        )

    def start(self):
        self.before = self._status()

    def counts(self):
        after = self._status()
        totals = [(self.NAMES[name], after[name] - self.before[name]) for name in self.NAMES if name in after]
        return totals, ["Others' work on this server is counted as well."]

    def close(self):
        self.connection.close()

    def _status(self):
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS")
            return {name: int(value) for name, value in cursor.fetchall() if name in self.NAMES}
