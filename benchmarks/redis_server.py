"""A Redis of our own, as a broker: it may be restarted again and again."""

import contextlib
import shutil
import socket
import subprocess
import threading
import time

from benchmarks.child import Missing

UP, AWAY = 0.5, 0.5  # s


class Redis:
    def __init__(self, scratch):
        if not shutil.which("redis-server"):
            raise Missing("redis-server (Debian: redis-server) is not installed")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.scratch = scratch
        self.start()

    def start(self):
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.scratch), "--save", ""]
        self.process = subprocess.Popen(["redis-server", *where], stdout=subprocess.DEVNULL)
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        self.stop()
        raise Missing(f"redis-server did not start at port {self.port}")

    def stop(self):
        self.process.kill()
        self.process.wait()


class RestartedRedis(Redis):
    """Half of the time it is away, and whoever was connected is cut off."""

    def __init__(self, scratch):
        super().__init__(scratch)
        self.restarts, self.over = 0, threading.Event()
        self.thread = threading.Thread(target=self.restart)
        self.thread.start()

    def restart(self):
        while not self.over.wait(UP):
            super().stop()
            self.over.wait(AWAY)
            self.start()
            self.restarts += 1

    def stop(self):
        self.over.set()
        self.thread.join()
        super().stop()
