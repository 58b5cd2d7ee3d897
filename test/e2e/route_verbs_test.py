"""`sluice route list` and `sluice route explain`: where a request would go, and why."""

import json
import re
import subprocess

import pytest
from helpers import tree
from helpers.ports import free_port

ROUTES = """
route add web mysite.com/ http://127.0.0.1:1001/ weight 0.25 opts "strip=/x host=dst"
route add web mysite.com/ http://127.0.0.1:1002/
route add api mysite.com/api http://127.0.0.1:1003/
route add deep mysite.com/api/deep http://127.0.0.1:1004/
route add wild *.com/ http://127.0.0.1:1005/
route add closed closed.com/ http://127.0.0.1:1006/ opts "deny=ip:10.0.0.0/8"
route add jump mysite.com/jump https://mysite.com/jump opts "redirect=301"
route add any / http://127.0.0.1:1007/
route add sni tls.com/ tcp://127.0.0.1:1008
route add db :3306 tcp://127.0.0.1:1009
"""


@pytest.fixture
def verb(lb):
    balancer = lb(registry_backend="static", registry_static_routes=ROUTES).start()

    def run(*arguments):
        done = subprocess.run([str(tree.sluice), "route", *arguments, "-ui-address", balancer.ui],
                              capture_output=True, text=True, timeout=20)
        return done
    run.balancer = balancer
    return run


def explain(verb, *arguments):
    done = verb("explain", "-json", *arguments)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    said["taken"] = [c for c in said.get("candidates", []) if c["verdict"] == "taken"]
    return said


def test_list(verb):
    done = verb("list")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["Service", "Source", "Destination", "Options", "Weight", "Healthy"]
    assert len(lines) == 11
    web = [line.split() for line in lines if line.startswith("web")]
    assert [w[1] for w in web] == ["mysite.com/"] * 2
    assert sorted(w[-2] for w in web) == ["25.00%", "75.00%"]
    assert len(json.loads(verb("list", "-json").stdout)) == 10


def test_each_candidate_and_why(verb):
    said = explain(verb, "http://mysite.com/api/x?q=1")
    verdicts = [(c["src"], c["verdict"], c["reason"]) for c in said["candidates"]]
    assert verdicts == [
        ("mysite.com/jump", "passed over", "the path does not begin with it"),
        ("mysite.com/api/deep", "passed over", "the path does not begin with it"),
        ("mysite.com/api", "taken", ""),
        ("mysite.com/", "not reached", ""),
        ("*.com/", "not reached", ""),
        ("/", "not reached", "")]
    assert said["hosts"] == ["mysite.com", "*.com", ""]
    assert (said["status"], said["service"], said["endpoint"]) == (
        0, "api", "http://127.0.0.1:1003/")
    assert [t["state"] for t in said["taken"][0]["targets"]] == ["picked"]
    text = verb("explain", "http://mysite.com/api/x?q=1").stdout
    assert re.search(r"^mysite\.com/api +prefix +taken$", text, re.M)
    assert "Answer      to service api on http://127.0.0.1:1003/, as /api/x?q=1" in text


def test_weights_and_what_is_sent(verb):
    said = explain(verb, "http://mysite.com/x/y")
    targets = said["taken"][0]["targets"]
    assert sorted(t["weight"] for t in targets) == [0.25, 0.75]
    assert sorted(t["state"] for t in targets) == ["could be picked", "picked"]
    if said["endpoint"] == "http://127.0.0.1:1001/":
        assert (said["sent_path"], said["sent_host"]) == ("/y", "127.0.0.1:1001")
    else:
        assert (said["sent_path"], said["sent_host"]) == ("/x/y", "mysite.com")


def test_a_host_header_and_normalisation(verb):
    said = explain(verb, "-H", "Host: SHOP.com.", "http://127.0.0.1:9999/a/../b//c")
    assert said["matched"] == "shop.com/b/c"
    assert said["service"] == "wild"
    assert explain(verb, "http://mysite.com/../x")["status"] == 400


def test_a_denied_client(verb):
    assert explain(verb, "http://closed.com/")["service"] == "closed"
    for arguments in (["-client", "10.1.2.3"], ["-H", "X-Forwarded-For: 10.1.2.3"]):
        said = explain(verb, *arguments, "http://closed.com/")
        assert said["status"] == 403
        assert said["taken"][0]["targets"][0]["state"] == "refused: its allow or deny"
    text = verb("explain", "-client", "10.1.2.3", "http://closed.com/").stdout
    assert "Answer      403: the client's address is not admitted" in text


def test_a_redirect_and_one_to_itself(verb):
    said = explain(verb, "http://mysite.com/jump")
    assert (said["status"], said["location"]) == (301, "https://mysite.com/jump")
    said = explain(verb, "https://mysite.com/jump")
    over = [c for c in said["candidates"] if c["src"] == "mysite.com/jump"]
    assert over[0]["verdict"] == "passed over" and "already is" in over[0]["reason"]
    assert said["service"] == "wild"


def test_routes_of_connections_are_passed_over_by_requests(verb):
    said = explain(verb, "http://tls.com/")
    over = [c for c in said["candidates"] if c["src"] == "tls.com/"][0]
    assert (over["verdict"], over["reason"]) == (
        "passed over", "its targets are for connections, not for requests")
    assert said["service"] == "wild"
    assert explain(verb, "tls://tls.com")["service"] == "sni"
    assert explain(verb, "tcp://:3306")["endpoint"] == "tcp://127.0.0.1:1009"
    said = explain(verb, "tcp://:3307")
    assert (said["status"], said["no_route"], said["candidates"]) == (404, True, [])
    said = explain(verb, "tls://mysite.com")
    assert (said["status"], said["no_route"], said["taken"]) == (404, True, [])


def test_nothing_is_counted_or_logged_and_mistakes_are_told(verb):
    explain(verb, "http://nobody.test/")
    assert "No route" not in verb.balancer.err()
    for arguments, message in ((["ftp://x/"], "want http://"),
                               (["-H", "x", "http://a/"], "want Name"),
                               (["-client", "me", "http://a/"], "client"), (["tcp://x"], "PORT")):
        done = verb("explain", *arguments)
        assert done.returncode == 1 and message in done.stderr, done.stderr
    done = subprocess.run(
        [str(tree.sluice), "route", "list", "-ui-address", "http://127.0.0.1:%d" % free_port()],
        capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "no balancer answers at" in done.stderr
