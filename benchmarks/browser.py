"""A visitor who types new names: cookies, the CSRF token of the form, and the page after the redirect."""

import http.client
import re
import threading
import time
from http.cookies import SimpleCookie
from urllib.parse import urlencode
from uuid import uuid4

TOKEN = re.compile(r'name="(csrf\w+)"[^>]*value="([^"]+)"')


class Browser:
    def __init__(self, port):
        self.port = port
        self.cookies = {}
        self.open_page()

    def open_page(self):
        status, page = self.request("GET")
        assert status == 200, f"the page was answered with {status}"
        self.token = dict([TOKEN.search(page).groups()])

    def post_new_name(self):
        """Return the seconds from connecting to the end of the answer."""
        form = urlencode({"name": f"Ann {uuid4()}", "submit": "Submit", **self.token})
        started = time.perf_counter()
        status, _ = self.request("POST", form)
        seconds = time.perf_counter() - started
        assert status == 302, f"a new name was answered with {status}"
        return seconds

    def request(self, method, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, "/", body, headers)
            response = connection.getresponse()
            page = response.read().decode()
        finally:
            connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            self.cookies.update({name: morsel.value for name, morsel in SimpleCookie(line).items()})
        return response.status, page


def visit(browsers, seconds, per_second):
    """Let each browser post and look `per_second` times a second; return the seconds of all posts."""
    samples, errors = [], []

    def use(browser, offset):
        try:
            due, end = time.monotonic() + offset, time.monotonic() + seconds
            while due < end:
                time.sleep(max(0, due - time.monotonic()))
                samples.append(browser.post_new_name())
                browser.open_page()
                due = max(due + 1 / per_second, time.monotonic())
        except Exception as error:  # a thread keeps it to itself
            errors.append(error)

    apart = 1 / per_second / len(browsers)
    threads = [threading.Thread(target=use, args=(browser, i * apart)) for i, browser in enumerate(browsers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return samples
