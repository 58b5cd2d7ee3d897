"""Each option of a route's tag against real servers: what fabio's users write, and ours."""

import crypt
import os
import re
import subprocess

import pytest

from helpers import netns
from helpers.load import Load
from helpers.wait import until


@pytest.fixture
def start(lb):
    """start(commands, **flags): a balancer with these routes."""
    def launch(commands, **flags):
        return lb(registry_backend="static", registry_static_routes="\n".join(commands),
                  **flags).start()
    return launch


def ask(curl, balancer, host, path="/", *args):
    return curl(balancer.traffic + path, "--path-as-is", "-H", "Host: " + host, *args)


def add(host, backend, opts="", service="web", weight=""):
    return "route add %s %s %s%s%s" % (service, host, backend.http_url,
                                       weight and " weight " + weight,
                                       opts and ' opts "%s"' % opts)


def test_strip_prepend_and_host(start, backend, curl):
    one = backend()
    balancer = start([add("s.com/app", one, "strip=/app"),
                      add("p.com/", one, "prepend=/request"),
                      add("d.com/", one, "host=dst"), add("n.com/", one, "host=inner.local")])
    head = ask(curl, balancer, "s.com", "/app/request?x=%2F").body
    assert head.startswith("GET /request?x=%2F HTTP/1.1") and "X-Forwarded-Prefix: /app" in head
    assert ask(curl, balancer, "p.com", "/x").body.startswith("GET /request/x HTTP/1.1")
    assert "Host: 127.0.0.1:%d" % one.http_port in ask(curl, balancer, "d.com", "/request").body
    assert "Host: inner.local" in ask(curl, balancer, "n.com", "/request").body


@pytest.mark.skipif(os.geteuid() != 0, reason="port 80 of a network of its own takes root")
def test_the_host_of_a_destination_is_without_the_port_that_its_scheme_has(start, backend, curl):
    with netns.own():
        one = backend("-http", "127.0.0.1:80")
        balancer = start([add("d.com/", one, "host=dst")])
        assert "\r\nHost: 127.0.0.1\r\n" in ask(curl, balancer, "d.com", "/request").body


def test_https_upstreams(start, backend, curl):
    one = backend()
    balancer = start([
        'route add a t.com/ %s opts "tlsskipverify=true"' % one.https_url,
        "route add b v.com/ %s" % one.https_url])
    assert ask(curl, balancer, "t.com").status == 200
    assert ask(curl, balancer, "v.com").status == 502  # nobody signed it


def test_redirects(start, backend, curl):
    balancer = start([
        'route add r r.com/ http://1.2.3.4:1/ opts "redirect=301,https://$host$path"'])
    answer = ask(curl, balancer, "r.com", "/a/b?c=d")
    assert (answer.status, answer.headers["location"]) == (301, "https://r.com/a/b?c=d")


def test_allow_and_deny(start, backend, curl):
    one = backend()
    balancer = start([add("a.com/", one, "allow=ip:127.0.0.0/8"),
                      add("d.com/", one, "deny=ip:127.0.0.1"),
                      add("x.com/", one, "deny=ip:8.8.8.8")])
    assert ask(curl, balancer, "a.com").status == 200
    assert ask(curl, balancer, "d.com").status == 403
    assert ask(curl, balancer, "x.com").status == 200
    assert ask(curl, balancer, "x.com", "/", "-H",
               "X-Forwarded-For: 1.1.1.1, 8.8.8.8").status == 403


def test_auth(start, backend, curl, tmp_path):
    one = backend()
    users = tmp_path / "users"
    apr1 = subprocess.run(["openssl", "passwd", "-apr1", "apple"], capture_output=True, text=True,
                          check=True).stdout.strip()
    bcrypt = crypt.crypt("berry", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=2 ** 10))
    users.write_text("ann:%s\nbob:%s\n" % (apr1, bcrypt.replace("$2b$", "$2y$")))
    balancer = start([add("in.com/", one, "auth=team"), add("bad.com/", one, "auth=nobody"),
                      add("out.com/", one)],
                     proxy_auth="name=team;type=basic;file=%s;realm=The Team;refresh=1s" % users)
    answer = ask(curl, balancer, "in.com")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="The Team", charset="UTF-8"'
    assert ask(curl, balancer, "in.com", "/", "-u", "ann:apple").status == 200
    assert ask(curl, balancer, "in.com", "/", "-u", "bob:berry").status == 200
    assert ask(curl, balancer, "in.com", "/", "-u", "bob:apple").status == 401
    assert ask(curl, balancer, "out.com").status == 200
    assert ask(curl, balancer, "bad.com").status == 404
    assert [r["reason"] for r in balancer.get("/api/rejected")] == [
        "auth=nobody: no scheme of that name (-proxy.auth)"]
    users.write_text("bob:%s\n" % bcrypt)
    until(lambda: ask(curl, balancer, "in.com", "/", "-u", "ann:apple").status == 401,
          "ann is out")
    assert ask(curl, balancer, "in.com", "/", "-u", "bob:berry").status == 200


@pytest.mark.parametrize("matcher, path, yes, no", [
    ("prefix", "/foo", "/foobar", "/Foo"), ("iprefix", "/foo", "/FOObar", "/fo"),
    ("glob", "/*/end", "/a/b/end", "/a/b"), ("segment", "/foo", "/foo/x", "/foobar"),
    ("regex", "/v[0-9]+/", "/v12/x", "/vx/")])
def test_matchers(start, backend, curl, matcher, path, yes, no):
    one = backend()
    balancer = start([add("m.com" + path, one, "matcher=" + matcher)])
    for each in (yes, no):
        ask(curl, balancer, "m.com", each)

    def unrouted(each):
        return re.search(r"No route for m\.com%s$" % re.escape(each), balancer.err(), re.M)
    until(lambda: unrouted(no), "no route for " + no)
    assert not unrouted(yes)


def test_weights(start, backend, curl):
    one, two = backend("-version", "one"), backend("-version", "two")
    balancer = start([add("w.com/", one, weight="0.25"), add("w.com/", two)],
                     proxy_strategy="rr")
    assert sorted(r["weight"] for r in balancer.routes()) == [0.25, 0.75]
    with Load(balancer.port, "w.com", "/", clients=2) as load:
        load.wait_answered(400)
    share = sum(n for body, n in load.bodies.items() if b"one" in body) / load.answered
    assert not load.failures and 0.22 < share < 0.28


@pytest.mark.parametrize("strategy", ["rnd", "rr", "leastconn", "hash"])
def test_every_strategy_serves(start, backend, curl, strategy):
    one, two = backend("-version", "one"), backend("-version", "two")
    balancer = start([add("w.com/", one), add("w.com/", two)], proxy_strategy=strategy)
    with Load(balancer.port, "w.com", "/", clients=4) as load:
        load.wait_answered(200)
    assert not load.failures
    assert len(load.bodies) == (1 if strategy == "hash" else 2)


def test_sticky(start, backend, curl, tmp_path):
    one, two = backend("-version", "one"), backend("-version", "two")
    balancer = start([add("s.com/", one, "sticky=SRV"), add("s.com/", two, "sticky=SRV")])
    jar = tmp_path / "jar"
    first = ask(curl, balancer, "s.com", "/", "-c", jar)
    assert first.headers["set-cookie"].startswith("SRV=")
    cookie = first.headers["set-cookie"].split(";")[0]
    for _ in range(8):
        assert ask(curl, balancer, "s.com", "/", "-H", "Cookie: " + cookie).body == first.body


def test_limits(start, backend, curl):
    one = backend()
    balancer = start([add("r.com/", one, "ratelimit=0.01,2"), add("q.com/", one, "maxconn=1")])
    assert [ask(curl, balancer, "r.com").status for _ in range(3)] == [200, 200, 429]
    # They wait for each other, and all are served.
    running = [curl.start(balancer.traffic + "/sleep/200", "-H", "Host: q.com") for _ in range(3)]
    answers = [r.result() for r in running]
    assert [a.status for a in answers] == [200, 200, 200]
    assert max(a.info["time_total"] for a in answers) > 0.55


def test_an_upstream_that_dies_costs_no_idempotent_request(start, backend):
    one, two = backend("-version", "one"), backend("-version", "two")
    balancer = start([add("k.com/", one), add("k.com/", two)])
    with Load(balancer.port, "k.com", "/", clients=8, rate=800) as load:
        load.wait_answered(200)
        one.process.kill()
        load.wait_answered(600)
    assert not load.failures
    assert re.search(r"endpoint http://127\.0\.0\.1:%d/: 5 gateway errors in a row: ejected"
                     % one.http_port, balancer.err())


def test_an_option_without_effect_is_named_and_its_route_is_there(start, backend, curl):
    """register= without a registry to be in; one that nobody knows."""
    one = backend()
    balancer = start([add("n.com/", one, "register=shop"), add("k.com/", one, "colour=red"),
                      add("bad.com/", one, "register=a/b")])
    assert ask(curl, balancer, "n.com").status == ask(curl, balancer, "k.com").status == 200
    assert ask(curl, balancer, "bad.com").status == 404
    reasons = " | ".join(r["reason"] for r in balancer.get("/api/rejected"))
    for reason in ("register=shop: the balancer registers itself nowhere; the route is there",
                   "colour=red: not known; the route is there without it",
                   'register="a/b": expected the name of a service'):
        assert reason in reasons
        assert reason in balancer.err()


def test_404_503_502(start, backend, curl, free_port):
    balancer = start(["route add gone g.com/ http://127.0.0.1:%d/" % free_port()])
    assert ask(curl, balancer, "g.com").status == 502
    assert ask(curl, balancer, "none.com").status == 404


def test_every_outcome_has_its_access_line(start, backend, curl, tmp_path, free_port):
    one = backend()
    users = tmp_path / "users"
    users.write_text("")
    balancer = start([add("ok.com/", one), add("in.com/", one, "auth=team"),
                      add("no.com/", one, "deny=ip:127.0.0.1"),
                      add("slow.com/", one, "ratelimit=0.01,1"),
                      'route add r r.com/ http://1.2.3.4:1/ opts "redirect=302,http://x/"',
                      "route add g g.com/ http://127.0.0.1:%d/" % free_port()],
                     proxy_auth="name=team;type=basic;file=%s" % users,
                     proxy_maxbodysize="10",
                     log_access_format="$request_host $request_method $response_status "
                                       "$upstream_service.")
    for host in ("ok.com", "in.com", "no.com", "slow.com", "slow.com", "r.com", "g.com", "x.com"):
        ask(curl, balancer, host)
    ask(curl, balancer, "ok.com", "/upload", "-d", "a" * 11)
    wanted = ["ok.com GET 200 web.", "in.com GET 401 ", "no.com GET 403 ", "slow.com GET 200 web.",
              "slow.com GET 429 ", "r.com GET 302 ", "g.com GET 502 g.", "x.com GET 404 ",
              "ok.com POST 413 "]
    until(lambda: all(line in balancer.out() for line in wanted),
          "every line is there: %s" % wanted)
