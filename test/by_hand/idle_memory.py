#!/usr/bin/python3
"""What an idle connection costs: resident memory of `sluice lb` before and after 10,000 clients
that have each had an answer and keep their connection. By hand: it wants 20,100 descriptors.

    test/by_hand/idle_memory.py [CONNECTIONS]
"""

import pathlib
import re
import resource
import socket
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from helpers import tree  # noqa: E402
from helpers.balancer import Balancer  # noqa: E402
from helpers.process import Process  # noqa: E402

LIMIT = 512  # bytes of ours, as proxy/http1_client.h itemises them
REQUEST = b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n"


def resident_bytes(pid):
    text = pathlib.Path("/proc/%d/status" % pid).read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024


def answered(port, source):
    client = socket.create_connection(("127.0.0.1", port), source_address=(source, 0))
    client.sendall(REQUEST)
    got = b""
    while b"\r\n\r\n" not in got:
        got += client.recv(65536)
    length = int(re.search(rb"(?i)content-length: (\d+)", got).group(1))
    body = got.split(b"\r\n\r\n", 1)[1]
    while len(body) < length:
        body += client.recv(65536)
    return client


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (count * 2 + 100, max(
        count * 2 + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    with tempfile.TemporaryDirectory() as folder:
        backend = Process([tree.backend, "-http", "127.0.0.1:0", "-https", "off"], folder)
        port = int(backend.wait_for(r"http on port (\d+)").group(1))
        balancer = Balancer(folder, registry_backend="static", log_access_target="",
                            log_level="WARN", proxy_threads="1", registry_static_routes=(
                                "route add web a.com/ http://127.0.0.1:%d/" % port)).start()
        try:
            # What the first ones cost (blocks, the pool, tables) is not an idle connection's.
            warm = [answered(balancer.port, "127.0.0.2") for _ in range(200)]
            before = resident_bytes(balancer.process.pid)
            clients = [answered(balancer.port, "127.0.0.3") for _ in range(count)]
            after = resident_bytes(balancer.process.pid)
            each = (after - before) / count
            print("%d idle connections: %.0f bytes each (%.1f MiB before, %.1f MiB after)"
                  % (count, each, before / 2**20, after / 2**20))
            del warm, clients
        finally:
            balancer.process.end(30)
            backend.end(30)
    return 0 if each <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
