"""The rows of the comparison: which work, which load, which targets."""

from dataclasses import dataclass, field

from compare.loads import Load, Wrk

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True)
class Target:
    """Our figure over another's, at most. `of`: names of columns, of which the best counts."""
    most: float
    of: tuple
    what: str = "cpu"  # or a latency's key
    above: str = ""  # the key whose signature and key exchange are each library's own, taken off


@dataclass(frozen=True)
class Row:
    id: str
    part: str
    title: str
    kind: str
    closed: object  # the load as fast as the answers come
    constant: object  # the load at a constant rate
    upstream: str = "http"
    unit: str = "request"
    targets: tuple = field(default_factory=tuple)
    quick: bool = False


PEERS = ("HAProxy", "nginx")
COPY, SPLICE = ("raw copy",), ("raw splice",)
RAW = COPY + SPLICE
SLOW = ("Envoy", "Caddy", "fabio")


def _download(size, label, connections, quick=False):
    path = "/size/%d" % size
    return Row("http-down-" + label.replace(" ", ""), "http", "HTTP %s down" % label, "http",
               Wrk(connections, path), Load(connections, "-path", path), quick=quick,
               targets=(Target(0.85, PEERS), Target(1.15, RAW)))


def _upload(size, label, connections):
    load = Load(connections, "-path", "/upload", "-upload", str(size))
    return Row("http-up-" + label.replace(" ", ""), "http", "HTTP %s up" % label, "http", load,
               load, targets=(Target(0.85, PEERS), Target(1.15, RAW)))


def _tcp(size, label, connections, targets, quick=False):
    load = Load(connections, "-path", "/size/%d" % size if size else "/")
    return Row("tcp-" + label.replace(" ", ""), "tcp", "TCP %s" % label, "tcp", load, load,
               targets=targets, quick=quick)


def _same(id, part, title, kind, load, **more):
    return Row(id, part, title, kind, load, load, **more)


ROWS = [
    Row("http-small-64", "http", "HTTP keep-alive small, 64 connections", "http", Wrk(64),
        Load(64), quick=True,
        targets=(Target(0.90, PEERS), Target(1.15, COPY), Target(0.25, SLOW))),
    Row("http-small-512", "http", "HTTP keep-alive small, 512 connections", "http", Wrk(512),
        Load(512), targets=(Target(0.65, PEERS),)),
    _same("http-new", "http", "HTTP new connection each", "http", Load(64, "-new"),
          targets=(Target(0.85, PEERS),), quick=True),
    _download(64 * KIB, "64 KiB", 32),
    _download(MIB, "1 MiB", 16, quick=True),
    _download(10 * MIB, "10 MiB", 8),
    _upload(64 * KIB, "64 KiB", 32),
    _upload(MIB, "1 MiB", 16),
    _upload(10 * MIB, "10 MiB", 8),
    _same("tls-keep-alive", "tls", "TLS ended here, keep-alive", "tls_p256", Load(64, "-tls"),
          targets=(Target(0.85, PEERS),), quick=True),
    _same("tls-full-p256", "tls", "TLS full handshakes, P-256", "tls_p256",
          Load(32, "-tls", "-new"), unit="connection",
          targets=(Target(0.85, ("nginx",), above="p256"),)),
    _same("tls-full-rsa", "tls", "TLS full handshakes, RSA 2048", "tls_rsa",
          Load(32, "-tls", "-new"), unit="connection",
          targets=(Target(0.85, ("nginx",), above="rsa"),)),
    _same("tls-resumed", "tls", "TLS resumed handshakes", "tls_p256",
          Load(32, "-tls", "-new", "-resume"), unit="connection",
          targets=(Target(0.90, PEERS),)),
    _tcp(0, "small", 64, (Target(1.05, PEERS),), quick=True),
    _tcp(64 * KIB, "64 KiB", 32, (Target(1.10, SPLICE),)),
    _tcp(MIB, "1 MiB", 16, (Target(1.10, SPLICE),)),
    _tcp(10 * MIB, "10 MiB", 8, (Target(0.60, PEERS), Target(1.10, SPLICE)), quick=True),
    # Resumed, so that the two ends of TLS, which share the load's core, leave it time to load.
    _same("sni-new", "sni", "SNI passthrough, new connection each", "sni",
          Load(32, "-tls", "-new", "-resume", "-sni", "bench.example.com"), unit="connection",
          targets=(Target(0.80, PEERS),), quick=True),
    _same("ws", "ws", "Websocket messages, 32 bytes", "http", Load(64, "-message", "32"),
          upstream="ws", unit="message"),
]
