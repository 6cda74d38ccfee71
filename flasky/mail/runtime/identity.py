"""Name this process and its threads, as other processes and people know them."""

import os
import socket
import threading


def this_thread() -> str:
    return f"{socket.gethostname()} {os.getpid()} {threading.current_thread().name}"[:255]
