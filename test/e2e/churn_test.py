"""Many tasks are started and stopped again and again: no descriptor, folder, process, cgroup or
service stays behind.

SLUICE_CHURN_TASKS and SLUICE_CHURN_ROUNDS say how many and how often (20 and 3 by default)."""

import os
import pathlib

import pytest
from helpers import jobs
from helpers.proc import children, descriptors
from helpers.wait import until

TASKS = int(os.environ.get("SLUICE_CHURN_TASKS", "20"))
ROUNDS = int(os.environ.get("SLUICE_CHURN_ROUNDS", "3"))


@pytest.fixture
def agent(consul, make_agent):
    return make_agent(dev=False, config='consul {\n address = "%s"\n}\n' % consul.address).start()


def files(agent):
    """All below the data folder but the store's own."""
    data = agent.folder / "data"
    return {str(f.relative_to(data)) for f in data.rglob("*") if "server" not in f.parts}


def cgroups():
    return {str(f) for f in pathlib.Path("/sys/fs/cgroup").glob("**/*sluice*/**/")}


def services(consul):
    return {s for s in consul.get("/v1/agent/services") if s.startswith("_sluice-")}


def one_round(agent, consul):
    agent.run(jobs.http(count=TASKS, host="shop.test", group=jobs.AT_ONCE), flags=["-detach"])
    agent.wait_running("shop", TASKS, 120)
    agent.wait_routes("shop.test", TASKS, 120)
    assert len(agent.task_pids()) == TASKS and len(services(consul)) == TASKS
    assert agent.verb("job", "stop", "-detach", "shop").code == 0
    until(lambda: not agent.task_pids(), "the tasks end", 120)
    until(lambda: not services(consul), "the services go", 60)
    agent.wait_routes("shop.test", 0, 60)
    until(lambda: {a["ClientStatus"] for a in agent.get("/v1/job/shop/allocations")}
          <= {"complete"}, "the allocations are complete", 60)
    agent.put("/v1/system/gc")


def test_tasks_that_come_and_go_leave_nothing(agent, consul):
    cgroups_before = cgroups()
    one_round(agent, consul)  # what is made once, for good
    supervisor = agent.supervisor_pid()
    until(lambda: not list((agent.folder / "data" / "alloc").iterdir()), "the folders go", 40)
    before = [descriptors(agent.process.pid), descriptors(supervisor), files(agent)]
    for _ in range(ROUNDS - 1):
        one_round(agent, consul)
    assert agent.supervisor_pid() == supervisor

    def no_more():
        now = [descriptors(agent.process.pid), descriptors(supervisor), files(agent)]
        for have, had in zip(now, before):  # fewer connections may be kept open than then
            assert have <= had, have - had
        return True
    until(no_more, "no more is open or on disk than after the first round", 40)
    assert children(supervisor) == set()
    assert children(agent.process.pid) <= {supervisor}
    assert cgroups() == cgroups_before
    assert agent.get("/v1/allocations") == [] and agent.get("/v1/evaluations") == []
