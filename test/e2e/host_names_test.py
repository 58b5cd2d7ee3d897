"""Routes to host names: resolved by a real DNS server, with the TTL, off the request's path."""

import collections
import os
import re
import signal

import pytest

from helpers import dns_server, http_site
from helpers.ports import free_port
from helpers.wait import stays, until


@pytest.fixture
def dns():
    server = dns_server.DnsServer().start()
    yield server
    server.stop()


@pytest.fixture
def site():
    """site(address, ...) -> the port on which a server says which of the addresses it is."""
    servers = []

    def say(request):
        return "%s %s" % (request.server.server_address[0], request.headers["Host"])

    def start(*addresses):
        port = free_port()
        for address in addresses:
            servers.append(http_site.serve(address, port, say))
        return port
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def start(lb, dns):
    def launch(*commands, **flags):
        return lb(registry_backend="static", registry_static_routes="\n".join(commands),
                  **{"proxy_dns": dns.address, **flags}).start()
    return launch


def answers(curl, balancer, count=20, path="/"):
    """How often each address answered."""
    seen = collections.Counter()
    for _ in range(count):
        answer = curl(balancer.traffic + path, "-H", "Host: any.test")
        assert answer.status == 200, (answer, balancer.err())
        seen[answer.body.split()[0]] += 1
    return seen


def addresses(balancer, service="web"):
    return sorted(route["address"] for route in balancer.routes(service))


def test_addresses_are_balanced_and_followed_with_their_ttl(start, dns, site, curl):
    port = site("127.0.0.2", "127.0.0.3", "::1")
    dns.records["web.test"] = [(1, "127.0.0.2"), (1, "127.0.0.3"), (1, "::1")]
    balancer = start("route add web / http://web.test:%d/" % port, proxy_strategy="rr")
    until(lambda: addresses(balancer) == ["127.0.0.2", "127.0.0.3", "::1"], "all are known")
    assert answers(curl, balancer, 21) == {"127.0.0.2": 7, "127.0.0.3": 7, "::1": 7}
    assert [r["dst"] for r in balancer.routes()] == ["http://web.test:%d/" % port] * 3
    _, raw = balancer.call("GET", "/api/routes?raw")
    assert raw == "route add web / http://web.test:%d/\n" % port
    dns.records["web.test"] = [(1, "127.0.0.3")]
    until(lambda: addresses(balancer) == ["127.0.0.3"], "the change is followed", 3)
    assert answers(curl, balancer) == {"127.0.0.3": 20}
    # Now it may be believed for long.
    dns.records["web.test"] = [(3600, "127.0.0.2")]
    until(lambda: addresses(balancer) == ["127.0.0.2"], "the change is followed", 3)
    asked = dns.questions("web.test")
    dns.records["web.test"] = [(1, "127.0.0.3")]
    stays(lambda: dns.questions("web.test") == asked, "nobody asks again", 2.5)
    assert answers(curl, balancer) == {"127.0.0.2": 20}


def test_the_last_good_answer_stays(start, dns, site, curl):
    port = site("127.0.0.2", "127.0.0.3")
    dns.records["web.test"] = [(1, "127.0.0.2")]
    balancer = start("route add web / http://web.test:%d/" % port)
    until(lambda: addresses(balancer) == ["127.0.0.2"], "it is known")
    for trouble in (dns_server.SERVFAIL, dns_server.NXDOMAIN):
        asked = dns.questions("web.test")
        dns.records["web.test"] = trouble
        until(lambda: dns.questions("web.test") >= asked + 4, "it is asked again", 10)
        assert answers(curl, balancer, 3) == {"127.0.0.2": 3}
    dns.stop()
    dns.records["web.test"] = [(1, "127.0.0.3")]
    stays(lambda: addresses(balancer) == ["127.0.0.2"], "the last answer is there", 2)
    assert balancer.err().count("its last 1 addresses stay") == 1  # for the whole time
    dns.start()
    until(lambda: addresses(balancer) == ["127.0.0.3"], "the server is heard again", 40)
    assert answers(curl, balancer, 3) == {"127.0.0.3": 3}
    until(lambda: "host name web.test is known again" in balancer.err(), "that is logged")


def test_a_name_that_was_never_known_is_503_and_says_so(start, dns, site, curl):
    port = site("127.0.0.2")
    balancer = start("route add web / http://none.test:%d/" % port,
                     "route add bad /bad http://no..name:%d/" % port)

    def problem(service):
        route, = balancer.routes(service)
        assert (route["address"], route["weight"]) == ("", 0)
        return route["problem"]
    until(lambda: problem("web") == "none.test: there is no such name", "it says so")
    until(lambda: "can be no host name" in problem("bad"), "it says so")
    assert curl(balancer.traffic + "/").status == 503
    assert curl(balancer.traffic + "/bad").status == 503
    assert re.search(r"host name none.test: there is no such name; its routes have no endpoint",
                     balancer.err())
    assert not any(name == "no..name" for name, _ in dns.asked)
    dns.records["none.test"] = [(1, "127.0.0.2")]
    until(lambda: addresses(balancer) == ["127.0.0.2"], "it has come", 10)
    assert answers(curl, balancer, 1) == {"127.0.0.2": 1}
    until(lambda: "none.test is known again" in balancer.err(), "that is logged")


def test_aliases_and_answers_by_tcp(start, dns, site, curl):
    port = site("127.0.0.2", "127.0.0.3")
    dns.truncate = True
    dns.records["alias.test"] = [(1, "real.test")]
    dns.records["real.test"] = [(3600, "127.0.0.2")]
    balancer = start("route add web / http://alias.test:%d/ opts \"host=dst\"" % port)
    until(lambda: addresses(balancer) == ["127.0.0.2"], "it is known")
    assert dns.by_tcp > 0
    assert curl(balancer.traffic + "/").body == "127.0.0.2 alias.test:%d" % port
    # The alias's TTL counts, too.
    dns.records["real.test"] = [(3600, "127.0.0.3")]
    until(lambda: addresses(balancer) == ["127.0.0.3"], "the change is followed", 4)


def test_a_server_that_is_silent_delays_no_request(start, dns, site, curl):
    port = site("127.0.0.1")
    dns.silent = True
    balancer = start("route add web / http://127.0.0.1:%d/" % port,
                     *["route add n /n%d http://name%d.test:%d/" % (i, i, port)
                       for i in range(50)], proxy_threads="1")
    stays(lambda: curl(balancer.traffic + "/", "-m", "1").status == 200, "it serves", 2)
    assert len(balancer.routes("n")) == 50


def test_the_hosts_file_counts(lb, site, curl):
    port = site("127.0.0.1")
    balancer = lb(registry_backend="static", proxy_dns="127.0.0.1:9",
                  registry_static_routes="route add web / http://localhost:%d/" % port).start()
    until(lambda: "127.0.0.1" in addresses(balancer), "localhost is known")
    assert answers(curl, balancer, 5) == {"127.0.0.1": 5}


def test_an_upgrade_takes_the_addresses_along(start, dns, site, curl):
    port = site("127.0.0.2")
    dns.records["web.test"] = [(3600, "127.0.0.2")]
    balancer = start("route add web / http://web.test:%d/" % port)
    until(lambda: addresses(balancer) == ["127.0.0.2"], "it is known")
    dns.stop()
    os.kill(balancer.process.pid, signal.SIGUSR2)
    found = until(lambda: re.search(r"upgrade: process (\d+) serves now", balancer.err()),
                  "the upgrade is done", 20)
    assert addresses(balancer) == ["127.0.0.2"]
    assert answers(curl, balancer, 3) == {"127.0.0.2": 3}
    os.kill(int(found.group(1)), signal.SIGTERM)


def test_servers_that_are_no_addresses_are_refused(lb):
    balancer = lb(registry_backend="static", proxy_dns="dns.local").launch()
    until(lambda: not balancer.process.running(), "it has ended")
    assert 'DNS servers "dns.local": want addresses' in balancer.err()
