"""A balancer with one TLS listener before one demo backend, seen by `openssl s_client`."""

import re
import subprocess

from .ports import free_port
from .wait import until


class Site:
    def __init__(self, lb, backend, stores, listener="cs=main", **flags):
        self.port = free_port()
        self.upstream = backend()
        self.lb = lb(listeners="127.0.0.1:%d;%s" % (self.port, listener), proxy_cs=stores,
                     registry_backend="static", registry_static_routes="route add web / "
                     + self.upstream.http_url, **flags)

    def shown(self, name, *arguments):
        """The common name of the certificate that a client which asks for `name` is shown."""
        done = subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.port, "-servername", name,
             *map(str, arguments)], input=b"Q\n", capture_output=True, timeout=20)
        found = re.search(r"^subject=CN = (\S+)$", done.stdout.decode(errors="replace"), re.M)
        return found and found.group(1)

    def until_shown(self, name, subject):
        until(lambda: self.shown(name) == subject, "%s is shown %s" % (name, subject))

    def until_said(self, text):
        until(lambda: text in self.lb.err(), "the log says: " + text)
