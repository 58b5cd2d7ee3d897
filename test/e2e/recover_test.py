"""The server's state is lost or replaced while tasks run: nothing is stopped or started, it is said
plainly, and `operator recover` takes what runs into the store, by the same processes."""

import json
import shutil

import pytest
from helpers import jobs
from helpers.agent import ApiError
from helpers.wait import until

SERVER = "data/server"


def running(agent, job):
    """Its allocations that run: id -> pids."""
    pids = {}
    for pid, alloc in agent.task_pids().items():
        pids.setdefault(alloc, set()).add(pid)
    return {a["ID"]: pids.get(a["ID"], set())
            for a in agent.get("/v1/job/%s/allocations" % job)
            if a["ClientStatus"] == "running"}


def submit(agent, name, count=1, group=""):
    agent.run(jobs.http(name, count=count, check=False, group=jobs.AT_ONCE + group),
              flags=["-detach"])


def run_two(agent):
    """Two jobs with three tasks in all."""
    submit(agent, "one")
    submit(agent, "two", count=2)
    until(lambda: len(running(agent, "one")) == 1 and len(running(agent, "two")) == 2,
          "three tasks run", 30)
    return running(agent, "one"), running(agent, "two")


def start_refused(agent):
    """Starts the agent, whose node the server does not take in; why, as it says."""
    agent.launch()

    def refused():
        assert agent.process.running(), agent.process.tail()
        nodes = agent.get("/v1/nodes")
        return nodes and nodes[0]["Status"] == "initializing" and nodes[0]["StatusDescription"]
    return until(refused, "the node is not taken in", 20)


def recover(agent):
    result = agent.verb("operator", "recover")
    assert result.code == 0, result
    until(agent.nodes_ready, "the node is ready", 10)
    return result.out


def replace_store(agent, kept):
    shutil.rmtree(agent.folder / SERVER)
    if kept is not None:
        shutil.copytree(kept, agent.folder / SERVER)


def test_a_lost_store_changes_nothing_until_recover(make_agent):
    agent = make_agent(dev=False).start()
    one, two = run_two(agent)
    before = agent.task_pids()
    agent.stop()
    seen = json.loads((agent.folder / "data/client/cluster.json").read_text())
    replace_store(agent, None)
    why = start_refused(agent)
    assert "(3 allocations)" in why and "sluice operator recover" in why
    status = agent.verb("node", "status")
    assert status.code == 0 and why in status.out
    assert why in agent.err() + agent.out()
    # What is registered meanwhile waits, and what runs is not touched.
    submit(agent, "other")
    until(lambda: "blocked" in [e["Status"] for e in agent.get("/v1/job/other/evaluations")],
          "the other job waits for a node", 10)
    assert agent.get("/v1/job/other/allocations") == []
    assert agent.task_pids() == before

    assert "Recovered 2 jobs with 3 allocations" in recover(agent)
    until(lambda: running(agent, "other"), "the other job runs", 20)
    assert (running(agent, "one"), running(agent, "two")) == (one, two)
    assert agent.index > seen["index"]
    now = json.loads((agent.folder / "data/client/cluster.json").read_text())
    assert now["cluster_id"] == seen["cluster_id"] and now["term"] > seen["term"]
    assert {a["DesiredStatus"] for a in agent.get("/v1/allocations")} == {"run"}
    again = agent.verb("operator", "recover")
    assert again.code == 1 and "there is nothing to recover" in again.err

    # It is the server's again: over a restart, and when it is told to stop.
    agent.kill()
    agent.start()
    until(lambda: (running(agent, "one"), running(agent, "two")) == (one, two),
          "the same processes run", 20)
    for name in ("one", "two", "other"):
        assert agent.verb("job", "stop", "-detach", name).code == 0
    until(lambda: not agent.task_pids(), "nothing runs any more", 30)


def test_an_older_copy_of_the_store_stops_nothing_and_doubles_nothing(make_agent, tmp_path):
    agent = make_agent(dev=False).start()
    one, _ = run_two(agent)
    agent.stop()
    shutil.copytree(agent.folder / SERVER, tmp_path / "older")
    agent.start()
    assert agent.verb("job", "stop", "-detach", "two").code == 0
    until(lambda: not running(agent, "two"), "two is stopped", 20)
    submit(agent, "three")
    until(lambda: running(agent, "three"), "three runs", 20)
    three = running(agent, "three")
    before = agent.task_pids()
    agent.stop()
    replace_store(agent, tmp_path / "older")
    assert "an older copy" in start_refused(agent)
    assert agent.task_pids() == before
    recover(agent)
    until(lambda: running(agent, "three") == three, "three is known again", 20)
    assert running(agent, "one") == one
    # The copy says that this one runs: it does so again, beside what ran all the time.
    until(lambda: len(running(agent, "two")) == 2, "two runs again", 20)
    assert set(before) < set(agent.task_pids())
    assert len(agent.task_pids()) == 4


PARENT = """
job "parent" {
  datacenters = ["dc1"]
  type        = "batch"
  %s
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args    = ["1000"]
      }
    }
  }
}
"""


def test_parents_that_are_lost_are_named(make_agent):
    agent = make_agent(dev=False).start()
    agent.run(PARENT % "parameterized {\n  }")
    for _ in range(2):
        assert agent.verb("job", "dispatch", "-detach", "parent").code == 0
    until(lambda: len(agent.task_pids()) == 2, "two children run", 20)
    before = agent.task_pids()
    agent.stop()
    replace_store(agent, None)
    start_refused(agent)
    said = recover(agent)
    assert "Recovered 2 jobs with 2 allocations" in said
    assert ('Job "parent" (namespace default), the parent of 2 of them, is not known: '
            "register it again") in said
    assert "access tokens and policies, jobs without allocations" in said
    assert "the parent of 2 recovered jobs, is not known" in agent.err() + agent.out()
    # Registered again it is the parent of both.
    agent.run(PARENT % "parameterized {\n  }")
    assert agent.get("/v1/job/parent/summary")["Children"]["Running"] == 2
    assert agent.task_pids() == before


def test_another_store_with_a_job_of_the_same_name(make_agent):
    agent = make_agent(dev=False).start()
    run_two(agent)
    before = agent.task_pids()
    agent.stop()
    replace_store(agent, None)
    start_refused(agent)
    submit(agent, "one", group="\nmeta {\n  other = \"yes\"\n}\n")
    refused = agent.verb("operator", "recover")
    assert refused.code == 1 and 'job "one" is in the store already' in refused.err
    assert agent.task_pids() == before
    assert agent.verb("job", "stop", "-purge", "-detach", "one").code == 0
    recover(agent)
    until(lambda: len(running(agent, "one")) == 1 and len(running(agent, "two")) == 2,
          "all are known", 20)
    assert agent.task_pids() == before


def test_who_may_recover(make_agent):
    agent = make_agent(dev=False, config="acl {\n  enabled = true\n}\n").launch()
    until(lambda: agent.get("/v1/status/leader"), "the agent answers", 20)
    with pytest.raises(ApiError) as refused:
        agent.put("/v1/operator/recover", {})
    assert refused.value.status == 403
    agent.stop()
