"""Everything at once, for as long as SLUICE_SOAK_SECONDS says (6; by hand 600): HTTP kept alive and
not, TLS, bodies up and down, websockets and TCP, while routes change all the time and an upstream
dies again and again. Nothing else fails, and what the balancer holds does not grow."""

import json
import os
import pathlib
import statistics
import subprocess
import threading
import time

from helpers import tree
from helpers.certificates import Authority
from helpers.ports import free_port
from helpers.proc import descriptors
from helpers.process import Process
from helpers.wait import until

SECONDS = int(os.environ.get("SLUICE_SOAK_SECONDS", "6"))
LONG = 120  # seconds from which on memory says something: before, pools still fill
GROWTH = 1.05
LOAD = tree.build / "bench" / "load"
WS_ECHO = tree.build / "bench" / "ws-echo"


def resident_kib(pid):
    status = pathlib.Path("/proc/%d/status" % pid).read_text()
    return int(status.split("VmRSS:")[1].split()[0])


class Churn(threading.Thread):
    """Routes come and go, an upstream dies and comes back; and samples of what is held."""

    def __init__(self, balancer, routes, steady, backend):
        super().__init__()
        self.balancer, self.routes, self.steady, self.backend = balancer, routes, steady, backend
        self.over = threading.Event()
        self.changes, self.deaths = 0, 0
        self.resident, self.open = [], []
        self.frail = backend()
        self.write()

    def write(self):
        self.changes += 1
        more = ["route add n%d n%d.test/ http://127.0.0.1:9/" % (n, n)
                for n in range(self.changes % 200)]
        fresh = self.routes.with_suffix(".new")
        fresh.write_text("\n".join([*self.steady, *more, "route add frail frail.test/ "
                                    + self.frail.http_url]) + "\n")
        fresh.rename(self.routes)
        os.kill(self.balancer.process.pid, 1)  # SIGHUP: look now

    def run(self):
        began = time.monotonic()
        while not self.over.wait(0.1):
            self.write()
            if time.monotonic() - began > (self.deaths + 1) * 3:
                self.deaths += 1
                self.frail.process.kill()
                self.frail = self.backend()
            self.resident.append(resident_kib(self.balancer.process.pid))
            self.open.append(sum(descriptors(self.balancer.process.pid).values()))


def start_loads(ports):
    def load(port, *flags):
        return subprocess.Popen(
            [LOAD, "run", "-to", "127.0.0.1:%d" % port, "-seconds", str(SECONDS), "-errors",
             *map(str, flags)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    http = ("-host", "steady.test")
    return {
        "keep-alive": load(ports["http"], *http, "-connections", 32, "-rate", 400),
        "new connections": load(ports["http"], *http, "-new", "-connections", 8, "-rate", 60),
        "bodies down": load(ports["http"], *http, "-connections", 4, "-rate", 20, "-path",
                            "/size/1000000"),
        "bodies up": load(ports["http"], *http, "-connections", 4, "-rate", 10, "-path",
                          "/upload", "-upload", 1000000),
        "slow answers": load(ports["http"], *http, "-connections", 16, "-rate", 30, "-path",
                             "/sleep/300"),
        "TLS": load(ports["https"], *http, "-tls", "-sni", "steady.test", "-connections", 8,
                    "-rate", 100),
        "TLS handshakes": load(ports["https"], *http, "-tls", "-sni", "steady.test", "-new",
                               "-connections", 4, "-rate", 20),
        "websockets": load(ports["http"], "-host", "ws.test", "-message", 32, "-connections", 16,
                           "-rate", 200),
        "TCP": load(ports["tcp"], *http, "-connections", 8, "-rate", 100),
        "frail": load(ports["http"], "-host", "frail.test", "-connections", 8, "-rate", 50),
    }


def test_soak(lb, backend, tmp_path):
    pair = Authority(tmp_path / "ca").issue(["steady.test"])
    ports = {name: free_port() for name in ("http", "https", "tcp", "ws")}
    upstreams = [backend(), backend()]
    echo = Process([WS_ECHO, "127.0.0.1:%d" % ports["ws"]], tmp_path)
    steady = ["route add steady steady.test/ " + each.http_url for each in upstreams]
    steady += ["route add tcp :%d tcp://127.0.0.1:%d" % (ports["tcp"], each.http_port)
               for each in upstreams]
    steady.append("route add ws ws.test/ http://127.0.0.1:%d/" % ports["ws"])
    routes = tmp_path / "routes"
    routes.write_text("\n".join(steady) + "\n")
    balancer = lb(
        listeners="127.0.0.1:%(http)d,127.0.0.1:%(https)d;cs=main,127.0.0.1:%(tcp)d;proto=tcp"
        % ports,
        proxy_cs="cs=main;type=file;cert=%s;key=%s" % (pair.cert, pair.key),
        registry_backend="file", registry_file_path=str(routes), log_level="WARN",
        log_access_target="").start()
    pid = balancer.process.pid
    before = descriptors(pid)
    churn = Churn(balancer, routes, steady, backend)
    churn.start()
    try:
        results = {name: json.loads(load.communicate(timeout=SECONDS + 60)[0])
                   for name, load in start_loads(ports).items()}
    finally:
        churn.over.set()
        churn.join()
    shown = {name: (r["requests"], r["errors"], r["bad_status"]) for name, r in results.items()}
    print("(answered, errors, bad statuses): %s; %d route changes, %d deaths" % (
        shown, churn.changes, churn.deaths))
    frail = shown.pop("frail")
    assert all(errors == bad == 0 for _, errors, bad in shown.values()), shown
    assert all(answered > SECONDS for answered, _, _ in shown.values()), shown
    assert frail[0] > 0 and churn.changes > SECONDS * 3
    quarter = len(churn.resident) // 4
    early, late = (statistics.median(churn.resident[part]) for part in (
        slice(quarter, 2 * quarter), slice(-quarter, None)))
    print("resident: %d KiB in the second quarter, %d KiB in the last; open at most %d" % (
        early, late, max(churn.open)))
    if SECONDS >= LONG:
        assert late <= early * GROWTH
    # Kept connections to upstreams end with these; then nothing more is open than in the beginning.
    for each in [*upstreams, churn.frail]:
        each.process.kill()
    echo.kill()
    until(lambda: descriptors(pid)["socket"] <= before["socket"], "its sockets are closed", 30)
    left = descriptors(pid) - before
    left.pop("pipe", None)  # pooled for splicing
    assert not left, left
