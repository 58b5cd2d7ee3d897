"""A real Consul: the one on PATH, or the pinned one built with Debian's Go into the cache."""

import json
import pathlib
import shutil
import urllib.error
import urllib.request

from . import go_tool
from .ports import free_port
from .process import Process
from .wait import until

VERSION = "1.12.9"  # of test/tools/consul/go.mod; newer ones do not resolve with Go 1.19


def binary():
    """The path of a consul; the first call on a machine builds it (three to four minutes)."""
    return shutil.which("consul") or go_tool.program("consul", VERSION,
                                                    "github.com/hashicorp/consul")


class Consul:
    """One agent on ports of its own. The same object starts again on the same ports. With a token
    nobody may do anything without it."""

    def __init__(self, folder, dev=True, flags=(), token=None):
        self.folder = pathlib.Path(folder)
        self.dev, self.flags, self.token = dev, list(flags), token
        if token:
            self.flags += ["-hcl", 'acl { enabled = true default_policy = "deny" tokens { '
                           'initial_management = "%s" agent = "%s" } }' % (token, token)]
        self.http_port, self.server_port = free_port(), free_port()
        self.lan_port, self.wan_port, self.dns_port = free_port(), free_port(), free_port()
        self.address = "127.0.0.1:%d" % self.http_port
        self.process = None

    def start(self):
        args = [binary(), "agent", "-bind", "127.0.0.1", "-client", "127.0.0.1",
                "-http-port", self.http_port, "-dns-port", self.dns_port, "-grpc-port", -1,
                "-server-port", self.server_port, "-serf-lan-port", self.lan_port,
                "-serf-wan-port", self.wan_port, "-node", "node-a", "-log-level", "warn"]
        if self.dev:
            args += ["-dev"]
        else:
            data = self.folder / "consul.d"
            data.mkdir(parents=True, exist_ok=True)
            args += ["-server", "-bootstrap-expect", 1, "-data-dir", data]
        self.process = Process([*args, *self.flags], self.folder, "consul")
        return self.wait_ready()

    def wait_ready(self):
        """A leader, and the catalog holds Consul itself."""
        def ready():
            assert self.process.running() or self._gone()
            return "consul" in self.get("/v1/catalog/services")
        until(ready, "consul on %s has a leader" % self.address, 30, every=0.05)
        return self

    def _gone(self):
        raise RuntimeError("consul ended: " + self.process.tail())

    def call(self, method, path, body=None):
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"X-Consul-Token": self.token} if self.token else {}
        request = urllib.request.Request("http://" + self.address + path, data, headers,
                                         method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            raw = answer.read()
        return json.loads(raw) if raw.strip()[:1] in (b"{", b"[", b'"') else raw.decode()

    def get(self, path):
        return self.call("GET", path)

    def put(self, path, body=b""):
        return self.call("PUT", path, body)

    def services(self, name):
        """The instances of a service as /v1/health/service gives them."""
        return self.get("/v1/health/service/" + name)

    def empty(self):
        """Deregisters every service."""
        for service in self.get("/v1/agent/services"):
            self.put("/v1/agent/service/deregister/" + service)

    def stop(self):
        if self.process:
            self.process.end(30)

    def kill(self):
        self.process.kill()
