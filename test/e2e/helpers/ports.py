"""Ports that nobody has: below the ephemeral range and the scheduler's 20000 to 32000."""

import random
import socket

_given = set()


def free_port():
    """A port that is free for TCP and UDP now; not given twice by one test run."""
    for _ in range(1000):
        port = random.randrange(10000, 19999)
        if port in _given:
            continue
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("", port))
                udp.bind(("", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port between 10000 and 19999")
