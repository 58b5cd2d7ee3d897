"""Ports that nobody has: below the ephemeral range and the scheduler's 20000 to 32000."""

import collections
import os
import random
import socket

_given = collections.deque()  # the oldest first

# Where files run side by side, each worker has a part of its own: a port is free until it is bound.
_PARTS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _PARTS
_SIZE = 9999 // _PARTS
_FIRST = 10000 + _part * _SIZE


def free_port():
    """A port that is free for TCP and UDP now, and was not given lately: by no test that may still
    want it, as a server that is down for a moment."""
    if len(_given) > _SIZE // 2:
        _given.popleft()
    for _ in range(1000):
        port = random.randrange(_FIRST, _FIRST + _SIZE)
        if port in _given:
            continue
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("", port))
                udp.bind(("", port))
            except OSError:
                continue
        _given.append(port)
        return port
    raise RuntimeError("no free port from %d to %d" % (_FIRST, _FIRST + _SIZE - 1))


def task_ports():
    """A range (first, last) for an agent's tasks. The scheduler's choice follows from the job, so
    two test runs on one machine would get the same ports out of the whole range."""
    first = random.randrange(20000, 31800, 100)
    return first, first + 199
