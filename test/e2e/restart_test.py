"""Restarting a non-dev agent, however it ended, keeps jobs and running tasks."""

import os
import signal

import pytest
from helpers import jobs, lines
from helpers.wait import stays, until


@pytest.fixture
def agent(make_agent):
    return make_agent(dev=False).start()


def started(agent, args=()):
    agent.run(jobs.http(count=2, host="shop.test", args=args, group=jobs.AT_ONCE))
    agent.wait_running("shop", 2)
    agent.wait_routes("shop.test", 2)
    pids = agent.task_pids()
    assert len(pids) == 2
    return pids


def check_taken_over(agent, pids, curl):
    allocs = agent.wait_running("shop", 2)
    agent.wait_routes("shop.test", 2)
    assert agent.task_pids() == pids
    assert curl(agent.traffic, "-H", "Host: shop.test").status == 200
    stays(lambda: agent.task_pids() == pids, "the tasks are the same", 1)
    assert {a["TaskStates"]["shop"]["Restarts"] for a in allocs} == {0}


def test_restart_by_sigterm(agent, curl):
    pids = started(agent)
    assert agent.stop() == 0
    assert agent.task_pids() == pids
    agent.start()
    check_taken_over(agent, pids, curl)


def test_restart_after_sigkill(agent, curl):
    pids = started(agent)
    agent.kill()
    assert agent.task_pids() == pids
    agent.start()
    check_taken_over(agent, pids, curl)


def test_the_supervisor_is_killed(agent, curl):
    pids = started(agent)
    old = agent.supervisor_pid()
    os.kill(old, signal.SIGKILL)
    until(lambda: agent.supervisor_pid() != old, "a new supervisor", 20)
    check_taken_over(agent, pids, curl)


def test_both_are_killed(agent, curl):
    pids = started(agent)
    os.kill(agent.supervisor_pid(), signal.SIGKILL)
    agent.kill()
    agent.start()
    check_taken_over(agent, pids, curl)


def test_an_exit_while_the_agent_was_away_is_known(agent):
    agent.run(jobs.batch("count", ["-lines", "15", "-lines-every", "100", "-exit", "7"]))
    agent.wait_running("count", 1)
    agent.kill()
    until(lambda: agent.task_pids() == {}, "the task ends on its own")
    agent.start()

    def failed():
        state = agent.get("/v1/job/count/allocations")[0]["TaskStates"]["count"]
        return state if state["State"] == "dead" else None
    state = until(failed, "the end is reported")
    ends = [e for e in state["Events"] if e["Type"] == "Terminated"]
    assert state["Failed"] and ends[-1]["ExitCode"] == 7


def test_an_exit_after_the_supervisor_was_killed_is_known(agent):
    agent.run(jobs.batch("count", ["-lines", "40", "-lines-every", "100", "-exit", "7"]))
    agent.wait_running("count", 1)
    os.kill(agent.supervisor_pid(), signal.SIGKILL)

    def dead():
        state = agent.get("/v1/job/count/allocations")[0]["TaskStates"]["count"]
        return state if state["State"] == "dead" else None
    state = until(dead, "the end is reported", 30)
    ends = [e for e in state["Events"] if e["Type"] == "Terminated"]
    assert state["Failed"] and ends[-1]["ExitCode"] == 7


def test_output_is_whole_over_a_restart_of_agent_and_supervisor(agent):
    agent.run(jobs.batch("count", ["-lines", "60", "-lines-every", "50", "-exit", "0"]))
    alloc = agent.wait_running("count", 1)[0]["ID"]
    agent.kill()
    os.kill(agent.supervisor_pid(), signal.SIGKILL)
    agent.start()
    until(lambda: agent.get("/v1/allocation/" + alloc)["ClientStatus"] == "complete",
          "the task completes", 30)
    result = agent.verb("alloc", "logs", alloc)
    assert result.out == "".join("line %d\n" % n for n in range(1, 61))


def test_jobs_and_index_survive(agent):
    started(agent)
    before = agent.get("/v1/job/shop")
    agent.kill()
    agent.start()
    after = agent.get("/v1/job/shop")
    assert {k: after[k] for k in ("Version", "CreateIndex", "JobModifyIndex", "SubmitTime")} == {
        k: before[k] for k in ("Version", "CreateIndex", "JobModifyIndex", "SubmitTime")}
    # The index only grows.
    agent.run(jobs.http(count=2, host="shop.test", args=["-version", "v9"], group=jobs.AT_ONCE))
    assert agent.get("/v1/job/shop")["JobModifyIndex"] > before["JobModifyIndex"]


def test_no_line_is_lost_or_doubled_while_the_agent_is_killed_again_and_again(agent):
    """Fast lines, so that log files come to their end and the next begin meanwhile."""
    ids = lines.start(agent, driver="raw_exec", count=1, burst=40,
                      task="logs {\n max_files = 50\n max_file_size = 1\n }")
    pids = agent.task_pids()
    for _ in range(5):
        agent.kill()
        agent.start()
        goals = {alloc: lines.size(agent, alloc) + 250_000 for alloc in ids}
        until(lambda: all(lines.size(agent, alloc) >= goals[alloc] for alloc in ids), "more lines")
    assert all(len(lines.files(agent, alloc)) > 1 for alloc in ids)
    assert agent.task_pids() == pids
    lines.check(agent, ids, 1)
