"""OpenSMTPD, whose places are fixed: it sees folders of its own there."""

import shutil
import subprocess

from tests.foreign.servers.server import HOST, LOGIN, UnpackedServer

USERS = {"opensmtpd": 64011, "opensmtpq": 64012, "box": 64013}
PLACES = {"/var/spool": "spool", "/var/lib": "lib", "/run": "run"}
CONFIGURATION = """
pki {host} cert "{folder}/chain.pem"
pki {host} key "{folder}/key.pem"
table logins file:{folder}/logins
table users {{ "@" = "box" }}
table unknown {{ "nobody@example.com" }}
smtp max-message-size 10M
listen on 127.0.0.1 port {plain} tls pki {host} hostname {host}
listen on 127.0.0.1 port {login} tls-require pki {host} auth <logins> hostname {host}
action "box" maildir "{folder}/mail/box" virtual <users>
match from any for rcpt-to <unknown> reject
match from any for domain "example.com" action "box"
match auth from any for any action "box"
"""


class OpenSMTPD(UnpackedServer):
    name = "opensmtpd"
    package = "opensmtpd"
    speaks_tls = False  # Debian 12's offers it, and fails with OpenSSL 3 (github.com/OpenSMTPD/OpenSMTPD/issues/1171)

    def configure(self):
        user, password = LOGIN
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", password], capture_output=True, text=True, check=True
        ).stdout
        self.write("logins", f"{user}\t{hashed}")
        ports = {"plain": self.plain.port, "login": self.login.port}
        self.write("smtpd.conf", CONFIGURATION.format(folder=self.folder, host=HOST, **ports))
        (self.folder / "lib" / "opensmtpd" / "empty").mkdir(parents=True)
        (self.folder / "spool" / "smtpd").mkdir()
        (self.folder / "spool" / "smtpd").chmod(0o711)
        shutil.chown(self.folder / "mail", 64013, 64013)

    def begin(self):
        own = {place: self.folder / name for place, name in PLACES.items()} | {
            "/usr/libexec": self.unpacked / "libexec"
        }
        daemon = [self.unpacked / "sbin" / "smtpd", "-d", "-f", self.folder / "smtpd.conf"]
        self.begin_in_own_root(USERS, own, *daemon)

    def is_queue_empty(self):
        return not any(path.is_file() for path in (self.folder / "spool" / "smtpd" / "queue").rglob("*"))
