"""The site as its own process, `gunicorn flasky.wsgi` with its own settings, and a visitor who uses it."""

import os
import re
import signal
import subprocess
import sys
import threading

import requests

from tests.databases import new_database
from tests.shell import run_in_shell


class Site:
    """A running site; `url` is where it listens. Everything it prints is kept in `log`."""

    def __init__(self, folder, relay=None, workers=1, threads=4, arguments=(), **variables):
        defaults = {
            "DJANGO_SETTINGS_MODULE": "flasky.settings",
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "for this test only, and as long as a key that keeps people out",
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "HTTPS": "False",
            "FORM_MIN_SECONDS": "0",
            "FLASKY_ADMIN": "admin@example.com",
            "MAIL_DISPATCHER": "threads",
            "MAIL_TRANSPORT": "smtp",
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(relay.port if relay else 1),
        }
        self._migrated = "DATABASE_URL" not in variables
        if self._migrated:
            defaults["DATABASE_URL"] = new_database(folder)
        self.environment = {**os.environ, **defaults, **variables}
        self.options = ["--workers", str(workers), "--threads", str(threads), "--bind", "127.0.0.1:0", *arguments]
        self.log = []

    def __enter__(self):
        if not self._migrated:
            self.manage("migrate")
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()

    def manage(self, *arguments, **variables):
        """Run a command of manage.py and return what it printed."""
        environment = {**self.environment, **variables}
        command = [sys.executable, "manage.py", *arguments]
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    def start(self):
        command = [sys.executable, "-m", "gunicorn", "flasky.wsgi", *self.options]
        self.process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)
        listening = threading.Event()
        self._reader = threading.Thread(target=self._read_log, args=(listening,))
        self._reader.start()
        assert listening.wait(60), "".join(self.log)

    def _read_log(self, listening):
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"Listening at: (http://\S+)", line):
                self.url = found[1]
                listening.set()
        listening.set()

    def stop(self, number=signal.SIGTERM):
        """Stop the server as its operator would, and wait until it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(60)
        self._reader.join(60)
        self.process.stderr.close()

    def shell(self, script):
        """Run the script, which has the models at hand, and return what it prints."""
        return run_in_shell(script, self.environment).strip()

    def count(self, model, **filters):
        return int(self.shell(f"print({model}.objects.filter(**{filters!r}).count())"))


class Visitor:
    """Somebody with a browser: keeps cookies, finds the form's token on the page."""

    def __init__(self, site):
        self.url = site.url
        self.session = requests.Session()

    def get(self, path="/"):
        return self.session.get(self.url + path, timeout=60)

    def post(self, path, **fields):
        page = self.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
        fields["csrfmiddlewaretoken"] = token
        return self.session.post(self.url + path, fields, timeout=60, headers={"Referer": self.url + path})

    def submit(self, name):
        """Type a name into the form and return the page that follows."""
        return self.post("/", name=name)
