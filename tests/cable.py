"""A cable between a site and its database server, which can fall silent: it takes what comes, and nothing arrives."""

import contextlib
import socket
import threading


class Cable:
    """Passes connections on to 127.0.0.1:`to`; without it there is nobody at the other end. `port` is the near end."""

    def __init__(self, to=None):
        self._to = to
        self._is_whole = threading.Event()
        if to:
            self._is_whole.set()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._server.getsockname()[1]
        self._ends = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error):
        self._server.close()
        self._hang_up()

    def cut(self):
        self._is_whole.clear()

    def mend(self):
        """Let new connections through; those from before are lost."""
        self._hang_up()
        self._is_whole.set()

    def _hang_up(self):
        while self._ends:
            end = self._ends.pop()
            with contextlib.suppress(OSError):  # the other side was quicker
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self._ends.append(near)
            if self._is_whole.is_set():
                far = socket.create_connection(("127.0.0.1", self._to))
                self._ends.append(far)
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source, target):
        try:
            while data := source.recv(65536):
                if self._is_whole.is_set():
                    target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
