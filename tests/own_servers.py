"""Servers of a test's own, which it may stop, kill and start again: Redis and PostgreSQL."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from glob import glob
from importlib.util import find_spec
from itertools import count

from tests.conftest import missing, wait_until

# Below those that the system gives to whoever wants any, so that nobody gets one of these before its server is there.
_ports = count(10_000 + os.getpid() * 997 % 20_000)  # other processes of the tests begin elsewhere


def free_port(host="127.0.0.1"):
    """Return a port that nobody listens on, and another one each time: a server may need several before it starts."""
    for port in _ports:
        with contextlib.suppress(OSError), socket.create_server((host, port)):
            return port


def answers(host, port):
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


class OwnRedis:
    def __init__(self, folder, host="127.0.0.1"):
        if not shutil.which("redis-server"):
            missing("redis-server")
        self.folder, self.host, self.port = folder, host, free_port(host)

    @property
    def url(self):
        return f"redis://{self.host}:{self.port}/0"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()

    def start(self):
        where = ["--bind", self.host, "--port", str(self.port), "--dir", str(self.folder), "--save", ""]
        command = ["redis-server", *where, "--protected-mode", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(lambda: answers(self.host, self.port))

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)


# As docs/guarantee.md advises: a host that is cut off in a transaction would keep its locks for hours.
NOTICING_DEAD_CLIENTS = {
    "tcp_keepalives_idle": "1",  # s
    "tcp_keepalives_interval": "1",  # s
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "3000",  # ms
}


@contextmanager
def small_disk(folder, megabytes):
    """Give a disk in memory that is mounted at the folder, and a function that fills it up or makes room again."""
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(["mount", *options], stderr=subprocess.DEVNULL).returncode:
        missing("the right to mount a disk in memory (root)")
    filler = os.path.join(folder, "filler")

    def fill(is_full=True):
        if not is_full:
            os.unlink(filler)
            return
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass

    try:
        yield fill
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class OwnPostgresql:
    """A cluster in a folder of its own. PostgreSQL does not run as root, so root lends it to the user postgres."""

    def __init__(self, host="127.0.0.1", folder=None):
        if find_spec("psycopg") is None:
            missing("psycopg (requirements-databases.txt)")
        found = sorted(glob("/usr/lib/postgresql/*/bin")) or [os.path.dirname(shutil.which("initdb") or "")]
        if not os.path.exists(os.path.join(found[-1], "initdb")):
            missing("a PostgreSQL server (initdb, pg_ctl)")
        self.bin, self.host, self.port = found[-1], host, free_port(host)
        # Not below pytest's own folder, which nobody but its user may enter.
        self.data, self.as_user = tempfile.mkdtemp(prefix="flasky-postgresql-", dir=folder), []
        if os.geteuid() == 0:
            self.as_user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(self.data, "postgres")

    def url(self, database="postgres", host="127.0.0.1"):
        return f"postgres://postgres@{host}:{self.port}/{database}"

    def connect(self, database="postgres"):
        """Return a connection of the test's own, which no link can cut."""
        import psycopg

        return psycopg.connect(self.url(database), autocommit=True)

    def ask(self, sql, *values, database="postgres"):
        with self.connect(database) as connection:
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def only_read(self, is_so):
        """Take no write from now on, in the connections that are open too, or take them again."""
        self.ask(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if is_so else 'off'}")
        self.ask("SELECT pg_reload_conf()")
        wait_until(lambda: self.ask("SHOW transaction_read_only") == [("on" if is_so else "off",)])

    def log(self):
        with open(os.path.join(self.data, "log")) as log:
            return log.read()

    def __enter__(self):
        self._run("initdb", "--username=postgres", "--auth=trust", "--no-sync", "--pgdata", self.data)
        with open(os.path.join(self.data, "pg_hba.conf"), "a") as hba:
            hba.write("host all all samenet trust\n")
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()
        shutil.rmtree(self.data)

    def start(self):
        settings = NOTICING_DEAD_CLIENTS | {"listen_addresses": self.host, "fsync": "off"}
        options = f"-p {self.port} -k {self.data} " + " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._run("pg_ctl", "--pgdata", self.data, "--wait", "--log", f"{self.data}/log", "-o", options, "start")

    def stop(self):
        """Stop it as a power cut would."""
        self._run("pg_ctl", "--pgdata", self.data, "--wait", "--mode=immediate", "stop")

    def _run(self, name, *arguments):
        command = [*self.as_user, os.path.join(self.bin, name), *arguments]
        subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL, cwd="/")
