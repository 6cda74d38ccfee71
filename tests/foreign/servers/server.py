"""What every real mail server has in common: a folder and ports of its own, and a maildir for example.com."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from email import message_from_bytes
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path

import pytest

from tests.conftest import missing, wait_until
from tests.docs.pages import ROOT
from tests.own_servers import answers, free_port

HOST = "mail.example.com"
LOGIN = ("ann@example.com", "only-for-this-test")
PACKAGES = ROOT / ".mail-servers"  # where .ci/mail-servers unpacks those that cannot be installed beside each other


class Port:
    """One of a server's ports; `use_relay` takes it for a server."""

    def __init__(self, server):
        self.server, self.port = server, free_port()


class MailServer:
    """A server that takes mail for example.com without a login, and for everybody with one.

    It does not know nobody@example.com. `plain` offers STARTTLS, `login` wants it and a login.
    """

    name = ""
    ports = ("plain", "login")
    speaks_tls = True

    def __init__(self, certificate):
        if os.geteuid() != 0:
            missing("root (as whom mail servers start)")
        # Not below pytest's own folder, which nobody but its user may enter.
        self.folder = Path(tempfile.mkdtemp(prefix=f"flasky-{self.name}-"))
        self.folder.chmod(0o755)
        self.maildir, self._headers = self.folder / "mail" / "box", {}
        for name in ("mail", "spool", "run", "lib"):
            (self.folder / name).mkdir()
        self.key, self.chain = self.folder / "key.pem", self.folder / "chain.pem"
        self.write("key.pem", certificate.private_key_pem.bytes().decode()).chmod(0o600)
        self.write("chain.pem", "".join(pem.bytes().decode() for pem in certificate.cert_chain_pems))
        for name in self.ports:
            setattr(self, name, Port(self))

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def __enter__(self):
        self.configure()
        try:
            self.start()
        except BaseException:
            self.crash()
            raise
        return self

    def __exit__(self, *error):
        self.stop()
        # Those that deliver to a mailbox outlive the server: until they are gone, there may be another file.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        wait_until(self._is_removed)

    def _is_removed(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()

    def start(self):
        self.begin()
        try:
            wait_until(self.greets)
        except AssertionError:
            pytest.fail(f"{self.name} does not greet; it says: {(self.folder / 'output').read_text()}")

    def begin_one(self, *command):
        """Start a process that leads a group of its own: Postfix ends its group when it ends."""
        with open(self.folder / "output", "ab") as output:
            streams = {"stdout": output, "stderr": output, "stdin": subprocess.DEVNULL}
            return subprocess.Popen([str(word) for word in command], start_new_session=True, **streams)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.wait_for_its_children()

    def crash(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        self.wait_for_its_children()

    def wait_for_its_children(self):
        wait_until(lambda: not answers("127.0.0.1", self.plain.port))

    def greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.plain.port), timeout=5) as connection:
                return connection.recv(100).startswith(b"220")
        except OSError:
            return False

    def restart(self):
        self.stop()
        self.start()

    def copies(self, messages):
        """Return the copies of each of these messages that the server has accepted: by Message-ID, a file of each.

        What a server accepted once it may deliver more than once, when it was stopped or there are many recipients; it
        says so with the same Received.
        """
        for path in self.maildir.glob("new/*"):
            if path not in self._headers:
                with path.open("rb") as file:
                    headers = BytesHeaderParser().parse(file)
                self._headers[path] = (headers["Message-ID"], headers["Received"])
        accepted = {message.message_id: {} for message in messages}
        for path, (message_id, received) in self._headers.items():
            if message_id in accepted:
                accepted[message_id][received] = path
        return {message_id: list(copies.values()) for message_id, copies in accepted.items()}

    def wait_for(self, messages):
        """Return their copies once there is one of each and nothing is left in the server's queue."""
        wait_until(lambda: all(self.copies(messages).values()), 60)
        wait_until(self.is_queue_empty)
        return self.copies(messages)

    def the_copy_of(self, message):
        """Return the mail that came, once it is there."""
        [[path]] = self.wait_for([message]).values()
        return message_from_bytes(path.read_bytes(), policy=default)


class UnpackedServer(MailServer):
    """A server from a package that is not installed but unpacked, and that finds its own folders in fixed places."""

    package = ""

    def __init__(self, certificate):
        self.unpacked = PACKAGES / self.package / "usr"
        if not self.unpacked.exists():
            missing(f"{self.name} (which .ci/mail-servers brings)")
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            missing("the right to mount (which unshare needs)")
        super().__init__(certificate)

    def begin_in_own_root(self, users, places, *command):
        """Start the command so that it sees these users, and folders of the server's own in place of the machine's."""
        passwd = "".join(f"{user}:x:{uid}:{uid}::/:/bin/false\n" for user, uid in users.items())
        group = "".join(f"{user}:x:{uid}:\n" for user, uid in users.items())
        places |= {"/etc/passwd": self.write("passwd", Path("/etc/passwd").read_text() + passwd)}
        places |= {"/etc/group": self.write("group", Path("/etc/group").read_text() + group)}
        mounts = " && ".join(f"mount --bind {own} {place}" for place, own in places.items())
        self.process = self.begin_one("unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh", *command)
