"""Many tasks are started and stopped again and again: no descriptor, folder, process, container,
volume, cgroup or service stays behind.

SLUICE_CHURN_TASKS and SLUICE_CHURN_ROUNDS say how many and how often (20, with Docker 6, and 3 by
default)."""

import os
import pathlib

import pytest
from helpers import jobs
from helpers.proc import children, descriptors
from helpers.wait import until

ROUNDS = int(os.environ.get("SLUICE_CHURN_ROUNDS", "3"))


def tasks(driver):
    return int(os.environ.get("SLUICE_CHURN_TASKS", "6" if driver == "docker" else "20"))


@pytest.fixture(params=["raw_exec", "docker"])
def agent(request, consul, make_agent):
    config = 'consul {\n address = "%s"\n}\n' % consul.address
    if request.param == "docker":
        docker = request.getfixturevalue("docker")
        docker.build("backend:1", [])
        made = make_agent(dev=False, config=config, flags=["-docker-socket", docker.sock])
        made.living = lambda: docker.containers(**{"sluice.job_id": "shop"})
        made.volumes = lambda: docker.get("/volumes")["Volumes"]
    else:
        made = make_agent(dev=False, config=config)
        made.living, made.volumes = made.task_pids, list
    made.driver = request.param
    return made.start()


def files(agent):
    """All below the data folder but the store's own."""
    data = agent.folder / "data"
    return {str(f.relative_to(data)) for f in data.rglob("*") if "server" not in f.parts}


def cgroups():
    return {str(f) for f in pathlib.Path("/sys/fs/cgroup").glob("**/*sluice*/**/")}


def services(consul):
    return {s for s in consul.get("/v1/agent/services") if s.startswith("_sluice-")}


def one_round(agent, consul):
    count = tasks(agent.driver)
    agent.run(jobs.http(count=count, host="shop.test", group=jobs.AT_ONCE, driver=agent.driver),
              flags=["-detach"])
    agent.wait_running("shop", count, 240)
    agent.wait_routes("shop.test", count, 120)
    assert len(agent.living()) == count and len(services(consul)) == count
    assert agent.verb("job", "stop", "-detach", "shop").code == 0
    until(lambda: not agent.living(), "the tasks end", 240)
    until(lambda: not services(consul), "the services go", 60)
    agent.wait_routes("shop.test", 0, 60)
    until(lambda: {a["ClientStatus"] for a in agent.get("/v1/job/shop/allocations")}
          <= {"complete"}, "the allocations are complete", 60)
    agent.put("/v1/system/gc")


def test_tasks_that_come_and_go_leave_nothing(agent, consul):
    cgroups_before = cgroups()
    one_round(agent, consul)  # what is made once, for good
    supervisors = {agent.supervisor_pid()} if agent.driver == "raw_exec" else set()
    until(lambda: not list((agent.folder / "data" / "alloc").iterdir()), "the folders go", 40)

    def held():
        return [files(agent), *(descriptors(pid) for pid in (agent.process.pid, *supervisors))]
    before, volumes = held(), agent.volumes()
    for done in range(1, ROUNDS):
        one_round(agent, consul)
        print("%s: %d tasks, round %d" % (agent.driver, tasks(agent.driver), done + 1))

    def no_more():
        for have, had in zip(held(), before):  # fewer connections may be kept open than then
            assert have <= had, have - had
        return True
    until(no_more, "no more is open or on disk than after the first round", 40)
    for pid in supervisors:
        assert agent.supervisor_pid() == pid and children(pid) == set()
    assert children(agent.process.pid) <= supervisors
    assert cgroups() == cgroups_before and agent.volumes() == volumes
    assert agent.get("/v1/allocations") == [] and agent.get("/v1/evaluations") == []
