"""Hosts with addresses of their own, in network namespaces, and links between them that can be cut."""

import itertools
import os
import shutil
import signal
import subprocess

from tests.conftest import missing

_numbers = itertools.count(1)


def ip(*arguments):
    return subprocess.run(["ip", *arguments], check=True, timeout=30, capture_output=True, text=True).stdout


class Host:
    """A host beside this one. Each `link()` is a cable of its own between the two."""

    def __init__(self):
        if not shutil.which("ip") or os.geteuid() != 0:
            missing("the right to make network namespaces (root, and ip of iproute2)")
        self.name = f"flasky-{os.getpid()}-{next(_numbers)}"

    def __enter__(self):
        try:
            ip("netns", "add", self.name)
        except subprocess.CalledProcessError:
            missing("a system that lets root make network namespaces")
        ip("-n", self.name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *error):
        for pid in ip("netns", "pids", self.name).split():  # with them the namespace and its links would live on
            os.kill(int(pid), signal.SIGKILL)
        ip("netns", "del", self.name)

    def link(self):
        return Link(self.name, next(_numbers))

    def command(self, *arguments):
        """Return the command line that runs these arguments on the host."""
        return ["ip", "netns", "exec", self.name, *arguments]


class Link:
    """A cable whose near end has the address `here`. While it is cut, both sides hear nothing."""

    def __init__(self, host, number):
        self._near, self.here = f"fl{os.getpid() % 100000}-{number}", f"10.199.{number}.1"
        far = f"{self._near}b"[:15]
        ip("link", "add", self._near, "type", "veth", "peer", "name", far, "netns", host)
        ip("addr", "add", f"{self.here}/30", "dev", self._near)
        ip("link", "set", self._near, "up")
        ip("-n", host, "addr", "add", f"10.199.{number}.2/30", "dev", far)
        ip("-n", host, "link", "set", far, "up")
        self._host, self._far = host, far

    def cut(self):
        """Stop all packets at the far end; the near one keeps its address, and says nothing to anybody."""
        ip("-n", self._host, "link", "set", self._far, "down")

    def heal(self):
        ip("-n", self._host, "link", "set", self._far, "up")
