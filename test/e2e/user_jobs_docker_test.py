"""All eight of the user's jobs, byte for byte, on the ports that they and the programs have by
default: a real dockerd and a real Consul in a network of their own."""

import re

import pytest
from helpers import consul as consul_helper
from helpers import docker as docker_helper
from helpers import netns, tree
from helpers.wait import until

BACKENDS = ("httpbackend-2", "httpsbackend-upstreamhttps", "httpsbackend-tcp",
            "httpsbackend-tcp-sni-1", "httpsbackend-tcp-sni-2")
LISTENERS = ":9999;proto=http,:9997;proto=tcp,:9996;proto=tcp+sni"  # as in fabio-2
HTTP = "this is httpbackendservice, version: v1.0.0\n"
HTTPS = "this is httpsbackendservice, version: v1.0.%d\n"
# What each job is for, as the user asks for it.
ASKED = {
    "http://mysite.com:9999/": HTTP,
    "http://mysite-https.com:9999/": HTTPS % 0,
    "https://mysite-tcp.com:9997/": HTTPS % 0,
    "https://mysite-sni-1.com:9996/": HTTPS % 0,
    "https://mysite-sni-2.com:9996/": HTTPS % 1,
}


@pytest.fixture
def site(make_agent, tmp_path):
    """site(flags, proxy) -> a node whose Consul is at 127.0.0.1:8500 and whose Docker has
    the images that the jobs name; for fabio's, one of sluice alone."""
    with netns.own(), docker_helper.own() as docker:
        docker.build_images()
        docker.build("fabiolb/fabio:latest", ["lb"], tree.sluice)
        consul = consul_helper.Consul(tmp_path / "consul")
        consul.http_port, consul.address = 8500, "127.0.0.1:8500"
        consul.start()
        made = []

        def make(flags=(), proxy=True):
            agent = make_agent(flags=["-docker-socket", docker.sock, *flags], config="consul {}\n")
            text = agent.config.read_text()
            enabled = "proxy {\n  enabled = %s" % str(proxy).lower()
            agent.config.write_text(text.replace("proxy {", enabled))
            agent.proxy_port = 9999
            made.append(agent)
            return agent.start()
        make.docker, make.consul = docker, consul
        yield make
        for agent in made:
            agent.clean_up()
        consul.stop()


def run(agent, name):
    result = agent.verb("job", "run", "-detach", tree.examples / (name + ".nomad"))
    assert result.code == 0, result


def run_backends(agent):
    for name in BACKENDS:
        run(agent, name)


def job_of(name):
    text = (tree.examples / (name + ".nomad")).read_text()
    return re.search(r'^job "(.*?)"', text, re.M).group(1)


def ask(curl, url):
    host, port = re.search(r"//(.*):(\d+)/", url).groups()
    return curl("-k", "--resolve", "%s:%s:127.0.0.1" % (host, port), url)


def wait_answers(curl):
    def all_right():
        got = {url: ask(curl, url).body for url in ASKED}
        assert got == ASKED, got
        return True
    until(all_right, "each of the sites answers", 60, every=0.2)


def containers(docker, job=None):
    """Our containers by job."""
    found = [c for c in docker.containers() if "sluice.job_id" in c["Labels"]]
    return [c for c in found if job in (None, c["Labels"]["sluice.job_id"])]


def stop_all(site, agent):
    for job in agent.get("/v1/jobs"):
        if job["Status"] != "dead":
            assert agent.verb("job", "stop", "-detach", job["ID"]).code == 0
    until(lambda: containers(site.docker) == [], "the containers go", 60)
    until(lambda: set(site.consul.get("/v1/catalog/services")) == {"consul"}, "the services go")


def test_the_backends_behind_the_agents_own_listeners(site, curl):
    agent = site(["-proxy.addr=" + LISTENERS])
    run(agent, "httpbackend-1")
    agent.wait_running("httpbackend", 2, 60)
    assert agent.routes("mysite.com:9999") == []  # it has no tag
    run_backends(agent)
    wait_answers(curl)
    for name in BACKENDS:
        assert len(agent.wait_running(job_of(name), 2)) == 2
    # The balancer has fabio's ports: said before it is tried.
    plan = agent.verb("job", "plan", tree.examples / "fabio-1.nomad")
    assert "reserved port collision lb=9999 (balancer)" in plan.out, plan
    stop_all(site, agent)
    assert [ask(curl, url).status for url in ASKED if url.startswith("http:")] == [404, 404]


def test_sluice_in_the_place_of_fabio_balances_from_consul(site, curl):
    agent = site(proxy=False)
    run_backends(agent)
    run(agent, "fabio-1")
    until(lambda: [ask(curl, "http://%s.com:9999/" % name).body
                   for name in ("mysite", "mysite-https")] == [HTTP, HTTPS % 0],
          "fabio-1 answers", 60, every=0.2)
    assert ask(curl, "http://mysite.com:9998/routes").status == 200
    first, = containers(site.docker, "fabio")

    run(agent, "fabio-2")
    wait_answers(curl)
    second, = until(lambda: [c for c in containers(site.docker, "fabio")
                             if c["State"] == "running"], "fabio-2 runs")
    assert second["Id"] != first["Id"] and second["HostConfig"]["NetworkMode"] == "host"
    # What it prints by -log.level and -log.access.target is in the task's log.
    alloc = agent.wait_running("fabio", 1)[0]["ID"]
    until(lambda: '"GET / HTTP/1.1" 200' in agent.verb("alloc", "logs", alloc).out, "access lines")
    # It follows Consul: what is stopped leaves its table.
    assert agent.verb("job", "stop", "-detach", "httpbackend").code == 0
    until(lambda: ask(curl, "http://mysite.com:9999/").status == 404, "the route goes", 30)
    stop_all(site, agent)
