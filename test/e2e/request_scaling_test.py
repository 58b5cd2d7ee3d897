"""Groups that scale on requests: more instances under load, none without, and the first again for
the request that finds none: it waits and is answered."""

import concurrent.futures
import json
import urllib.request

import pytest
from helpers import jobs
from helpers.asking import Asking
from helpers.wait import stays, until

POLICY = """
    scaling {
      min = %d
      max = %d
      policy {
        cooldown            = "%s"
        evaluation_interval = "1s"
        check "busy" {
          source = "sluice"
          query  = "%s"
          strategy "target-value" {
            target = %s
          }
        }
      }
    }
"""


def job(low, high, count=None, cooldown="3s", query="requests", target="2", **more):
    return jobs.http(host="shop.test", count=low if count is None else count,
                     group=jobs.AT_ONCE + POLICY % (low, high, cooldown, query, target), **more)


def wait_place(agent):
    """The service has a place among the routes, and nobody in it."""
    def there():
        with urllib.request.urlopen(agent.ui + "/api/routes", timeout=10) as answer:
            return [r["healthy"] for r in json.load(answer)] == [False]
    until(there, "it has a place")


def count(agent):
    return agent.get("/v1/job/shop")["TaskGroups"][0]["Count"]


@pytest.fixture
def agent(make_agent):
    return make_agent(dev=False).start()


def get(agent, curl, path="/", *more):
    return curl(agent.traffic.rstrip("/") + path, "-H", "Host: shop.test", *more)


def test_from_none_and_to_none(agent, curl):
    agent.run(job(0, 3), flags=["-detach"])
    wait_place(agent)
    assert agent.allocs("shop") == []
    said = agent.verb("route", "explain", "-ui-address", agent.ui, "http://shop.test/").out
    assert "taken: no instance of it runs; a request starts one, and waits for it" in said
    assert "Answer      a request waits for an instance, which it starts" in said
    assert agent.allocs("shop") == []  # who asks why starts nothing
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: get(agent, curl, "/", "--max-time", "60").status,
                                range(20)))
    assert answers == [200] * 20
    assert count(agent) >= 1
    # As long as somebody asks, there is one.
    with Asking(lambda: get(agent, curl).status, pause=0.3) as asking:
        stays(lambda: count(agent) >= 1, "it stays", 6)
    assert set(asking.statuses) == {200}
    until(lambda: count(agent) == 0, "nobody asks", 30)
    until(lambda: agent.allocs("shop") == [], "it has gone", 30)
    assert agent.get("/v1/job/shop")["Status"] in ("running", "pending", "dead")
    # A body, for it waits as well; and the agent's restart changes nothing.
    agent.kill()
    agent.start()
    wait_place(agent)
    answer = get(agent, curl, "/echo", "--data-binary", "x" * 100_000, "--max-time", "60")
    assert answer.status == 200
    assert answer.body.endswith("x" * 1000)


def test_no_request_is_lost_around_zero(agent, curl):
    agent.run(job(0, 2, count=1, cooldown="1s"))
    agent.wait_routes("shop.test", 1)
    seen, statuses = set(), []

    def look():
        seen.add(count(agent))
        return seen == {0, 1}
    for pause in range(8):
        until(lambda: count(agent) == 0, "nobody asks", 30)
        seen.add(0)
        # Into the middle of the last one's end, a little later each time.
        stays(lambda: True, "", pause * 0.05)
        statuses.append(get(agent, curl, "/", "--max-time", "60").status)
        look()
    assert statuses == [200] * 8
    assert 0 in seen


def test_out_and_in(agent, curl):
    agent.run(job(1, 4))
    agent.wait_routes("shop.test", 1)
    with Asking(lambda: get(agent, curl, "/sleep/500").status, pause=0, askers=8) as asking:
        until(lambda: count(agent) == 4, "four for eight at once", 30)
        agent.wait_routes("shop.test", 4)
    until(lambda: count(agent) == 1, "one for none", 30)
    agent.wait_routes("shop.test", 1)
    assert set(asking.statuses) == {200}
    text = agent.verb("job", "status", "shop").out
    assert "running" in text


def test_by_rate(agent, curl):
    agent.run(job(1, 3, query="request_rate", target="4"))
    agent.wait_routes("shop.test", 1)
    with Asking(lambda: get(agent, curl).status, pause=0.05):
        until(lambda: count(agent) >= 2, "more than four a second", 30)


@pytest.mark.parametrize("policy,why", [
    (POLICY % (0, 2, "5s", "cpu", "2"),
     'scaling: policy: check "busy": query must be requests or request_rate, not "cpu"'),
    (POLICY % (0, 2, "5s", "requests", "0"),
     'scaling: policy: check "busy": target must be a number above 0'),
    (POLICY % (0, 0, "5s", "requests", "1"), "scaling: max must be at least 1"),
    (POLICY % (0, 2, "10ms", "requests", "1"),
     "scaling: policy: cooldown must not be less than evaluation_interval"),
])
def test_a_policy_that_is_none(agent, policy, why):
    path = agent.folder / "shop.nomad"
    path.write_text(jobs.http(count=0, group=policy))
    refused = agent.verb("job", "validate", path)
    assert refused.code == 1
    assert why in refused.all, refused


def test_access_and_limits_hold_for_what_sleeps(agent, curl):
    agent.run(job(0, 3, tags=["urlprefix-shop.test/ deny=ip:127.0.0.0/8"]), flags=["-detach"])
    wait_place(agent)
    assert get(agent, curl).status == 403
    stays(lambda: count(agent) == 0, "nobody may ask for it", 1)
