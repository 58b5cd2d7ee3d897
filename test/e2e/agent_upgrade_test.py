"""SIGUSR2 to an agent: its successor has its sockets, its routes and its state; no request is lost,
no task stopped, and callers of the API wait a moment."""

import json
import os
import pathlib
import shutil
import signal
import socket
import urllib.request

import pytest

from helpers import jobs, tree
from helpers.load import Clients, Load
from helpers.ports import free_port
from helpers.upgrade import alive
from helpers.wait import stays, until

UPGRADES = int(os.environ.get("SLUICE_AGENT_UPGRADES", "4"))
UPDATE = """update {
      max_parallel     = 1
      min_healthy_time = "100ms"
      healthy_deadline = "20s"
    }"""


@pytest.fixture
def agent(make_agent):
    return make_agent(dev=False).start()


class Calls(Clients):
    """The API is asked all the time, each time by a connection of its own."""

    def __init__(self, agent):
        super().__init__(2)
        self.url = agent.api + "/v1/job/shop"

    def _run(self):
        while not self._stop.is_set():
            try:
                with urllib.request.urlopen(self.url, timeout=20) as answer:
                    ok = json.loads(answer.read())["ID"] == "shop"
                with self._lock:
                    self.answered += ok
            except OSError as e:
                with self._lock:
                    self.failures.append(repr(e))
            self._stop.wait(0.005)


def spec(version):
    return jobs.http("shop", count=3, host="shop.test", group=UPDATE, args=["-version", version])


def successful(agent, version):
    def done():
        found = agent.get("/v1/job/shop/deployment")
        return found["Status"] == "successful" and found["JobVersion"] == version
    until(done, "version %d is deployed" % version, 40)


def test_upgrades_in_the_middle_of_rolling_updates(agent, line):
    """Requests, calls and the update itself: nothing of it is lost."""
    agent.run(spec("v0"))
    agent.wait_routes("shop.test", 3)
    all_of_it = line(agent)
    with Load(agent.proxy_port, "shop.test", clients=4, rate=400) as short, \
            Load(agent.proxy_port, "shop.test", "/sleep/120", clients=4, rate=30) as long, \
            Calls(agent) as calls:
        for number in range(1, UPGRADES + 1):
            short.wait_answered(20)
            path = agent.folder / "shop.nomad"
            path.write_text(spec("v%d" % number))
            assert agent.verb("job", "run", "-detach", path).code == 0
            for _ in range(2):  # the second one meets the update somewhere in its middle
                all_of_it.upgrade()
                short.wait_answered(20)
                long.wait_answered(4)
            successful(agent, number)
        calls.wait_answered(20)
    assert (short.failures, long.failures, calls.failures) == ([], [], [])
    assert len(all_of_it.pids) == 1 + 2 * UPGRADES
    assert any(b"version: v%d" % UPGRADES in body for body in short.bodies)
    until(lambda: not any(map(alive, all_of_it.pids[:-1])), "the old processes have ended")
    assert len(agent.task_pids()) == 3
    agent.stop_jobs()
    all_of_it.end()


def test_tasks_run_on_and_no_line_is_lost(agent, line):
    agent.run(jobs.batch("count", ["-lines", "400", "-lines-every", "10ms", "-exit", "0"]))
    alloc = agent.wait_running("count", 1)[0]["ID"]
    task = agent.task_pids()
    all_of_it = line(agent)
    for _ in range(3):
        all_of_it.upgrade()
        assert agent.task_pids() == task
    until(lambda: agent.allocs("count", "complete"), "the task completes", 30)
    log = agent.verb("alloc", "logs", alloc).out
    assert log.splitlines() == ["line %d" % n for n in range(1, 401)]
    assert agent.get("/v1/allocation/" + alloc)["TaskStates"]["count"]["Restarts"] == 0
    agent.stop_jobs()
    all_of_it.end()


def test_a_successor_that_fails_changes_nothing(agent, line, curl):
    """The configuration names a port that is taken by then: the agent goes on, control plane and
    all, and loses no request over it."""
    agent.run(spec("v0"))
    agent.wait_routes("shop.test", 3)
    good = agent.config.read_text()
    taken = free_port()
    with Load(agent.proxy_port, "shop.test", clients=4, rate=200) as load:
        server = socket.create_server(("127.0.0.1", taken))
        agent.config.write_text(good.replace("http = %d" % agent.api_port, "http = %d" % taken))
        os.kill(agent.process.pid, signal.SIGUSR2)
        agent.process.wait_for(r"upgrade: process \d+ ended with status 1 before it was ready")
        until(lambda: agent.get("/v1/status/leader"), "the API answers again")
        agent.config.write_text(good)
        server.close()
        load.wait_answered(20)
        path = agent.folder / "shop.nomad"
        path.write_text(spec("v1"))
        assert agent.verb("job", "run", "-detach", path).code == 0
        successful(agent, 1)
        both = line(agent)
        both.upgrade()
        assert agent.verb("job", "run", "-detach", path).code == 0
        load.wait_answered(20)
    assert load.failures == []
    assert len(agent.wait_running("shop", 3)) == len(agent.task_pids()) == 3
    agent.stop_jobs()
    both.end()


def test_a_configuration_that_is_wrong_ends_nothing(agent):
    agent.run(spec("v0"))
    agent.config.write_text(agent.config.read_text() + "nonsense = 1\n")
    os.kill(agent.process.pid, signal.SIGUSR2)
    agent.process.wait_for(r"\[ERROR\] SIGUSR2: .*nonsense.*everything stays as it is")
    assert agent.get("/v1/jobs")[0]["ID"] == "shop"


def test_a_program_that_is_gone(make_agent, tmp_path, monkeypatch):
    program = tmp_path / "sluice"
    shutil.copy(tree.sluice, program)
    monkeypatch.setattr(tree, "sluice", pathlib.Path(program))
    agent = make_agent(dev=False).start()
    monkeypatch.undo()
    agent.run(spec("v0"))
    program.unlink()
    os.kill(agent.process.pid, signal.SIGUSR2)
    agent.process.wait_for(r"\[ERROR\] upgrade: start .*; this process goes on")
    until(lambda: agent.get("/v1/jobs")[0]["ID"] == "shop", "the API answers again")
    agent.wait_routes("shop.test", 3)


def test_dev_is_not_replaced(make_agent):
    agent = make_agent(dev=True).start()
    os.kill(agent.process.pid, signal.SIGUSR2)
    agent.process.wait_for(r"SIGUSR2: a -dev agent keeps nothing that a successor could go on from")
    assert agent.nodes_ready()


def test_a_client_that_waits_asks_again(agent, line):
    """A blocking query ends with its connection, and its index still counts."""
    agent.run(spec("v0"))
    agent.wait_running("shop", 3)
    agent.get("/v1/jobs")
    index = agent.index
    both = line(agent)
    both.upgrade()
    assert agent.get("/v1/jobs")[0]["ID"] == "shop"
    assert agent.index >= index
    stays(lambda: agent.nodes_ready(), "the node is ready", 0.5)
    agent.stop_jobs()
    both.end()
