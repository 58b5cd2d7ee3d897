"""Where things are, and the names that every configuration shares."""

import os
import socket

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SLUICE_BUILD", os.path.join(ROOT, "build"))
RESULTS = os.path.join(ROOT, "bench", "results")
PEERS = os.path.join(ROOT, "bench", "peers")
SLUICE = os.path.join(BUILD, "sluice")
HOST = "bench.example.com"


def tool(name):
    return os.path.join(BUILD, "bench", name)


def free_ports(count):
    """Ports that nobody listens on now, below the range that connections take theirs from."""
    found, port = [], 21000
    while len(found) < count:
        port += 1
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                found.append(port)
            except OSError:
                if port > 31000:
                    raise
    return found
