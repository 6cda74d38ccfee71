"""Name this process and its threads, as other processes and people know them."""

import os
import socket
import threading

LONGEST = 255  # characters, as the columns have them


def this_process() -> str:
    """Return this process's host and its number there."""
    return process_here(os.getpid())


def process_here(number: int) -> str:
    """Return the name of the process that has this number on this host."""
    return f"{socket.gethostname()} {number}"[:LONGEST]


def host_of(process: str) -> str:
    return process.rpartition(" ")[0]


def this_thread() -> str:
    return f"{before_threads(os.getpid())}{threading.current_thread().name}"[:LONGEST]


def before_threads(number: int) -> str:
    """Return with what the names of all threads begin of the process that has this number on this host."""
    return f"{process_here(number)} "
