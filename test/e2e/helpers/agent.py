"""`sluice agent` on fresh ports and folders, its command line and its API."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from . import tree
from .ports import free_port, task_ports
from .process import Process
from .upgrade import Line, alive
from .wait import until


class ApiError(OSError):
    """An answer that is not 200; `text` is its plain body."""

    def __init__(self, status, text):
        super().__init__("%d %s" % (status, text))
        self.status, self.text = status, text


class Result:
    """What a verb printed and how it ended."""

    def __init__(self, completed):
        self.code = completed.returncode
        self.out = completed.stdout
        self.err = completed.stderr

    @property
    def all(self):
        return self.out + self.err

    def __repr__(self):
        return "<exit %d>\n%s" % (self.code, self.all)


def task_pids(folder):
    """The processes of tasks whose allocation folder is below this one: pid -> allocation."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = pathlib.Path("/proc", pid, "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        values = dict(e.split(b"=", 1) for e in environment if b"=" in e)
        if values.get(b"NOMAD_ALLOC_DIR", b"").startswith(str(folder).encode()):
            found[int(pid)] = values[b"NOMAD_ALLOC_ID"].decode()
    return found


class Agent:
    """One agent. The same object starts again on the same ports and folder, -dev or not."""

    def __init__(self, folder, dev=True, config="", flags=(), env=None, catalog=None,
                 wrapper=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.dev, self.flags, self.wrapper = dev, list(flags), list(wrapper)
        self.api_port, self.proxy_port, self.ui_port = free_port(), free_port(), free_port()
        self.api = "http://127.0.0.1:%d" % self.api_port
        self.traffic = "http://127.0.0.1:%d" % self.proxy_port
        self.ui = "http://127.0.0.1:%d" % self.ui_port
        self.catalog_port, self.dns_port = free_port(), free_port()
        self.catalog = "http://127.0.0.1:%d" % self.catalog_port
        self.env = env
        self.process = None
        self.line = None  # once it is upgraded: its processes
        self.config = self.folder / "agent.hcl"
        with_consul = "consul {" in config or any("consul-address" in str(f) for f in self.flags)
        if catalog is None:
            catalog = "" if with_consul else self._catalog_config()
        self.config.write_text(self._base_config() + catalog + config)

    def _base_config(self):
        return """
bind_addr = "127.0.0.1"
data_dir  = "%s"
ports {
  http = %d
}
server {
  enabled = true
}
client {
  enabled          = true
  min_dynamic_port = %d
  max_dynamic_port = %d
  options = {
    "driver.raw_exec.enable" = "true"
  }
}
proxy {
  addr              = "127.0.0.1:%d"
  ui_addr           = "127.0.0.1:%d"
  log_level         = "TRACE"
  log_access_target = "stdout"
}
""" % (self.folder / "data", self.api_port, *task_ports(), self.proxy_port, self.ui_port)

    def _catalog_config(self):
        return """
catalog {
  http_addr = "127.0.0.1:%d"
  dns_addr  = "127.0.0.1:%d"
}
""" % (self.catalog_port, self.dns_port)

    def launch(self):
        args = [*self.wrapper, tree.sluice, "agent", *(["-dev"] if self.dev else []), "-config",
                self.config]
        self.process = Process([*args, *self.flags], self.folder, "sluice", env=self.env)
        self.line = None
        return self

    def start(self):
        self.launch()

        def ready():
            if not self.process.running():
                raise RuntimeError("the agent ended: " + self.process.tail())
            return self.get("/v1/status/leader") and self.nodes_ready()
        until(ready, "the agent's API answers and its node is ready", 20)
        return self

    def nodes_ready(self):
        nodes = self.get("/v1/nodes")
        return nodes and all(n["Status"] == "ready" for n in nodes)

    def running(self):
        return self.process and (self.process.running() or
                                 self.line and any(map(alive, self.line.pids)))

    def stop(self):
        """The exit code, where no upgrade has put another process in its place."""
        if self.line:
            return self.line.end()
        return self.process.end(30)

    def kill(self):
        """As a crash: SIGKILL to the agent alone."""
        if self.line:
            self.line.kill()
            until(lambda: not self.running(), "the killed agent is gone")
        else:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @contextlib.contextmanager
    def replaced(self, how):
        """What is done in it happens while another process takes the agent's place: after its
        crash (how is "kill9"), or while it hands over to its successor ("upgrade")."""
        if how == "kill9":
            self.kill()
            yield
            self.start()
        else:
            assert how == "upgrade"
            self.line = self.line or Line(self)
            self.line.begin()
            yield
            self.line.wait()
            until(lambda: self.get("/v1/status/leader") and self.nodes_ready(),
                  "the successor's node is ready", 20)

    def replace(self, how):
        with self.replaced(how):
            pass

    def out(self):
        return self.process.out()

    def err(self):
        return self.process.err()

    def call(self, method, path, body=None, timeout=20):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                raw = answer.read()
                self.index = int(answer.headers.get("X-Nomad-Index", 0))
        except urllib.error.HTTPError as e:
            raise ApiError(e.code, e.read().decode(errors="replace")) from None
        return json.loads(raw)

    def get(self, path, **query):
        return self.call("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))

    def put(self, path, body=None):
        return self.call("PUT", path, body)

    def verb(self, *arguments, timeout=60, cwd=None):
        """A verb of the command line against this agent."""
        return Result(subprocess.run(
            [str(tree.sluice), *map(str, arguments)], capture_output=True, text=True, cwd=cwd,
            timeout=timeout, stdin=subprocess.DEVNULL,
            env={**os.environ, "NOMAD_ADDR": self.api, "SLUICE_ADDR": self.api}))

    def run(self, text, name="job.nomad", flags=()):
        """`job run` of a job file with this text; it must succeed."""
        path = self.folder / name
        path.write_text(text)
        result = self.verb("job", "run", *flags, path)
        assert result.code == 0, result
        return result

    def allocs(self, job, status=None):
        """The job's allocations that should run, newest first, or those in one client status."""
        found = self.get("/v1/job/%s/allocations" % urllib.parse.quote(job, safe=""))
        found.sort(key=lambda a: -a["CreateIndex"])
        if status:
            return [a for a in found if a["ClientStatus"] == status]
        return [a for a in found if a["DesiredStatus"] == "run"]

    def wait_running(self, job, count, timeout=20):
        def running():
            have = [a for a in self.allocs(job) if a["ClientStatus"] == "running"]
            return have if len(have) == count else None
        return until(running, "%s has %d running allocations" % (job, count), timeout)

    def routes(self, host=None):
        """The targets that get requests: one whose check does not pass is listed with none."""
        with urllib.request.urlopen(self.ui + "/api/routes", timeout=10) as answer:
            found = json.loads(answer.read())
        return [r for r in found if r["healthy"] and (host is None or r["host"] == host)]

    def wait_routes(self, host, count, timeout=20):
        def there():
            have = self.routes(host)
            return (True, have) if len(have) == count else None
        return until(there, "%s has %d routes" % (host, count), timeout)[1]

    def task_pids(self):
        return task_pids(self.folder)

    def supervisor_pid(self):
        """The process that holds the tasks: their parent, or the one that stands in for it."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = pathlib.Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"supervisor" in b" ".join(words[:3]) and str(self.folder).encode() in b" ".join(
                    words):
                return int(pid)
        raise LookupError("no supervisor of " + str(self.folder))

    def stop_jobs(self):
        for job in self.get("/v1/jobs"):
            if job["Status"] != "dead":
                self.call("DELETE", "/v1/job/" + urllib.parse.quote(job["ID"], safe=""))
        until(lambda: not self.task_pids(), "stopping the jobs ends their tasks", 30)
        # Of Docker's tasks the agent knows; it removes their containers before it says so.
        until(lambda: not [a["ID"] for a in self.get("/v1/allocations")
                           if a["ClientStatus"] in ("pending", "running")],
              "the allocations are over", 30)

    def clean_up(self):
        """Stops its jobs while it runs; what is left of its tasks then is the test's failure."""
        try:
            if self.running():
                self.stop_jobs()
                self.stop()
        finally:
            if self.line:
                self.line.kill()
        left = self.task_pids()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, "tasks outlived the agent: %s" % left
