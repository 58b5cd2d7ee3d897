"""SIGUSR2: the running binary is replaced without a connection lost."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

from helpers import tree
from helpers.certificates import Authority
from helpers.load import Clients, Load
from helpers.ports import free_port
from helpers.tls_site import Site
from helpers.upgrade import alive
from helpers.wait import until

UPGRADES = int(os.environ.get("SLUICE_UPGRADES", "5"))
ROUTE_CHANGES = 1_000


class Connects(Clients):
    """New connections all the time, one request each: a listener's queue that is lost shows as a
    reset, a closed listener as a refusal."""

    def __init__(self, port, host, clients=4):
        super().__init__(clients)
        self.port, self.host = port, host

    def _run(self):
        request = ("GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % self.host).encode()
        while not self._stop.is_set():
            got = b""
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
                    client.sendall(request)
                    while piece := client.recv(65536):
                        got += piece
                with self._lock:
                    if got.startswith(b"HTTP/1.1 200 "):
                        self.answered += 1
                    else:
                        self.failures.append(repr(got[:80]))
            except OSError as e:
                with self._lock:
                    self.failures.append(repr(e))
            self._stop.wait(0.01)


def test_upgrades_and_route_changes_under_load(lb, backend, line, tmp_path):
    """Keep-alive clients, clients with a connection each, and a file of routes that changes all the
    time: nothing is refused, reset or answered by the wrong backend."""
    one, other = backend("-name", "one"), backend("-name", "other")
    routes = tmp_path / "routes"

    def write(number):
        text = "route add one one.com/ %s\nroute add other other.com/ %s\n" % (
            one.http_url, other.http_url)
        text += "route add n%d changing.com/ %s\n" % (number, one.http_url)
        fresh = tmp_path / "routes.new"
        fresh.write_text(text)
        fresh.rename(routes)
    write(0)

    def live():
        return [r["service"] for r in balancer.routes() if r["host"] == "changing.com"][0]
    balancer = lb(registry_backend="file", registry_file_path=str(routes), log_level="INFO",
                  proxy_upgradewait="20s").start()
    all_of_it = line(balancer)
    changes = 0
    with Load(balancer.port, "one.com", clients=4, rate=300) as to_one, \
            Load(balancer.port, "other.com", clients=4, rate=300) as to_other, \
            Connects(balancer.port, "one.com") as connects:
        for number in range(UPGRADES):
            until(lambda: to_one.answered > 0 and to_other.answered > 0, "the load runs")
            while changes < ROUTE_CHANGES * (number + 1) // UPGRADES:
                changes += 1
                write(changes)
                # The balancer looks twice a second; SIGHUP has it look now.
                os.kill(all_of_it.pid, signal.SIGHUP)
                until(lambda: live() == "n%d" % changes, "change %d is live" % changes, every=0.002)
            all_of_it.upgrade()
            to_one.wait_answered(20)
            to_other.wait_answered(20)
        assert live() == "n%d" % ROUTE_CHANGES
        to_one.wait_answered(50)
    assert (to_one.failures, to_other.failures, connects.failures) == ([], [], [])
    assert connects.answered > 20 * UPGRADES
    assert set(to_one.bodies) != set(to_other.bodies)
    assert len(to_one.bodies) == len(to_other.bodies) == 1
    assert not any(alive(pid) for pid in all_of_it.pids[:-2])
    all_of_it.end()


def test_what_is_under_way_ends_in_the_old_process(lb, backend, line, curl):
    balancer = lb(registry_backend="static", log_level="INFO",
                  registry_static_routes="route add web a.com/ " + backend().http_url).start()
    both = line(balancer)
    old = both.pid
    slow = curl.start(balancer.traffic + "/sleep/1500", "-H", "Host: a.com")
    until(lambda: '"outstanding":1' in balancer.call(
        "GET", "/api/explain?url=http://a.com/")[1].replace(" ", ""), "the request is under way")
    with socket.create_connection(("127.0.0.1", balancer.port), timeout=15) as idle:
        request = b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n"
        idle.sendall(request)
        assert b"Connection: close" not in idle.recv(65536)
        both.upgrade()
        # A client that was idle in the old process may send one more there, and hears that it was
        # the last.
        idle.sendall(request)
        last = b""
        while piece := idle.recv(65536):
            last += piece
        assert last.startswith(b"HTTP/1.1 200 ") and b"onnection: close\r\n" in last
    answer = slow.result()
    assert answer.status == 200 and answer.headers["connection"] == "close"
    until(lambda: not alive(old), "the old process has ended")
    assert balancer.process.wait() == 0
    assert curl(balancer.traffic, "-H", "Host: a.com").status == 200
    both.end()


def test_a_tunnel_lives_on_and_ends_at_the_limit(lb, line):
    listener = socket.create_server(("127.0.0.1", 0))
    balancer = lb(registry_backend="static", log_level="INFO", proxy_upgradewait="1500ms")
    balancer.flags["proxy.addr"] += ";proto=tcp"
    balancer.flags["registry.static.routes"] = "route add t :%d tcp://127.0.0.1:%d" % (
        balancer.port, listener.getsockname()[1])
    balancer.start()
    both = line(balancer)
    old = both.pid
    with socket.create_connection(("127.0.0.1", balancer.port), timeout=15) as client:
        client.sendall(b"before")
        peer, _ = listener.accept()
        peer.settimeout(15)
        assert peer.recv(100) == b"before"
        both.upgrade()
        client.sendall(b"after")
        assert peer.recv(100) == b"after"
        peer.sendall(b"answer")
        assert client.recv(100) == b"answer"
        until(lambda: not alive(old), "the limit has passed")
        with pytest.raises(ConnectionResetError):  # an end would say that nothing is missing
            peer.recv(100)
        peer.close()
    assert "not drained after 1500 ms: what is under way is cut" in balancer.err()
    both.end()


def test_a_successor_that_fails_changes_nothing(lb, backend, line, curl, tmp_path):
    """The settings' file was broken meanwhile."""
    settings = tmp_path / "sluice.properties"
    settings.write_text("registry.static.routes = route add web a.com/ %s\n" % backend().http_url)
    balancer = lb(registry_backend="static", cfg=str(settings), log_level="INFO").start()
    settings.write_text("proxy.strategy = best\n")
    os.kill(balancer.process.pid, signal.SIGUSR2)
    balancer.process.wait_for(r"upgrade: process \d+ ended with status 1 before it was ready; "
                              r"this process goes on")
    assert "-proxy.strategy best: want rnd" in balancer.err()
    for _ in range(20):
        assert curl(balancer.traffic, "-H", "Host: a.com").status == 200
    assert balancer.call("GET", "/health") == (200, "OK\n")
    # And it can still be upgraded once the file is good again.
    settings.write_text("registry.static.routes = route add web b.com/ %s\n" % backend().http_url)
    both = line(balancer)
    both.upgrade()
    assert curl(balancer.traffic, "-H", "Host: b.com").status == 200
    both.end()


def test_a_program_that_is_gone_changes_nothing(lb, backend, curl, tmp_path, monkeypatch):
    program = tmp_path / "sluice"
    shutil.copy(tree.sluice, program)
    monkeypatch.setattr(tree, "sluice", pathlib.Path(program))
    balancer = lb(registry_backend="static", log_level="INFO",
                  registry_static_routes="route add web a.com/ " + backend().http_url).start()
    program.unlink()
    os.kill(balancer.process.pid, signal.SIGUSR2)
    balancer.process.wait_for(r"\[ERROR\] upgrade: start .*; this process goes on")
    assert curl(balancer.traffic, "-H", "Host: a.com").status == 200


def listening(port):
    """The sockets that listen there, by their inodes."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return {r[9] for r in rows if r[1].endswith(":%04X" % port) and r[3] == "0A"}


def test_fewer_and_more_reactors(lb, backend, line, tmp_path):
    """Each socket that the old process had goes along and is accepted from, also where there are
    fewer reactors now: the queue of one that closes would be reset."""
    settings = tmp_path / "sluice.properties"
    settings.write_text("proxy.threads = 4\n")
    balancer = lb(registry_backend="static", cfg=str(settings), log_level="INFO",
                  registry_static_routes="route add web a.com/ " + backend().http_url).start()
    all_of_it = line(balancer)
    with Connects(balancer.port, "a.com", clients=8) as connects:
        first = listening(balancer.port)
        assert len(first) == 4
        for threads in (1, 6, 2):
            settings.write_text("proxy.threads = %d\n" % threads)
            old = all_of_it.pid
            all_of_it.upgrade()
            until(lambda old=old: not alive(old), "the old process has ended")
            assert first <= listening(balancer.port)
            goal = connects.answered + 100
            until(lambda goal=goal: connects.answered > goal, "the load runs on")
    assert connects.failures == []
    assert len(listening(balancer.port)) == 6
    all_of_it.end()


def test_a_tls_session_resumes_with_the_successor_and_back(lb, backend, line, tmp_path):
    """The ticket keys go along: also a ticket of two processes ago is good."""
    pair = Authority(tmp_path / "ca").issue(["a.test"])
    site = Site(lb, backend, "cs=main;type=file;cert=%s;key=%s" % (pair.cert, pair.key))
    site.lb.start()
    all_of_it = line(site.lb)
    ticket = tmp_path / "session"

    def connect(*arguments):
        return subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % site.port, "-servername",
             "a.test", "-ign_eof", *map(str, arguments)], input=b"GET / HTTP/1.0\r\n\r\n",
            capture_output=True, timeout=20).stdout
    assert b"\nReused, TLS" not in connect("-sess_out", ticket)
    for _ in range(2):
        all_of_it.upgrade()
        assert b"\nReused, TLS" in connect("-sess_in", ticket)
    all_of_it.end()


def test_routes_of_a_consul_that_is_away_go_along(lb, backend, line, curl, consul):
    """The successor has the table before Consul has said anything; what Consul says then counts
    alone."""
    web = backend()
    consul.put("/v1/agent/service/register", {
        "ID": "web", "Name": "web", "Address": "127.0.0.1", "Port": web.http_port,
        "Tags": ["urlprefix-a.com/"],
        "Check": {"HTTP": web.http_url + "health", "Interval": "1s", "Status": "passing"}})
    balancer = lb(registry_consul_addr=consul.address, registry_consul_register_enabled="false",
                  log_level="INFO").start()
    both = line(balancer)
    until(lambda: curl(balancer.traffic, "-H", "Host: a.com").status == 200, "the route is live")
    consul.stop()
    both.upgrade()
    assert curl(balancer.traffic, "-H", "Host: a.com").status == 200
    until(lambda: not alive(both.pids[0]), "the old process has ended")
    assert [r["host"] for r in balancer.routes()] == ["a.com"]
    consul.start()
    until(lambda: curl(balancer.traffic, "-H", "Host: a.com").status == 404,
          "a Consul that has forgotten the service counts")
    both.end()


def test_endpoints_and_the_version_of_the_table_go_along(lb, backend, line, curl):
    """An endpoint that was ejected stays so in the successor, and no version comes twice."""
    metrics, dead = free_port(), free_port()
    good = backend()
    balancer = lb(registry_backend="static", log_level="INFO", proxy_strategy="rr",
                  registry_static_routes="route add web a.com/ %s\n"
                  "route add web a.com/ http://127.0.0.1:%d/" % (good.http_url, dead))
    balancer.flags["proxy.addr"] += ",127.0.0.1:%d;proto=prometheus" % metrics
    balancer.start()
    both = line(balancer)

    def states():
        said = balancer.get("/api/explain?url=http://a.com/")
        return sorted(t["state"] for t in said["candidates"][0]["targets"] if "rests" in t["state"])

    def metric(name):
        text = curl("http://127.0.0.1:%d/metrics" % metrics).body
        return float(re.search(r"^\S*%s(?:{.*})? (\S+)$" % name, text, re.M).group(1))
    for _ in range(20):
        assert curl(balancer.traffic, "-H", "Host: a.com").status == 200
    assert states() == ["passed over: it failed and rests"]
    assert metric("upstream_retries_total") == 5 and metric("upstream_ejections_total") == 1
    for _ in range(2):
        before = metric("table_version")
        both.upgrade()
        assert states() == ["passed over: it failed and rests"]
        assert metric("table_version") > before
    for _ in range(20):
        assert curl(balancer.traffic, "-H", "Host: a.com").status == 200
    assert metric("upstream_retries_total") == 0  # nobody asked the dead one
    both.end()
