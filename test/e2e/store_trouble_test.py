"""A damaged state file, and a disk without room: refused by name, and what runs goes on."""

import shutil
import subprocess

import pytest
from helpers import jobs
from helpers.agent import ApiError
from helpers.wait import stays, until


@pytest.fixture
def agent(make_agent):
    return make_agent(dev=False)


def started(agent):
    agent.run(jobs.http(count=2, host="shop.test", group=jobs.AT_ONCE))
    agent.wait_running("shop", 2)
    agent.wait_routes("shop.test", 2)
    return agent.task_pids()


def test_a_damaged_file_is_refused_and_the_tasks_go_on(agent):
    agent.start()
    pids = started(agent)
    assert agent.stop() == 0
    file = agent.folder / "data" / "server" / "state.db"
    good = file.read_bytes()
    at = good.index(b'"ID":"shop"')
    bad = good[:at] + b"?" + good[at + 1:]
    file.write_bytes(bad)

    agent.launch()
    assert agent.process.wait(20) == 1
    err = agent.err()
    assert str(file) + " is damaged" in err and "Put back a good copy" in err, err
    assert file.read_bytes() == bad
    assert agent.task_pids() == pids

    file.write_bytes(good)
    agent.start()
    agent.wait_running("shop", 2)
    assert agent.task_pids() == pids


def test_an_empty_state_stops_no_task(agent):
    """The state is gone and the node still knows its cluster: absence is not an order."""
    agent.start()
    pids = started(agent)
    agent.kill()
    shutil.rmtree(agent.folder / "data" / "server")
    agent.launch()
    agent.process.wait_for("of cluster .*nothing is started or stopped")
    stays(lambda: agent.task_pids() == pids, "the tasks run", 1)
    assert agent.verb("operator", "recover").code == 0  # and the test's end stops them


@pytest.fixture
def small_disk(agent):
    """A disk of its own for the server's state."""
    folder = agent.folder / "data" / "server"
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "sluice-test", folder],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip("no mount here: " + mounted.stderr.strip())
    try:
        yield folder
        agent.clean_up()
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_refuses_writes_and_nothing_else(agent, small_disk, curl):
    agent.start()
    pids = started(agent)

    def ask():
        return curl(agent.traffic, "-H", "Host: shop.test").status
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as file, pytest.raises(OSError):
        while True:
            file.write(b"x" * 4096)

    def refused():
        with pytest.raises(ApiError) as error:
            agent.call("DELETE", "/v1/job/shop")
        return "state.db: database or disk is full" in error.value.text
    # What the -wal had as room already is used up first.
    until(lambda: not wrote(agent), "no room is left", 20)
    assert refused()
    assert agent.get("/v1/job/shop")["Stop"] is False
    result = agent.verb("job", "stop", "shop")
    assert result.code != 0 and "disk is full" in result.all
    assert agent.task_pids() == pids and ask() == 200

    # So it is for an agent that starts now.
    agent.kill()
    agent.start()
    agent.wait_routes("shop.test", 2)
    assert agent.task_pids() == pids and ask() == 200
    assert refused()

    filler.unlink()
    until(lambda: wrote(agent), "it writes again", 20)
    agent.wait_running("shop", 2)
    assert agent.task_pids() == pids


def wrote(agent):
    """An evaluation is written, or refused."""
    try:
        agent.put("/v1/job/shop/evaluate", {"JobID": "shop"})
    except ApiError:
        return False
    return True
