"""Exim, which wants its clients to be in step with it."""

import shutil

from tests.foreign.servers.server import HOST, LOGIN, UnpackedServer

UID = 64001  # not root: deliveries keep the user
CONFIGURATION = """
primary_hostname = {host}
exim_user = exim
exim_group = exim
exim_path = {exim}
spool_directory = {folder}/spool
log_file_path = {folder}/log-%slog
pid_file_path = {folder}/run/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {plain} : {login}
deliver_drop_privilege
keep_environment =
smtp_enforce_sync
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 50
recipients_max = 100
recipients_max_reject
message_size_limit = 10M
tls_advertise_hosts = *
tls_certificate = {folder}/chain.pem
tls_privatekey = {folder}/key.pem
auth_advertise_hosts = ${{if and {{ {{eq{{$received_port}}{{{login}}}}} {{!eq{{$tls_in_cipher}}{{}}}} }} {{*}}{{}}}}
acl_smtp_mail = mail
acl_smtp_rcpt = recipient
acl_smtp_data = accept_all

begin acl
mail:
  deny condition = ${{if eq{{$received_port}}{{{login}}}}}
       !encrypted = *
       message = 530 5.7.0 Must issue a STARTTLS command first
  deny condition = ${{if eq{{$received_port}}{{{login}}}}}
       !authenticated = *
       message = 530 5.7.0 Authentication required
  accept
recipient:
  accept domains = example.com
         !local_parts = nobody
  deny domains = example.com
       message = Unknown user
  require message = relay not permitted
          authenticated = *
  accept
accept_all:
  accept

begin routers
all:
  driver = accept
  transport = maildir

begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = {folder}/mail/box
  create_directory
  user = exim
  group = exim

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_set_id = $auth2
  server_condition = ${{if and {{ {{eq{{$auth2}}{{{user}}}}} {{eq{{$auth3}}{{{password}}}}} }}}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_set_id = $auth1
  server_condition = ${{if and {{ {{eq{{$auth1}}{{{user}}}}} {{eq{{$auth2}}{{{password}}}}} }}}}
"""


class Exim(UnpackedServer):
    name = "exim"
    package = "exim4-daemon-light"

    def __init__(self, certificate):
        super().__init__(certificate)
        self.exim = self.unpacked / "sbin" / "exim4"

    def configure(self):
        user, password = LOGIN
        names = {"folder": self.folder, "host": HOST, "exim": self.exim, "user": user, "password": password}
        ports = {"plain": self.plain.port, "login": self.login.port}
        self.write("exim.conf", CONFIGURATION.format(**names, **ports))
        for path in (self.folder, *self.folder.iterdir()):
            if path.name != "exim.conf":  # which it takes only from root
                shutil.chown(path, UID, UID)

    def begin(self):
        daemon = [self.exim, "-C", self.folder / "exim.conf", "-bdf", "-q5s"]
        self.begin_in_own_root({"Debian-exim": UID, "exim": UID}, {}, *daemon)

    def is_queue_empty(self):
        """Tell whether nothing waits that has been received whole: its envelope is beside it then."""
        return not any((self.folder / "spool" / "input").glob("*-H"))
