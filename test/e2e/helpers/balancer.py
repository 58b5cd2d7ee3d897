"""`sluice lb`, the balancer alone, on fresh ports; and its admin API."""

import json
import pathlib
import urllib.error
import urllib.request

from . import tree
from .ports import free_port
from .process import Process
from .wait import until


class Balancer:
    """Flags by name with _ for the dots: Balancer(folder, registry_backend="static", ...)."""

    def __init__(self, folder, listeners=None, env=None, **flags):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.ui_port = free_port(), free_port()
        self.traffic = "http://127.0.0.1:%d" % self.port
        self.ui = "http://127.0.0.1:%d" % self.ui_port
        self.flags = {"proxy.addr": listeners or "127.0.0.1:%d" % self.port,
                      "ui.addr": "127.0.0.1:%d" % self.ui_port, "log.level": "TRACE",
                      "log.access.target": "stdout"}
        for name, value in flags.items():
            self.flags[name.replace("_", ".")] = value
        self.env = env
        self.process = None

    def launch(self):
        flags = ["-%s=%s" % (name, value) for name, value in self.flags.items()
                 if value is not None]
        self.process = Process([tree.sluice, "lb", *flags], self.folder, "sluice-lb", env=self.env)
        return self

    def start(self):
        self.launch()

        def ready():
            if not self.process.running():
                raise RuntimeError("the balancer ended: " + self.process.tail())
            return self.call("GET", "/health") == (200, "OK\n")
        until(ready, "the balancer is healthy", 20)
        return self

    def call(self, method, path, body=None):
        """(status, text) of the admin API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.ui + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def get(self, path):
        status, text = self.call("GET", path)
        assert status == 200, (status, text)
        return json.loads(text)

    def routes(self, service=None):
        return [r for r in self.get("/api/routes") if service is None or r["service"] == service]

    def wait_routes(self, count, service=None, timeout=20):
        def there():
            have = self.routes(service)
            return (True, have) if len(have) == count else None
        return until(there, "there are %d routes" % count, timeout)[1]

    def err(self):
        return self.process.err()

    def out(self):
        return self.process.out()
