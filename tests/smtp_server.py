"""A real SMTP server on loopback that does what a test tells it to."""

import email
import logging
import socket
import ssl
import threading
from email import policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's own


class Mail:
    """One accepted mail: its envelope, its bytes, and the bytes parsed."""

    def __init__(self, server: SMTP, session: Session, envelope: Envelope):
        self.sender = envelope.mail_from
        self.recipients = list(envelope.rcpt_tos)
        self.mail_options = list(envelope.mail_options)
        self.content = envelope.original_content
        self.message = email.message_from_bytes(self.content, policy=policy.default)
        self.secured = server.transport.get_extra_info("ssl_object") is not None
        self.login = session.auth_data

    @property
    def text(self):
        return self.message.get_body(("plain",)).get_content()

    @property
    def html(self):
        return self.message.get_body(("html",)).get_content()


class SmtpServer:
    """Accept mail on a free port of 127.0.0.1.

    `replies` maps a verb (MAIL, RCPT, DATA) or an address to the reply to give instead of acceptance; a list is used
    up one by one. While `gate` is clear, an answer to the end of DATA is held back.
    """

    def __init__(self, tls_context=None, starttls_context=None, login=None, port=0, pipelining=False):
        self.mails = []
        self.replies = {}
        self.sessions = 0
        self.gate = threading.Event()
        self.gate.set()
        self.data_seen = threading.Event()
        self.in_data = self.most_in_data = 0
        self._arrived = threading.Condition()
        self._login = login
        self._pipelining = pipelining  # aiosmtpd takes commands in groups, but does not say so
        options = {"auth_require_tls": tls_context is None and starttls_context is not None}
        if login:
            options |= {"authenticator": self._authenticate, "auth_required": True}
        if tls_context:
            options["auth_require_tls"] = False
        if starttls_context:
            options |= {"tls_context": starttls_context, "require_starttls": True}
        self._controller = _Controller(self, options, hostname="127.0.0.1", port=port, ssl_context=tls_context)

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *error):
        self.gate.set()
        self.port_was = self.port
        self.drop_connections()
        self._controller.stop()

    @property
    def port(self):
        return self._controller.server.sockets[0].getsockname()[1]

    def drop_connections(self):
        """Cut what is open, as a restarted relay does."""
        for connection in self._controller.connections:
            if connection.transport:
                self._controller.loop.call_soon_threadsafe(connection.transport.abort)

    def wait_for(self, count, timeout=60):
        """Return the mails once there are `count`; fail after `timeout` seconds."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.mails) >= count, timeout)
        assert arrived, f"{len(self.mails)} of {count} mails arrived within {timeout} s"
        return self.mails

    def wait_until_in_data(self, count, timeout=60):
        """Return once `count` mails at once wait for the answer to their last line."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.in_data >= count, timeout), f"only {self.in_data} in DATA"

    # What aiosmtpd calls.

    def _authenticate(self, server, session, envelope, mechanism, data):
        if isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == self._login:
            return AuthResult(success=True, auth_data=data.login.decode())
        return AuthResult(success=False, handled=False, message="535 5.7.8 Authentication credentials invalid")

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return [responses[0], *["250-PIPELINING"] * self._pipelining, *responses[1:]]

    async def handle_MAIL(self, server, session, envelope, address, options):
        if reply := self._scripted("MAIL", server):
            return reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender ok"

    async def handle_RCPT(self, server, session, envelope, address, options):
        reply = self._scripted(address, server) or self._scripted("RCPT", server) or "250 2.1.5 Recipient ok"
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server, session, envelope):
        with self._arrived:
            self.in_data += 1
            self.most_in_data = max(self.most_in_data, self.in_data)
            self._arrived.notify_all()
        self.data_seen.set()
        await server.loop.run_in_executor(None, self.gate.wait, 60)
        self.in_data -= 1
        if reply := self._scripted("DATA", server):
            return reply
        with self._arrived:
            self.mails.append(Mail(server, session, envelope))
            self._arrived.notify_all()
        return f"250 2.0.0 Queued as {len(self.mails)}"

    async def handle_RSET(self, server, session, envelope):
        return self._scripted("RSET", server) or "250 2.0.0 Ok"

    def _scripted(self, key, server):
        reply = self.replies.get(key)
        if isinstance(reply, list):
            reply = reply.pop(0) if reply else None
        if reply == "drop":
            server.transport.abort()
            return "421 gone"
        return reply


class _Controller(Controller):
    def __init__(self, handler, options, **kwargs):
        self._options = options
        self.connections = []
        super().__init__(handler, ready_timeout=60, **kwargs)

    def factory(self):
        self.handler.sessions += 1
        connection = SMTP(self.handler, hostname="relay.test", enable_SMTPUTF8=False, **self._options)
        self.connections.append(connection)
        return connection

    def _trigger_server(self):
        """Connect to the port that the system chose; aiosmtpd would connect to port 0."""
        probe = socket.create_connection(("127.0.0.1", self.server.sockets[0].getsockname()[1]), 60)
        if self.ssl_context:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            probe = context.wrap_socket(probe)
        with probe:
            probe.recv(1024)
        self.handler.sessions = 0
