"""A web server under gunicorn: Flasky with the project's own configuration, or Grinberg's Flask program."""

import http.client
import os
import socket
import subprocess
import sys
import time

import psutil

from benchmarks.child import ROOT, Missing

FLASK_APP = "benchmarks.peers.flask_app:app"


class Server:
    def __init__(self, scratch, environment, app="flasky.wsgi"):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = scratch / f"gunicorn-{self.port}.log"
        # gunicorn.conf.py is for Flasky; the Flask program gets as many processes and threads.
        config = [] if app == "flasky.wsgi" else [f"--config={os.devnull}", "--workers=2", "--threads=16"]
        command = [sys.executable, "-m", "gunicorn", app, *config, f"--bind=127.0.0.1:{self.port}"]
        environment = {"PATH": os.environ.get("PATH", ""), "TMPDIR": str(scratch), **environment}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.wait_until_it_answers()

    def wait_until_it_answers(self):
        for _ in range(200):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                connection.request("GET", "/")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise Missing(f"gunicorn does not answer: {self.last_words()}")

    def last_words(self):
        return self.log.read_text("utf-8", "replace")[-2000:]

    def workers(self):
        return psutil.Process(self.process.pid).children()

    def stop(self):
        """End it at once: nobody needs the mails that are still on the wire."""
        try:
            processes = [*self.workers(), self.process]
        except psutil.NoSuchProcess:
            processes = []
        for process in processes:
            process.kill()
        self.process.wait()
