"""`agent -dev` keeps nothing: its tasks end with it, also those of one that was killed."""

import pytest
from helpers import jobs
from helpers.wait import until


@pytest.fixture
def agent(make_agent):
    agent = make_agent().start()
    agent.run(jobs.http(count=2, group=jobs.AT_ONCE))
    agent.wait_running("shop", 2)
    return agent


def test_its_end_leaves_no_task(agent):
    # The server sees services end and has others made in their place: too late.
    assert agent.stop() == 0
    assert agent.task_pids() == {}
    agent.start()  # on the same folder, as if it were new
    assert agent.get("/v1/jobs") == []
    agent.run(jobs.http(group=jobs.AT_ONCE))
    agent.wait_running("shop", 1)


def test_the_next_one_ends_what_a_killed_one_left(agent):
    pids = agent.task_pids()
    assert len(pids) == 2
    agent.kill()
    assert agent.task_pids() == pids
    agent.start()
    until(lambda: not agent.task_pids(), "the tasks are ended", 30)
    agent.run(jobs.http(group=jobs.AT_ONCE))
    agent.wait_running("shop", 1)


def test_it_takes_no_folder_with_a_state_that_is_kept(make_agent):
    kept = make_agent(dev=False).start()
    kept.run(jobs.http(group=jobs.AT_ONCE))
    kept.wait_running("shop", 1)
    pids = kept.task_pids()
    assert kept.stop() == 0
    kept.dev = True
    kept.launch()
    assert kept.process.wait(20) == 1
    assert str(kept.folder / "data") in kept.err() and "without -dev" in kept.err()
    assert kept.task_pids() == pids
    kept.dev = False
    kept.start()
    assert kept.task_pids() == pids
