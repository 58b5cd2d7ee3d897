"""Canaries that are promoted, or whose deployment fails, by what the balancer measured of them."""

import re

import pytest
from helpers import jobs
from helpers.asking import Asking
from helpers.wait import stays, until

UPDATE = """
    update {
      max_parallel     = 2
      canary           = 1
      health_check     = "task_states"
      min_healthy_time = "0s"
      auto_promote     = %s
      auto_revert      = true
    }
"""
SERVICE = """
        canary_tags = ["urlprefix-shop.test/", "canary-weight=50%%"]
        canary_meta {
          sluice-max-error-rate = "%s"
          sluice-min-requests   = "%s"
        }
"""


def job(version, path, promote="true", rate="5%", least="40"):
    # `prepend` sends what is asked for "/" to a path that says what to answer.
    return jobs.http(host="shop.test", count=2, group=UPDATE % promote, env={"RELEASE": version},
                     tags=["urlprefix-shop.test/"],
                     service=(SERVICE % (rate, least)).replace(
                         '"urlprefix-shop.test/"', '"urlprefix-shop.test/ prepend=%s"' % path))


def asking_for(agent, curl):
    return Asking(lambda: curl(agent.traffic, "-H", "Host: shop.test").status)


@pytest.fixture
def agent(make_agent):
    agent = make_agent(dev=False).start()
    agent.run(job("1", ""))
    agent.wait_routes("shop.test", 2)
    return agent


def deployment(agent):
    return agent.get("/v1/job/shop/deployment")


def test_good_ones_are_promoted_once_they_have_served_enough(agent, curl):
    agent.run(job("2", "/status/200"), flags=["-detach"])
    agent.wait_routes("shop.test", 3)
    until(lambda: deployment(agent)["TaskGroups"]["shop"]["HealthyAllocs"] == 1, "it is healthy")
    stays(lambda: not deployment(agent)["TaskGroups"]["shop"]["Promoted"], "nobody asked it", 2)
    with asking_for(agent, curl) as asking:
        until(lambda: deployment(agent)["Status"] == "successful", "it is promoted", 40)
    assert agent.get("/v1/job/shop")["Version"] == 1
    assert set(asking.statuses) == {200}
    assert len(asking.statuses) >= 40


def test_bad_ones_end_the_deployment_and_the_job_goes_back(agent, curl):
    agent.run(job("2", "/status/500"), flags=["-detach"])
    agent.wait_routes("shop.test", 3)
    with asking_for(agent, curl) as asking:
        until(lambda: agent.get("/v1/job/shop")["Version"] == 2, "it went back", 40)
    assert 500 in asking.statuses and set(asking.statuses) <= {200, 500}
    failed, = [d for d in agent.get("/v1/job/shop/deployments") if d["Status"] == "failed"]
    said = re.fullmatch(r"Failed because canaries of service shop answered (\d+) of (\d+) requests "
                        r"with an error - rolling back to job version 0",
                        failed["StatusDescription"])
    assert said and int(said[1]) == int(said[2]) > 2, failed  # two of forty would have been good
    until(lambda: len(agent.routes("shop.test")) == 2, "the canary has gone")
    assert curl(agent.traffic, "-H", "Host: shop.test").status == 200
    text = agent.verb("deployment", "status", failed["ID"]).out
    assert "with an error" in text


def test_without_auto_promote_good_ones_wait_for_the_operator(agent, curl):
    agent.run(job("2", "/status/200", promote="false", least="5"), flags=["-detach"])
    agent.wait_routes("shop.test", 3)
    with asking_for(agent, curl):
        until(lambda: "canaries answer as they should" in agent.process.tail(), "it is said", 30)
        assert not deployment(agent)["TaskGroups"]["shop"]["Promoted"]
    assert agent.verb("deployment", "promote", "-detach", deployment(agent)["ID"]).code == 0
    until(lambda: deployment(agent)["Status"] == "successful", "the operator's word counts", 30)


def test_a_rate_that_is_none(agent):
    path = agent.folder / "shop.nomad"
    path.write_text(job("2", "", rate="all"))
    refused = agent.verb("job", "validate", path)
    assert refused.code == 1
    assert ('canary_meta: sluice-max-error-rate must be a share below 1 or below 100%, not "all"'
            in refused.all), refused
