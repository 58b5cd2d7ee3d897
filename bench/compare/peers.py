"""The proxies that are compared: how each is configured, started, stopped, and named."""

import os
import re
import resource
import shutil
import signal
import subprocess
import time

from compare import measure, tree

KINDS = ("http", "tcp", "sni", "tls_p256", "tls_rsa")


class Unavailable(Exception):
    """Why a peer does not take part; ends up in its row."""


def _first_line(words):
    try:
        out = subprocess.run(words, capture_output=True, text=True, timeout=20)
    except OSError:
        return None
    text = (out.stdout + out.stderr).strip()
    return text.splitlines()[0] if text else ""


def _version(words, pattern):
    line = _first_line(words)
    found = re.search(pattern, line) if line else None
    return found[1] if found else line


class Process:
    """A started proxy on the proxy's core."""

    def __init__(self, words, env, log, ports, ready_ports):
        self.ports, self.log = ports, log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(measure.PROXY_CORE), *words],
                env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True)
        self.pid = self.process.pid
        try:
            self._wait_for(ready_ports)
        except BaseException:
            self.stop()
            raise

    def _wait_for(self, ports):
        end = time.monotonic() + 20
        waiting = list(ports)
        while waiting:
            if self.process.poll() is not None:
                raise Unavailable("did not start: " + self.last_line())
            if time.monotonic() > end:
                self.stop()
                raise Unavailable("does not listen on %d: %s" % (waiting[0], self.last_line()))
            waiting = [p for p in waiting if not _listens(p)]
            if waiting:
                time.sleep(0.02)

    def last_line(self):
        """What it said last, or first of what it called an error."""
        with open(self.log, errors="replace") as f:
            lines = [line.strip() for line in f if line.strip()]
        errors = [line for line in lines if re.search(r"error|emerg|alert", line, re.I)]
        return (errors or lines[-1:] or ["it said nothing"])[0][:300]

    def stop(self):
        if self.process.poll() is not None:
            return
        try:
            os.killpg(self.pid, signal.SIGTERM)
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)  # a drain that waits for the load's connections
            self.process.wait(10)
        except ProcessLookupError:
            pass


def _listens(port):
    wanted = "%04X" % port
    with open("/proc/net/tcp") as f:
        if any(line.split()[1].endswith(":" + wanted) and line.split()[3] == "0A" for line in f
               if ":" in line):
            return True
    with open("/proc/net/tcp6") as f:
        return any(line.split()[1].endswith(":" + wanted) and line.split()[3] == "0A" for line in f
                   if ":" in line)


class Peer:
    """name: the column's; kinds: what it can do; the reason where it cannot."""

    name = ""
    template = None
    env = {}
    missing = {}  # kind: reason

    def version(self):
        raise NotImplementedError

    def command(self, config, values, kind):
        raise NotImplementedError

    def start(self, kind, values, directory, label=""):
        """values: UPSTREAM, UPSTREAM_TLS, certificates; ports are given here."""
        if kind in self.missing:
            raise Unavailable(self.missing[kind])
        ports = dict(zip((*KINDS, "admin"), tree.free_ports(len(KINDS) + 1)))
        directory = os.path.join(directory, self.name.replace(" ", "-") + label)
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o777)  # nginx's worker is another user
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        values = {**values, **{k.upper(): str(p) for k, p in ports.items()}, "DIR": directory,
                  "SNI_NAME": tree.HOST, "CONNECTIONS": str(files * 6 // 10),
                  "FILES": str(files), "NGINX_MODULES": "/usr/lib/nginx/modules"}
        config = None
        if self.template:
            with open(os.path.join(tree.PEERS, self.template)) as f:
                text = f.read()
            text = re.sub(r"@([A-Z_0-9]+)@", lambda m: values[m[1]], text)
            config = os.path.join(directory, self.template)
            with open(config, "w") as f:
                f.write(text)
        return Process(self.command(config, values, kind), self.env,
                       os.path.join(directory, "log"), ports, [ports[kind]])


class Haproxy(Peer):
    name, template = "HAProxy", "haproxy.cfg"

    def version(self):
        return _version(["haproxy", "-v"], r"version ([\d.]+)")

    def command(self, config, values, kind):
        return ["haproxy", "-db", "-f", config]


class Nginx(Peer):
    name, template = "nginx", "nginx.conf"

    def version(self):
        return _version(["nginx", "-v"], r"nginx/([\d.]+)")

    def command(self, config, values, kind):
        return ["nginx", "-e", "stderr", "-c", config]


class Caddy(Peer):
    name, template, env = "Caddy", "Caddyfile", {"GOMAXPROCS": "1"}
    missing = {kind: "Debian's Caddy proxies no plain TCP" for kind in ("tcp", "sni")}

    def version(self):
        return _version(["caddy", "version"], r"^v?([\d.]+)")

    def command(self, config, values, kind):
        return ["caddy", "run", "--config", config, "--adapter", "caddyfile"]


class Envoy(Peer):
    name, template = "Envoy", "envoy.yaml"

    def __init__(self):
        self.binary = os.environ.get("SLUICE_BENCH_ENVOY") or shutil.which("envoy")

    def version(self):
        if not self.binary:
            return None
        return _version([self.binary, "--version"], r"/([\d.]+)/")

    def command(self, config, values, kind):
        return [self.binary, "-c", config, "--concurrency", "1", "--disable-hot-restart",
                "--log-level", "error"]


def route_of(values, kind):
    """The one route of a kind, for fabio and sluice: a host's tcp route would be for its requests
    too."""
    routes = {"tcp": "route add tcp :{TCP} tcp://127.0.0.1:{UPSTREAM}",
              "sni": "route add sni {SNI_NAME}/ tcp://127.0.0.1:{UPSTREAM_TLS}"}
    return routes.get(kind, "route add web / http://127.0.0.1:{UPSTREAM}/").format(**values)


class Fabio(Peer):
    name, template = "fabio", "fabio.properties"
    # Without the second it does not run as root; a version that does not know it ignores it.
    env = {"GOMAXPROCS": "1", "FABIO_INSECURE": "true"}

    def __init__(self):
        self.binary = shutil.which("fabio") or os.environ.get("SLUICE_BENCH_FABIO")

    def version(self):
        return _version([self.binary, "-v"], r"^([\d.]+)") if self.binary else None

    def command(self, config, values, kind):
        return [self.binary, "-cfg", config, "-registry.static.routes", route_of(values, kind)]


class Limit(Peer):
    """The raw forwarder; it has one port, so it serves one kind at a time."""

    missing = {kind: "the raw forwarder ends no TLS" for kind in ("tls_p256", "tls_rsa")}

    def __init__(self, mode):
        self.mode, self.name = mode, "raw " + mode

    def version(self):
        return "bench/limit.cc"

    def command(self, config, values, kind):
        upstream = values["UPSTREAM_TLS" if kind == "sni" else "UPSTREAM"]
        return [tree.tool("limit"), self.mode, "127.0.0.1:" + values[kind.upper()],
                "127.0.0.1:" + upstream]


class Sluice(Peer):
    """`sluice lb` with static routes: only the listener of the kind, so that a build without one
    kind says so in that kind's rows alone."""

    name = "sluice"
    listeners = {"http": "", "tcp": ";proto=tcp", "sni": ";proto=tcp+sni",
                 "tls_p256": ";proto=https;cs=p256", "tls_rsa": ";proto=https;cs=rsa"}

    def version(self):
        return _version([tree.SLUICE, "version"], r"v?(\d[\d.]+\S*)")

    def words(self, values, kind):
        return ("127.0.0.1:" + values[kind.upper()] + self.listeners[kind], route_of(values, kind))

    def command(self, config, values, kind):
        address, routes = self.words(values, kind)
        stores = ["cs={0};type=file;cert={1};key={1}".format(name, values[name.upper() + "_PEM"])
                  for name in ("p256", "rsa")]
        words = [tree.SLUICE, "lb", "-proxy.addr", address, "-proxy.threads", "1",
                 "-ui.addr", "127.0.0.1:" + values["ADMIN"], "-proxy.strategy", "rr",
                 "-registry.backend", "static", "-registry.static.routes", routes]
        return words + (["-proxy.cs", ",".join(stores)] if kind.startswith("tls") else [])


class StaticProxy(Sluice):
    """The data plane alone (bench/static-proxy), with as many routes and changes as are asked."""

    def __init__(self, name="sluice data plane", *flags):
        self.name, self.flags = name, flags

    def version(self):
        return "bench/static_proxy.cc"

    def command(self, config, values, kind):
        return [tree.tool("static-proxy"), *self.flags, *self.words(values, kind)]


def others():
    return [Haproxy(), Nginx(), Limit("copy"), Limit("splice"), Envoy(), Caddy(), Fabio()]


def versions(peers):
    return {p.name: p.version() or "not on PATH" for p in peers}
