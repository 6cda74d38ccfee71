"""The mail servers that the subjects talk to."""

import contextlib
import re
import shutil
import socket
import subprocess
import time

import trustme

from benchmarks.child import Child, Missing
from benchmarks.smtp_server import PASSWORD, USER

SECONDS_AWAY = 0.020  # there and back


class Relay:
    """A mail server on this machine; `settings` are what Flasky and its peers need to know of it."""

    def __init__(self, port):
        self.port = port
        self.settings = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(port)}

    def accepted(self):
        """Return how many mails it has accepted."""
        raise NotImplementedError

    def when_accepted(self, count):
        """Wait until it has accepted so many mails; return the time and their number, which may be some more."""
        deadline = time.monotonic() + 300
        while (accepted := self.accepted()) < count:
            if time.monotonic() > deadline:
                raise Missing(f"the relay accepted {accepted} mails, not {count}, within 300 s")
            time.sleep(0.005)
        return time.perf_counter(), accepted

    def turns(self):
        """Return how often clients have spoken after they had heard something, if the way is watched."""
        return 0

    def stop(self):
        pass


class SmtpSink(Relay):
    """Postfix' smtp-sink: faster than any client here."""

    def __init__(self, scratch):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        super().__init__(port)
        self.counters = scratch / f"smtp-sink-{port}"
        command = [smtp_sink(), "-u", "nobody", "-c", f"127.0.0.1:{port}", "512"]
        with self.counters.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise Missing(f"smtp-sink did not start: {self.counters.read_text()[-300:]}")

    def accepted(self):
        with self.counters.open("rb") as output:
            output.seek(max(0, self.counters.stat().st_size - 200))
            counts = re.findall(rb"mesg=(\d+)\r", output.read())
        return int(counts[-1]) if counts else 0

    def stop(self):
        self.process.kill()
        self.process.wait()


class OwnServer(Relay):
    def __init__(self, scratch, delay=0, certificate=None):
        self.child = Child("benchmarks.smtp_server", scratch)
        certificate = certificate and str(certificate)
        super().__init__(self.child.ask("start", delay=delay, certificate=certificate)["port"])

    def accepted(self):
        return self.child.ask("count")["accepted"]

    def turns(self):
        return self.child.ask("turns")["turns"]

    def accepted_at(self):
        """Return the monotonic time of each acceptance by Message-ID."""
        return self.child.ask("acceptances")["accepted_at"]

    def stop(self):
        self.child.stop()


class FarAway(OwnServer):
    """With STARTTLS and login, every round trip taking SECONDS_AWAY."""

    def __init__(self, scratch):
        authority = trustme.CA()
        trusted, certificate = scratch / "authority.pem", scratch / "relay.pem"
        authority.cert_pem.write_to_path(trusted)
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        super().__init__(scratch, certificate=certificate)
        self.proxy = Child("benchmarks.proxy", scratch)
        port = self.proxy.ask("start", port=int(self.settings["MAIL_PORT"]), delay=SECONDS_AWAY / 2)["port"]
        self.settings |= {"MAIL_PORT": str(port), "MAIL_USE_TLS": "True", "SSL_CERT_FILE": str(trusted)}
        self.settings |= {"MAIL_USERNAME": USER, "MAIL_PASSWORD": PASSWORD}

    def turns(self):
        return self.proxy.ask("turns")["turns"]

    def stop(self):
        self.proxy.stop()
        super().stop()


class Silent(Relay):
    """Connections are taken, by the kernel, and nobody ever says a word."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        super().__init__(self.socket.getsockname()[1])

    def stop(self):
        self.socket.close()


class Down(Relay):
    """Nothing listens, and nobody else can take the port meanwhile."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        super().__init__(self.socket.getsockname()[1])

    def stop(self):
        self.socket.close()


def smtp_sink():
    return shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def loopback(scratch):
    """Return a relay that is no bottleneck, or the nearest there is."""
    return SmtpSink(scratch) if smtp_sink() else OwnServer(scratch)
