"""The orchestrator's side: from `job run` to the first answer, memory, and a rolling update."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

from compare import measure, peers, tree
from compare.loads import Load

IMAGE = "sluice-bench/backend:v1"
UPDATE_RATE = 1500

JOB = """
job "%(name)s" {
  datacenters = ["dc1"]
  type = "service"
  group "web" {
    count = %(count)d
    update {
      max_parallel     = 1
      min_healthy_time = "500ms"
      healthy_deadline = "30s"
      progress_deadline = "2m"
    }
    task "web" {
      driver = "%(driver)s"
      config {
        %(config)s
      }
      env {
        VERSION = "%(version)s"
      }
      resources {
        cpu    = 50
        memory = 32
        network {
          mbits = 1
          port "http" {}
        }
      }
      service {
        name = "%(name)s"
        port = "http"
        tags = ["urlprefix-%(name)s.example.com/"]
        check {
          type     = "http"
          path     = "/health"
          interval = "1s"
          timeout  = "1s"
        }
      }
    }
  }
}
"""


class Agent:
    """`sluice agent -dev` on ports of its own; it uses both cores, as where it is installed."""

    def __init__(self, directory):
        self.directory = os.path.join(directory, "agent")
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        self.api_port, self.proxy_port, self.ui_port = tree.free_ports(3)
        config = os.path.join(self.directory, "agent.hcl")
        with open(config, "w") as f:
            f.write('bind_addr = "127.0.0.1"\ndata_dir = "%s/data"\nports { http = %d }\n'
                    'catalog {\n  http_addr = "off"\n  dns_addr = "off"\n}\n'
                    'proxy {\n  addr = "127.0.0.1:%d"\n  ui_addr = "127.0.0.1:%d"\n}\n' %
                    (self.directory, self.api_port, self.proxy_port, self.ui_port))
        self.log = os.path.join(self.directory, "log")
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                ["taskset", "-c", "%d,%d" % (measure.PROXY_CORE, measure.LOAD_CORE),
                 tree.SLUICE, "agent", "-dev", "-config", config], stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        self.jobs = []
        self._wait(lambda: self._nodes_ready(), "the agent is ready", 30)

    def _wait(self, condition, what, timeout, every=0.02):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise peers.Unavailable("the agent ended: " + self._tail())
            try:
                if condition():
                    return
            except (OSError, http.client.HTTPException, ValueError):
                pass
            time.sleep(every)
        raise peers.Unavailable("not within %d s: %s; %s" % (timeout, what, self._tail()))

    def _tail(self):
        with open(self.log, errors="replace") as f:
            return " / ".join(line.strip() for line in f.readlines()[-3:])

    def get(self, path):
        url = "http://127.0.0.1:%d%s" % (self.api_port, path)
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.loads(answer.read())

    def _nodes_ready(self):
        nodes = self.get("/v1/nodes")
        return nodes and all(n["Status"] == "ready" for n in nodes)

    def verb(self, *words):
        out = subprocess.run([tree.SLUICE, *words], capture_output=True, text=True, timeout=60,
                             env={**os.environ,
                                  "NOMAD_ADDR": "http://127.0.0.1:%d" % self.api_port})
        if out.returncode != 0:
            raise peers.Unavailable("%s: %s" % (words[0], (out.stderr or out.stdout)[-300:]))

    def submit(self, name, count=1, driver="raw_exec", config=None, version="1"):
        config = config or ('command = "%s"\nargs = ["-http", "${NOMAD_ADDR_http}", "-https", '
                            '"off", "-version", "%s"]' % (tree.tool("demo-backend"), version))
        path = os.path.join(self.directory, name + ".nomad")
        with open(path, "w") as f:
            f.write(JOB % {"name": name, "count": count, "driver": driver, "config": config,
                           "version": version})
        if name not in self.jobs:
            self.jobs.append(name)
        self.verb("job", "run", "-detach", path)

    def answers(self, name):
        """One request through the balancer. Raw, so that asking costs next to nothing."""
        with socket.create_connection(("127.0.0.1", self.proxy_port), timeout=5) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: %s.example.com\r\nConnection: close\r\n\r\n" %
                      name.encode())
            return s.recv(64).startswith(b"HTTP/1.1 200")

    def first_answer(self, name, **job):
        started = time.monotonic()
        self.submit(name, **job)
        self._wait(lambda: self.answers(name), "%s answers" % name, 60, every=0.001)
        return time.monotonic() - started

    def running(self, name, count):
        def there():
            allocs = self.get("/v1/job/%s/allocations" % name)
            return sum(a["ClientStatus"] == "running" and a["DesiredStatus"] == "run"
                       for a in allocs) == count
        self._wait(there, "%d of %s run" % (count, name), 60)

    def deployed(self, name, version):
        def done():
            found = self.get("/v1/job/%s/deployment" % name)
            return found and found["JobVersion"] == version and found["Status"] == "successful"
        self._wait(done, "version %d of %s is deployed" % (version, name), 120)

    def stop_job(self, name):
        self.jobs.remove(name)
        self.verb("job", "stop", "-detach", name)

        def gone():
            allocs = self.get("/v1/job/%s/allocations" % name)
            return not any(a["ClientStatus"] in ("running", "pending") for a in allocs)
        self._wait(gone, "%s has stopped" % name, 60)

    def own_processes(self):
        """The agent and its helpers, without the tasks: {pid: name}."""
        found = {self.process.pid: "agent"}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    name = os.path.basename(f.read().split(b"\0")[0]).decode()
                with open("/proc/%s/stat" % pid) as f:
                    started = int(f.read().rsplit(")", 1)[1].split()[19])
            except (OSError, IndexError, ValueError):
                continue
            if name.startswith("sluice-") and started >= self._started_tick():
                found[int(pid)] = name
        return found

    def _started_tick(self):
        with open("/proc/%d/stat" % self.process.pid) as f:
            return int(f.read().rsplit(")", 1)[1].split()[19])

    def stop(self):
        for name in list(self.jobs):
            try:
                self.stop_job(name)
            except (peers.Unavailable, OSError, subprocess.TimeoutExpired):
                pass
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _needs_agent():
    if not os.path.exists(tree.SLUICE):
        raise peers.Unavailable("build/sluice is not built")


def _first_answers(options, directory, title, driver, config, most_ms):
    _needs_agent()
    agent = Agent(directory)
    times = []
    try:
        for i in range(max(3, options.rounds)):
            name = "first%d" % i
            times.append(agent.first_answer(name, driver=driver, config=config) * 1000)
            agent.stop_job(name)
    finally:
        agent.stop()
    middle = measure.median(times)
    return {"id": title, "title": title, "about": "Milliseconds from the start of `sluice job run` "
            "to the first 200 through the balancer; a check of 1 s. Under %d is wanted." % most_ms,
            "head": ["median", "least", "most", "met"],
            "lines": [["%.0f" % middle, "%.0f" % min(times), "%.0f" % max(times),
                       "yes" if middle < most_ms else "no"]], "figures": {"ms": times}}


def _docker_request(method, path, body=None, timeout=60):
    connection = http.client.HTTPConnection("docker", timeout=timeout)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(timeout)
    connection.sock.connect("/var/run/docker.sock")
    connection.request(method, path, body, {"Content-Type": "application/x-tar"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def _make_image():
    """FROM scratch, the static demo backend: no registry is asked."""
    import io
    import tarfile
    try:
        _docker_request("GET", "/_ping", timeout=5)
    except OSError as e:
        raise peers.Unavailable("no Docker daemon answers on its socket (%s)" % e) from e
    dockerfile = b'FROM scratch\nCOPY backend /backend\n' \
        b'ENTRYPOINT ["/backend", "-http", ":8081", "-https", "off"]\n'
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        tar.addfile(info, io.BytesIO(dockerfile))
        tar.add(tree.tool("demo-backend"), "backend")
    status, raw = _docker_request("POST", "/build?rm=true&t=" + IMAGE, context.getvalue(), 300)
    if status != 200 or b'"error"' in raw:
        raise peers.Unavailable("building the image: %d %s" % (status, raw[-200:]))


def first_docker(options, directory):
    _make_image()
    return _first_answers(options, directory, "From job run to the first answer, Docker", "docker",
                          'image = "%s"\nport_map { http = 8081 }' % IMAGE, 1000)


def memory(options, directory):
    _needs_agent()
    agent = Agent(directory)
    try:
        agent.submit("four", count=4)
        agent.running("four", 4)
        agent._wait(lambda: agent.answers("four"), "it answers", 30)
        time.sleep(1)
        sizes = {}
        for pid, name in agent.own_processes().items():
            kb = _pss_kb(pid)
            sizes.setdefault(name, []).append(kb)
    finally:
        agent.stop()
    total = sum(map(sum, sizes.values()))
    lines = [["%d x %s" % (len(kb), name), "%.2f" % (sum(kb) / 1024)] for name, kb in
             sizes.items()]
    return {"id": "agent-memory", "title": "Memory of an agent with 4 raw_exec tasks",
            "about": "Proportional set size in MiB of everything but the tasks themselves; under "
            "30 in all is wanted: %s." % ("met" if total < 30 * 1024 else "not met"),
            "head": ["processes", "MiB"], "lines": lines + [["in all", "%.2f" % (total / 1024)]],
            "figures": sizes}


def _pss_kb(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


def update(options, directory):
    _needs_agent()
    agent = Agent(directory)
    seconds = 12 if options.quick else 20
    try:
        agent.submit("roll", count=4)
        agent.running("roll", 4)
        agent.deployed("roll", 0)
        load = Load(32, "-errors").command(agent.proxy_port, seconds, UPDATE_RATE)
        load[load.index("-host") + 1] = "roll.example.com"
        process = subprocess.Popen(load, stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(1)
            agent.submit("roll", count=4, version="2")
            agent.deployed("roll", 1)
            still = process.poll() is None
            out, _ = process.communicate(timeout=seconds + 30)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        result = json.loads(out.strip().splitlines()[-1])
    finally:
        agent.stop()
    if not still:
        raise peers.Unavailable("the update took longer than the load of %d s" % seconds)
    lost = result["errors"] + result["bad_status"]
    return {"id": "update", "title": "Requests lost in a rolling update",
            "about": "4 instances, one after another, at %d requests a second; 0 is wanted." %
            UPDATE_RATE, "head": ["requests", "without an answer", "other than 200", "p99.9 ms",
                                  "met"],
            "lines": [["{:,}".format(result["requests"]), str(result["errors"]),
                       str(result["bad_status"]), "%.1f" % (result["p999_us"] / 1000),
                       "yes" if lost == 0 else "no: " + result["first_error"]]],
            "figures": result}


def parts(options, directory):
    return [("From job run to the first answer, raw_exec",
             lambda: _first_answers(options, directory,
                                    "From job run to the first answer, raw_exec", "raw_exec", None,
                                    150)),
            ("From job run to the first answer, Docker",
             lambda: first_docker(options, directory)),
            ("Memory of an agent with 4 raw_exec tasks", lambda: memory(options, directory)),
            ("Requests lost in a rolling update", lambda: update(options, directory))]
