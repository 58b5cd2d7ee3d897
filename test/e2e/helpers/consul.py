"""A real Consul: the one on PATH, or the pinned one built with Debian's Go into the cache."""

import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.request

from . import tree
from .ports import free_port
from .process import Process
from .wait import until

VERSION = "1.12.9"  # of test/tools/consul/go.mod; newer ones do not resolve with Go 1.19
GO = "/usr/lib/go-1.19/bin/go"


def binary():
    """The path of a consul; the first call on a machine builds it (three to four minutes)."""
    found = shutil.which("consul")
    if found:
        return found
    built = tree.cache / ("consul-" + VERSION)
    if built.exists():
        return str(built)
    tree.cache.mkdir(parents=True, exist_ok=True)
    with open(tree.cache / "consul.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs build it once
        if not built.exists():
            _build(built)
    return str(built)


def _build(target):
    go = GO if os.path.exists(GO) else shutil.which("go")
    if not go:
        raise RuntimeError("no Go to build Consul with: apt-get install golang-go")
    partial = target.with_suffix(".partial")
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    out = subprocess.run(
        [go, "build", "-p", "2", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
         "-o", str(partial), "github.com/hashicorp/consul"],
        cwd=tree.root / "test" / "tools" / "consul", env=env, capture_output=True, text=True)
    if out.returncode != 0:
        raise RuntimeError("Consul did not build:\n" + out.stderr[-4000:])
    partial.rename(target)


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

    def stop(self):
        if self.process:
            self.process.end(30)

    def kill(self):
        self.process.kill()
