"""The user's own jobs as they stand, with a real dockerd and a real Consul."""

import pathlib
import re

import pytest
from helpers import jobs, tree
from helpers.load import Load
from helpers.wait import stays, until

HOST = "mysite.com:9999"


@pytest.fixture
def agent(docker, consul, make_agent):  # taken down in reverse: the agent needs both to stop
    return make_agent(flags=["-docker-socket", docker.sock], config="""
consul {
  address = "%s"
}
""" % consul.address).start()


def run(agent, name, *flags):
    result = agent.verb("job", "run", *flags, tree.examples / name)
    assert result.code == 0, result


def containers(docker, agent):
    """The running ones of this agent's allocations: docker names them task-allocation."""
    ids = {a["ID"] for a in agent.get("/v1/allocations")}
    return {c["Id"]: c for c in docker.containers() if c["State"] == "running"
            and any(c["Names"][0].endswith("-" + i) for i in ids)}


def test_httpbackend_1_then_2_then_a_kill_then_stop(agent, docker, consul, curl):
    run(agent, "httpbackend-1.nomad")
    agent.wait_running("httpbackend", 2, 60)
    before = containers(docker, agent)
    assert len(before) == 2
    until(lambda: len(consul.services("httpbackend")) == 2, "Consul knows both instances")
    stays(lambda: agent.routes(HOST) == [], "no route without a check", 1)

    # In place: the same containers get a tag and a check.
    run(agent, "httpbackend-2.nomad")
    agent.wait_routes(HOST, 2, 40)
    assert set(containers(docker, agent)) == set(before)
    answer = curl(agent.traffic, "-H", "Host: " + HOST, "-H", "Trace: abc")
    assert (answer.status, answer.body) == (200, "this is httpbackendservice, version: v1.0.0\n")
    until(lambda: agent.err().count("[TRACE] abc ") == 4, "four trace lines")
    stamp = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[TRACE\] abc "
    traces = [line for line in agent.err().splitlines() if "[TRACE] abc " in line]
    for line, text in zip(traces, (
            r"Tracing mysite\.com:9999/", r"Matching hosts: \[mysite\.com:9999\]",
            r"Match mysite\.com:9999/",
            r"Routing to service httpbackend on http://127\.0\.0\.1:\d+/")):
        assert re.fullmatch(stamp + text, line), traces
    access = r'^127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 200 44$'
    until(lambda: re.search(access, agent.out(), re.M), "the access line")
    assert curl(agent.traffic, "-H", "Host: nobody.example").status == 404

    # One is killed behind our back: it comes back (restart delay 15 s), and no request fails.
    victim = sorted(before)[0]
    with Load(agent.proxy_port, HOST, rate=200) as load:
        load.wait_answered(100)
        docker.kill(victim)
        until(lambda: len(containers(docker, agent)) == 2
              and victim not in containers(docker, agent), "a new container runs", 60)
        agent.wait_routes(HOST, 2, 40)
    assert load.failures == []

    assert agent.verb("job", "stop", "httpbackend").code == 0
    until(lambda: containers(docker, agent) == {}, "the containers end", 40)
    until(lambda: consul.services("httpbackend") == [], "Consul's services go")
    agent.wait_routes(HOST, 0)
    until(lambda: not [c for c in docker.containers() if "httpbackend" in c["Names"][0]],
          "nothing is left in Docker", 40)


def test_raw_exec_with_consul(consul, make_agent, curl):
    agent = make_agent(config='consul {\n  address = "%s"\n}\n' % consul.address).start()
    agent.run(jobs.http(count=2, host="shop.test"))
    agent.wait_routes("shop.test", 2)
    services = consul.services("shop")
    assert {s["Service"]["Port"] for s in services} == {
        int(r["dst"].rstrip("/").rpartition(":")[2]) for r in agent.routes("shop.test")}
    assert agent.verb("job", "stop", "shop").code == 0
    until(lambda: consul.services("shop") == [], "Consul's services go")
    agent.wait_routes("shop.test", 0)


def test_a_service_that_others_registered_is_routed_to(consul, make_agent, backend, curl):
    agent = make_agent(config='consul {\n  address = "%s"\n}\n' % consul.address).start()
    b = backend("-name", "foreign")
    consul.put("/v1/agent/service/register", {
        "Name": "foreign", "Address": "127.0.0.1", "Port": b.http_port,
        "Tags": ["urlprefix-foreign.test/"],
        "Check": {"HTTP": b.http_url + "health", "Interval": "1s"}})
    agent.wait_routes("foreign.test", 1)
    assert "foreign" in curl(agent.traffic, "-H", "Host: foreign.test").body


def test_routes_stay_when_consul_goes_away(consul, make_agent, curl):
    agent = make_agent(config='consul {\n  address = "%s"\n}\n' % consul.address).start()
    agent.run(jobs.http(count=2, host="shop.test"))
    agent.wait_routes("shop.test", 2)
    consul.kill()
    until(lambda: re.search(r"\[WARN\].*[Cc]onsul", agent.err()), "a warning")
    stays(lambda: len(agent.routes("shop.test")) == 2, "the routes", 3)
    assert curl(agent.traffic, "-H", "Host: shop.test").status == 200
    consul.start()  # -dev: its data is lost; what we run is registered again
    until(lambda: len([s for s in consul.services("shop") if all(
        c["Status"] == "passing" for c in s["Checks"])]) == 2, "registered again", 60)
    agent.wait_routes("shop.test", 2)


def test_a_job_stops_at_once_while_consul_is_away(consul, make_agent, curl):
    agent = make_agent(config='consul {\n  address = "%s"\n}\n' % consul.address).start()
    agent.run(jobs.http(count=2, host="shop.test"))
    agent.wait_routes("shop.test", 2)
    consul.kill()
    until(lambda: re.search(r"\[WARN\] consul: .*the routes stay", agent.err()), "a warning")
    assert agent.verb("job", "stop", "shop").code == 0
    # Far below drain_timeout: no balancer picks them any more, whatever Consul said last.
    until(lambda: not agent.task_pids(), "the tasks end", 10)
    stays(lambda: agent.routes("shop.test") == [], "no request goes to what is gone", 1)
    assert curl(agent.traffic, "-H", "Host: shop.test").status == 503
    assert len(re.findall(r"\[WARN\] consul: .*the routes stay", agent.err())) == 1  # said once
    consul.start()
    until(lambda: "consul: answers again" in agent.err(), "the agent finds it again", 40)
    until(lambda: consul.services("shop") == [], "nothing of it in Consul")


def test_the_agent_starts_without_consul(make_agent, free_port):
    agent = make_agent(config='consul {\n  address = "127.0.0.1:%d"\n}\n' % free_port()).start()
    # Its check passes nowhere as long as there is no Consul: that is not waited for.
    agent.run(jobs.http(), flags=["-detach"])
    agent.wait_running("shop", 1)
    until(lambda: re.search(r"\[WARN\].*[Cc]onsul", agent.err()), "a warning")


def test_no_docker_socket_says_why_and_starts_once_it_appears(dockerd, make_agent):
    dockerd.stop()
    agent = make_agent(flags=["-docker-socket", dockerd.sock]).start()
    run(agent, "httpbackend-1.nomad", "-detach")

    def told():
        found = agent.get("/v1/job/httpbackend/allocations")
        texts = [agent.verb("alloc", "status", a["ID"]).all for a in found]
        return texts and all(pathlib.Path(dockerd.sock).name in t for t in texts)
    until(told, "alloc status names the socket", 20)
    dockerd.start()
    agent.wait_running("httpbackend", 2, 60)
