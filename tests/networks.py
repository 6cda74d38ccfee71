"""Hosts with addresses of their own, in network namespaces, and links between them that can be cut."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
from ipaddress import IPv4Address

from tests.conftest import missing

_numbers = itertools.count(1)


def ip(*arguments):
    return subprocess.run(["ip", *arguments], check=True, timeout=60, capture_output=True, text=True).stdout


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
        self.kill_all()  # with them the namespace and its links would live on
        ip("netns", "del", self.name)

    def kill_all(self):
        for pid in ip("netns", "pids", self.name).split():
            os.kill(int(pid), signal.SIGKILL)

    def link(self):
        return Link(self.name, next(_numbers))

    def calls(self, link):
        """Return whether somebody on the host waits for the near end to take a connection."""
        return link.here in ip("netns", "exec", self.name, "ss", "-tn", "state", "syn-sent")

    def command(self, *arguments):
        """Return the command line that runs these arguments on the host."""
        return ["ip", "netns", "exec", self.name, *arguments]


class Link:
    """A cable whose near end has the address `here`. While it is cut, both sides hear nothing, not even an error."""

    def __init__(self, host, number):
        near, far = f"fl{os.getpid()}-{number}"[:15], f"far{number}"
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", host)
        # No two links of a system have the same index, whichever processes make them: so each has a network of its own.
        network = IPv4Address("10.192.0.0") + 4 * socket.if_nametoindex(near)
        self.here = str(network + 1)
        there = str(network + 2)
        for where, device, address in (([], near, self.here), (["-n", host], far, there)):
            ip(*where, "addr", "add", f"{address}/30", "dev", device)
            ip(*where, "link", "set", device, "up")
        self._neighbours = [([], near, there), (["-n", host], far, self.here)]

    def cut(self):
        """Let both ends send to a card that is nobody's. A link that is down would tell at once whoever connects."""
        for where, device, other in self._neighbours:
            ip(*where, "neigh", "replace", other, "lladdr", "02:00:00:00:00:00", "dev", device, "nud", "permanent")

    def heal(self):
        for where, device, other in self._neighbours:
            ip(*where, "neigh", "del", other, "dev", device)
