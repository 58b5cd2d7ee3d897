"""Upstreams that speak TLS: proto=https in tags and commands, the name check, own authorities."""

import re

import pytest
from helpers import tree
from helpers.certificates import Authority
from helpers.wait import until


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def start(lb, upstream, options, **flags):
    host = "mysite.com"
    balancer = lb(registry_backend="static", registry_static_routes=(
        'route add sealed %s/ https://127.0.0.1:%d/ opts "%s"'
        % (host, upstream.https_port, options)), **flags).start()
    return balancer, ["-H", "Host: " + host]


def signed(backend, ca, names):
    pair = ca.issue(names)
    return backend("-cert", pair.cert, "-key", pair.key)


def test_a_certificate_that_nobody_signed_takes_tlsskipverify(lb, backend, curl):
    upstream = backend()
    balancer, host = start(lb, upstream, "proto=https tlsskipverify=true")
    answer = curl(balancer.traffic, *host)
    assert (answer.status, answer.body) == (200, "this is httpsbackendservice, version: v1.0.0\n")
    strict, host = start(lb, upstream, "proto=https")
    assert curl(strict.traffic, *host).status == 502
    until(lambda: re.search(r"\[WARN\] upstream https://127\.0\.0\.1:%d: no TLS with 127\.0\.0\.1: "
                            r"self signed certificate$" % upstream.https_port, strict.err(), re.M),
          "the log says why")


def test_own_authorities_and_the_name(lb, backend, ca, curl):
    by_name, by_address = signed(backend, ca, ["inner.test"]), signed(backend, ca, ["127.0.0.1"])
    for upstream, options, status in (
            (by_name, "proto=https host=inner.test", 200),
            (by_name, "proto=https host=other.test", 502),
            (by_name, "proto=https", 502),
            (by_address, "proto=https", 200),
            (by_address, "proto=https host=dst", 200)):
        balancer, host = start(lb, upstream, options, proxy_upstream_ca=str(ca.file))
        assert curl(balancer.traffic, *host).status == status, options
    # The system's authorities do not know ours.
    balancer, host = start(lb, by_address, "proto=https")
    assert curl(balancer.traffic, *host).status == 502


def test_connections_are_kept(lb, backend, curl):
    upstream = backend()
    balancer, host = start(lb, upstream, "proto=https tlsskipverify=true", proxy_threads="1")
    for _ in range(5):
        assert curl(balancer.traffic, *host).status == 200
    stats = curl("-k", upstream.https_url + "stats").body  # over a connection of its own
    assert stats.startswith("requests 6\nconnections 2\n")


def test_large_bodies_both_ways(lb, backend, curl, tmp_path):
    upstream = backend()
    balancer, host = start(lb, upstream, "proto=https tlsskipverify=true")
    body = tmp_path / "body"
    body.write_bytes(bytes(range(256)) * 80_000)
    assert curl("-T", body, balancer.traffic + "/echo", *host).raw == body.read_bytes()
    assert len(curl(balancer.traffic + "/size/30000000", *host).raw) == 30_000_000


def test_authorities_that_cannot_be_read_are_refused_at_the_start(lb, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path, reason in (("/nowhere/ca.pem", "No such file"), (empty, "no certificate in it")):
        process = lb(proxy_upstream_ca=str(path), registry_backend="static").launch().process
        assert process.wait() == 1
        assert "-proxy.upstream.ca" in process.err() and reason in process.err()


def test_the_upstream_https_job(make_agent, curl):
    agent = make_agent().start()
    text = (tree.examples / "httpsbackend-upstreamhttps.nomad").read_text()
    block = re.search(r'driver = "docker"\n *config \{.*?\n      \}\n', text, re.S).group(0)
    path = agent.folder / "job.nomad"
    path.write_text(text.replace(block, """driver = "raw_exec"
      config {
        command = "%s"
        args = ["-http", "off", "-https", "${NOMAD_ADDR_https}"]
      }
""" % tree.backend))
    result = agent.verb("job", "run", "-detach", path)
    assert result.code == 0, result
    agent.wait_routes("mysite-https.com:9999", 2)
    answer = curl(agent.traffic, "-H", "Host: mysite-https.com:9999")
    assert (answer.status, answer.body) == (200, "this is httpsbackendservice, version: v1.0.0\n")
