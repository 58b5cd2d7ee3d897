"""The embedded catalog's HTTP side: where it listens, what it refuses, and curl as at Consul."""

import os
import re
import socket
import time

import pytest

from helpers import catalog_job
from helpers.wait import until


@pytest.fixture
def agent(make_agent):
    agent = make_agent().start()
    agent.run(catalog_job.text(), flags=["-detach"])
    return agent


def test_curl_as_at_consul(agent, curl):
    def entries(query=""):
        return curl(agent.catalog + "/v1/health/service/shop" + query).json()
    until(lambda: len(entries("?passing")) == 2, "both are passing")
    ports = {e["Service"]["Port"] for e in entries("?passing&tag=blue")}
    # The very ports that answer.
    assert len(ports) == 2
    for port in ports:
        assert curl("http://127.0.0.1:%d/health" % port).body == "ok\n"
    answer = curl(agent.catalog + "/v1/catalog/services?pretty")
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["x-consul-index"]) > 0
    assert answer.headers["x-consul-knownleader"] == "true"
    assert answer.headers["x-consul-lastcontact"] == "0"
    assert answer.headers["x-consul-effective-consistency"] == "leader"
    assert '\n    "shop": [\n        "a",\n        "Blue"\n    ]' in answer.body
    stale = curl(agent.catalog + "/v1/catalog/nodes?stale")
    assert stale.headers["x-consul-effective-consistency"] == "stale"


def test_what_it_refuses(agent, curl):
    def refused(status, path, *args):
        answer = curl(agent.catalog + path, *args)
        assert answer.status == status, answer
        return answer.body
    for path in ("/v1/agent/service/register", "/v1/catalog/register", "/v1/kv/a"):
        assert "read only" in refused(405, path, "-X", "PUT", "-d", "{}")
    assert "read only" in refused(405, "/v1/kv/a", "-X", "DELETE")
    body = refused(405, "/v1/catalog/nodes", "-X", "POST", "-d", "")
    assert body.startswith("method POST not allowed")
    unknown = refused(404, "/v1/sessions")
    assert "not a recognized HTTP API endpoint" in unknown and "/v1/sessions" in unknown
    # What is Consul's is not said to be "not found", which its clients take for an answer.
    for path in ("/v1/session/list", "/v1/session/info/x", "/v1/query", "/v1/query/x/execute",
                 "/v1/coordinate/nodes", "/v1/event/list", "/v1/operator/raft/configuration",
                 "/v1/connect/intentions", "/v1/health/connect/shop", "/v1/agent/metrics"):
        assert refused(501, path) == path + (
            ": not offered by sluice's embedded catalog, which holds the services of jobs and "
            "nothing else\n")
    assert refused(401, "/v1/acl/tokens") == "ACL support disabled"
    assert refused(404, "/v1/kv/a") == refused(404, "/v1/kv/?recurse") == ""
    assert refused(404, "/v1/kv/a?keys") == "" and refused(200, "/v1/kv/?keys") == "[]"
    assert refused(400, "/v1/kv/") == "Bad request: Missing key name"
    assert refused(500, "/v1/catalog/nodes?dc=x") == "No path to datacenter"
    assert refused(400, "/v1/health/service/") == "Bad request: Missing service name"
    assert refused(413, "/v1/kv/a", "-X", "PUT", "-H", "Expect:", "-d", "x" * 70000)
    # A page that a browser shows from elsewhere.
    assert "Host evil.example" in refused(403, "/v1/catalog/nodes", "-H", "Host: evil.example")
    assert "may not use" in refused(403, "/v1/catalog/nodes", "-H", "Origin: http://evil.example")
    assert curl(agent.catalog + "/v1/catalog/nodes", "-H", "Host: localhost").status == 200


def test_a_services_health_is_a_status(agent, curl):
    def asked(path, *args):
        return curl(agent.catalog + "/v1/agent/health/service/" + path, *args)
    until(lambda: asked("name/shop").status == 200 and asked("name/dull").status == 429
          and curl(agent.catalog + "/v1/health/service/shop?passing").json()[1:],
          "both are passing")
    answer = asked("name/shop")
    assert answer.headers["x-consul-reason"] == "passing"
    entries = answer.json()
    assert [e["AggregatedStatus"] for e in entries] == ["passing"] * 2
    assert [c["Status"] for e in entries for c in e["Checks"]] == ["passing"] * 2
    one = asked("id/" + entries[0]["Service"]["ID"])
    assert (one.status, one.json()) == (200, entries[0])
    for how in (["name/dull?format=text"], ["name/dull", "-H", "Accept: text/plain"]):
        dull = asked(*how)
        assert (dull.status, dull.body, dull.headers["content-type"]) == (
            429, "warning", "text/plain")
    sick = asked("name/sick")
    assert (sick.status, sick.headers["x-consul-reason"]) == (503, "critical")
    # Of a service that is not here, and with another case: as Consul's agent has it.
    for name in ("none", "SHOP", "consul"):
        missing = asked("name/" + name)
        assert (missing.status, missing.json()) == (404, [])
        assert missing.headers["x-consul-reason"] == "ServiceName %s Not Found" % name
    missing = asked("id/none")
    assert missing.status == 404 and missing.json() == {
        "AggregatedStatus": "critical", "Service": None, "Checks": None}
    assert asked("id/none?format=text").body == "ServiceId none not found"


def test_many_wait_and_their_close_ends_them(agent, curl):
    index = int(curl(agent.catalog + "/v1/kv/x").headers["x-consul-index"])
    waiting = []
    for _ in range(100):
        waiter = socket.create_connection(("127.0.0.1", agent.catalog_port))
        waiter.sendall(b"GET /v1/kv/x?index=%d&wait=10m HTTP/1.1\r\nHost: localhost\r\n\r\n"
                       % index)
        waiting.append(waiter)
    fds = "/proc/%d/fd" % agent.process.pid
    until(lambda: len(os.listdir(fds)) > 100, "all are waited for")
    assert curl(agent.catalog + "/v1/catalog/nodes").status == 200
    for waiter in waiting:
        waiter.close()
    until(lambda: len(os.listdir(fds)) < 100, "none is left")


def test_the_agent_ends_while_somebody_waits(agent, curl):
    index = int(curl(agent.catalog + "/v1/kv/x").headers["x-consul-index"])
    with socket.create_connection(("127.0.0.1", agent.catalog_port)) as waiter, \
            socket.create_connection(("127.0.0.1", agent.dns_port)) as dns:
        waiter.sendall(b"GET /v1/kv/x?index=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % index)
        dns.sendall(b"\0")
        # The next answer comes after the agent has seen these two.
        assert curl(agent.catalog + "/v1/catalog/nodes").status == 200
        agent.call("DELETE", "/v1/job/shop")
        assert agent.stop() == 0
        assert waiter.recv(100) == b"" and dns.recv(100) == b""


def test_off(make_agent):
    agent = make_agent(catalog='catalog {\n  http_addr = "off"\n  dns_addr = "off"\n}\n').start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", agent.catalog_port))
    assert "catalog's" not in agent.err()


def test_a_named_port_that_is_taken_ends_the_agent(make_agent, free_port):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        flags = ["-catalog-http-addr", "127.0.0.1:%d" % port]
        agent = make_agent(flags=flags).launch()
        assert agent.process.wait(10) == 1
    assert re.search(r"catalog http_addr: listen 127.0.0.1:%d: Address already in use" % port,
                     agent.err())


def test_the_usual_port_where_nobody_has_it(make_agent, curl):
    """The first agent takes Consul's port, unless something on this machine has it; the second one
    says that it is taken, and works."""
    first = make_agent("first", catalog="").start()
    second = make_agent("second", catalog="").start()
    took = "catalog's HTTP (Consul's calls) on http://127.0.0.1:8500" in first.err()
    missed = re.search(r"127.0.0.1:8500: Address already in use: no HTTP for the catalog",
                       first.err())
    assert took != bool(missed)
    if took:
        nodes = curl("http://127.0.0.1:8500/v1/catalog/nodes").json()
        assert nodes[0]["ID"] == first.get("/v1/nodes")[0]["ID"]
    said = re.findall(r"WARN.*127.0.0.1:8500: Address already in use: no HTTP", second.err())
    assert len(said) == 1


@pytest.mark.parametrize("address, why", [
    ("127.0.0.1", "catalog http_addr"), ("nowhere:80", "catalog http_addr"),
    ("127.0.0.1:99999", "catalog http_addr"),
    ("unix:///tmp/x.sock", "want an IP address and a port")])
def test_an_address_that_is_none(make_agent, address, why):
    agent = make_agent(flags=["-catalog-http-addr=" + address]).launch()
    assert agent.process.wait(10) == 1
    assert why in agent.err() and address in agent.err()


def test_with_consul_there_is_no_embedded_catalog_to_read(make_agent):
    agent = make_agent(flags=["-consul-address", "127.0.0.1:1", "-catalog-http-addr", "off"])
    agent.launch()
    assert agent.process.wait(10) != 0
    assert "http_addr and dns_addr are the embedded catalog's" in agent.err()


def test_an_index_rises_over_a_restart(make_agent, curl):
    agent = make_agent(dev=False).start()
    agent.run(catalog_job.text(), flags=["-detach"])

    def index():
        return int(curl(agent.catalog + "/v1/health/service/shop").headers["x-consul-index"])
    until(lambda: curl(agent.catalog + "/v1/health/service/shop?passing").json(), "one is passing")
    before = index()
    agent.stop()
    agent.start()
    begin = time.monotonic()
    # What waits with the old agent's index hears of the new one at once.
    answer = curl(agent.catalog + "/v1/health/service/shop?index=%d&wait=30s" % before)
    assert time.monotonic() - begin < 10
    assert int(answer.headers["x-consul-index"]) > before
