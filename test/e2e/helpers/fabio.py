"""A real fabio, and what it and sluice answer to the same request, so that it can be compared."""

import re
import socket

from . import go_tool
from .balancer import Balancer
from .process import Process
from .wait import until

VERSION = "1.5.15"  # of test/tools/fabio/go.mod; newer ones do not build with Go 1.19

# Of a request that a client sent without it: Go's client asks for gzip and unpacks the answer.
GO_ASKS = "accept-encoding: gzip"


def binary():
    """The path of the pinned fabio; the first call on a machine builds it (under a minute)."""
    return go_tool.program("fabio", VERSION, "github.com/fabiolb/fabio")


class Fabio(Balancer):
    """fabio with the flags that a Balancer would have."""

    def launch(self):
        flags = ["-%s=%s" % (name, value) for name, value in self.flags.items()
                 if value is not None]
        # It does not run as root without the first.
        self.process = Process([binary(), "-insecure", *flags], self.folder, "fabio", env=self.env)
        return self

    def start(self):
        """Its API is there before it has routes, its listener only afterwards."""
        super().start()

        def listens():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0
        until(listens, "fabio has its first routes", 20)
        return self


def request(host, path="/", method="GET", headers=(), body=b"", version="1.1"):
    lines = ["%s %s HTTP/%s" % (method, path, version)]
    lines += ["Host: " + host] if host is not None else []
    lines += [*headers] + (["Content-Length: %d" % len(body)] if body else [])
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def send(port, data):
    """The whole answer to a request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(data)
        file = s.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline()
            if not line:
                break
            head += line
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        if data.startswith(b"HEAD ") or head[9:12] in (b"101", b"304"):
            return head
        return head + (file.read(int(length[1])) if length else file.read())


class Seen:
    """An answer: its status, the rest of it that a user would notice, and what the upstream got,
    as lines in no order (names in lower case; without what each proxy says of itself alone)."""

    def __init__(self, answer, sent, port):
        head, _, body = answer.partition(b"\r\n\r\n")
        self.status = int(head.split()[1]) if head else None
        fields = dict(_fields(head))
        self.location = fields.get("location")
        self.upstream = fields.get("x-upstream")
        text = body.decode("latin-1").replace(str(port), "PORT")
        if self.upstream is None:
            self.headers, self.received, self.body = (), None, text
            return
        self.headers = tuple(sorted("%s: %s" % f for f in _fields(head) if f[0] not in (
            "date", "via", "content-length", "connection")))
        got, _, self.body = text.partition("\r\n\r\n")
        lines = ["%s: %s" % f for f in _fields(got.encode("latin-1")) if f[0] != "via"]
        if GO_ASKS in lines and b"accept-encoding" not in sent.lower():
            lines.remove(GO_ASKS)
        self.received = (got.split("\r\n")[0], *sorted(lines))

    def same(self, other):
        """What is answered by a proxy itself may have another text."""
        own = self.upstream is None and other.upstream is None
        return self.key(own) == other.key(own)

    def key(self, own):
        first = (self.status, self.location)
        return first if own else first + (self.upstream, self.headers, self.received, self.body)

    def __repr__(self):
        return repr(self.key(False))


def _fields(head):
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        yield name.lower(), value.strip()


def see(balancer, data):
    return Seen(send(balancer.port, data), data, balancer.port)
