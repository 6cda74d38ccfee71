"""Postfix with an instance of its own: one port for each thing that it may be told to be strict about."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.conftest import missing
from tests.foreign.servers.server import HOST, LOGIN, MailServer, Port

LOGINS = (LOGIN, ("ben@example.com", "only-for-this-test-too"))
DAEMONS = Path("/usr/lib/postfix/sbin")
SETTINGS = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/lib
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {host}
mydestination =
mynetworks =
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = regexp:{folder}/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
message_size_limit = 10240000
smtpd_tls_chain_files = {folder}/key.pem, {folder}/chain.pem
smtpd_tls_security_level = may
smtpd_sasl_local_domain = example.com
"""
SASL = """
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/sasldb
mech_list: PLAIN LOGIN CRAM-MD5
"""
FULL_NAMES = {
    "smtpd_helo_required": "yes",
    "smtpd_helo_restrictions": "reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname",
}
# What is not in here is Postfix's default.
PORTS = {
    "plain": {},
    "login": {
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_tls_security_level": "encrypt",
        "smtpd_client_restrictions": "permit_sasl_authenticated, reject",
    },
    "strict": {
        **FULL_NAMES,
        "smtpd_delay_reject": "no",
        "smtpd_data_restrictions": "reject_unauth_pipelining",
        "smtpd_forbid_unauth_pipelining": "yes",
        "strict_rfc821_envelopes": "yes",
    },
    "strict_at_rcpt": FULL_NAMES,
    "own_senders": {
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_sender_login_maps": "inline:{{ {{ ann@example.com = ann@example.com }} }}",
        "smtpd_sender_restrictions": "reject_sender_login_mismatch",
    },
    "greylisting": {
        "smtpd_recipient_restrictions": "check_policy_service inet:127.0.0.1:{postgrey}",
        "smtpd_error_sleep_time": "0",
    },
    "few_recipients": {"smtpd_recipient_limit": "2", "smtpd_recipient_overshoot_limit": "1"},
    "few_errors": {"smtpd_hard_error_limit": "2", "smtpd_soft_error_limit": "1", "smtpd_error_sleep_time": "0"},
    "few_connections": {"smtpd_client_connection_count_limit": "1"},
    "few_mails": {"smtpd_client_message_rate_limit": "2"},
    "full": {"queue_minfree": "1000000000000000"},
    "expired": {"smtpd_tls_chain_files": "{folder}/expired.pem"},
    "old": {"smtpd_discard_ehlo_keywords": "8bitmime, smtputf8, pipelining, size, chunking"},
}
# The services that smtpd needs to take a mail, and those that bring it into the maildir.
SERVICES = """
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(MailServer):
    name = "postfix"
    ports = tuple(PORTS)

    def __init__(self, certificate):
        for program in ("postfix", "postgrey", "saslpasswd2"):
            if not shutil.which(program):
                missing(f"{program} (which .ci/mail-servers brings)")
        super().__init__(certificate)
        self.postgrey = Port(self)

    def configure(self):
        names = {"folder": self.folder, "host": HOST, "postgrey": self.postgrey.port}
        shutil.chown(self.folder / "lib", "postfix")
        shutil.chown(self.folder / "mail", 65534)
        self.write("main.cf", SETTINGS.format(**names))
        self.write("master.cf", "".join(self._service(*port, names) for port in PORTS.items()) + SERVICES)
        self.write("mailboxes", "!/^nobody@/ box/\n")
        (self.folder / "sasl").mkdir()
        self.write("sasl/smtpd.conf", SASL.format(**names))
        for user, password in LOGINS:
            words = ["saslpasswd2", "-p", "-c", "-f", f"{self.folder}/sasldb", "-u", *reversed(user.split("@"))]
            subprocess.run(words, input=password, text=True, check=True)
        shutil.chown(self.folder / "sasldb", "postfix")
        (self.folder / "grey").mkdir()
        shutil.chown(self.folder / "grey", "postgrey")
        subprocess.run(["postfix", "-c", self.folder, "check"], check=True)  # which makes the folders of its queue

    def _service(self, name, options, names):
        """Return a port's lines in master.cf, with what differs there from main.cf."""
        said = [f"  -o {{ {option} = {value.format(**names)} }}\n" for option, value in options.items()]
        return f"127.0.0.1:{getattr(self, name).port} inet n - n - - smtpd\n" + "".join(said)

    def begin(self):
        self.greylister = self.begin_one(
            *["postgrey", f"--inet=127.0.0.1:{self.postgrey.port}", f"--dbdir={self.folder}/grey", "--delay=1"],
            *["--whitelist-clients=/dev/null", "--whitelist-recipients=/dev/null"],
        )
        # `postfix start` would look through all of its files each time, which takes seconds.
        self.process = self.begin_one(DAEMONS / "master", "-c", self.folder, "-d")

    def wait_for_its_children(self):
        self.greylister.terminate()
        self.greylister.wait(60)
        super().wait_for_its_children()

    def is_queue_empty(self):
        """Tell whether nothing waits that has been received whole: its file is executable then."""
        files = [path for name in ("incoming", "active") for path in (self.folder / "spool" / name).glob("*")]
        return not any(os.access(path, os.X_OK) for path in files)
