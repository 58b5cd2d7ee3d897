"""A shutdown_delay is waited for, unless whoever stops says that it shall not be."""

import time

import pytest
from helpers import jobs
from helpers.wait import until

TEXT = jobs.http(count=2, group=jobs.AT_ONCE + '\n    shutdown_delay = "1m"',
                 task='shutdown_delay = "1m"')


@pytest.fixture
def agent(make_agent):
    agent = make_agent().start()
    agent.run(TEXT, flags=["-detach"])
    agent.wait_running("shop", 2)
    yield agent
    agent.call("DELETE", "/v1/job/shop?no_shutdown_delay=true")


def over(agent, alloc):
    until(lambda: agent.get("/v1/allocation/" + alloc["ID"])["ClientStatus"] == "complete",
          "the instance is over", 20)


def test_an_allocation(agent):
    first, second = agent.allocs("shop")
    begin = time.monotonic()
    stopped = agent.verb("alloc", "stop", "-detach", "-no-shutdown-delay", first["ID"])
    assert stopped.code == 0, stopped
    over(agent, first)
    assert time.monotonic() - begin < 30
    transition = agent.get("/v1/allocation/" + first["ID"])["DesiredTransition"]
    assert transition["NoShutdownDelay"] is True and transition["Migrate"] is True
    # Where it waits already, it waits no longer.
    agent.put("/v1/allocation/%s/stop" % second["ID"])
    until(lambda: agent.get("/v1/allocation/" + second["ID"])["DesiredStatus"] == "stop",
          "it is told to stop")
    assert agent.get("/v1/allocation/" + second["ID"])["ClientStatus"] == "running"
    agent.put("/v1/allocation/%s/stop?no_shutdown_delay=true" % second["ID"])
    over(agent, second)


def test_a_job(agent):
    allocs = agent.allocs("shop")
    assert agent.verb("job", "stop", "-detach", "shop").code == 0
    until(lambda: not agent.allocs("shop"), "all are told to stop")
    assert {a["ClientStatus"] for a in agent.get("/v1/job/shop/allocations")} == {"running"}
    assert agent.verb("job", "stop", "-detach", "-no-shutdown-delay", "shop").code == 0
    for alloc in allocs:
        over(agent, alloc)
