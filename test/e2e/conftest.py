"""Fixtures of the end-to-end tests. Real servers on fresh ports in fresh folders; what a test
started is ended with it, by its own pid, and a failing test shows the output of all of it."""

import contextlib

import pytest

from helpers import agent as agent_helper
from helpers import balancer as balancer_helper
from helpers import consul as consul_helper
from helpers import docker as docker_helper
from helpers import ports, process, tree
from helpers.curl import Curl
from helpers.upgrade import Line


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for p in process.started:
            report.sections.append(("%s (pid %d)" % (p.name, p.pid), p.tail()))


@pytest.fixture(autouse=True)
def processes():
    """Ends what the test started and did not end. Session-wide servers are not in the list."""
    before = list(process.started)
    del process.started[:]
    yield process.started
    leftover = list(process.started)
    process.started[:] = before
    for p in reversed(leftover):
        if p.running():
            p.end(30)


@pytest.fixture
def line():
    """line(server) follows a server through its upgrades; what is left of it ends with the test."""
    made = []

    def make(server):
        made.append(Line(server))
        return made[-1]
    yield make
    for each in made:
        each.kill()


@pytest.fixture
def curl():
    return Curl()


@pytest.fixture
def free_port():
    return ports.free_port


class Backend:
    def __init__(self, p):
        self.process = p
        self.http_port = int(p.wait_for(r"http on port (\d+)").group(1))
        self.https_port = int(p.wait_for(r"https on port (\d+)").group(1))
        self.http_url = "http://127.0.0.1:%d/" % self.http_port
        self.https_url = "https://127.0.0.1:%d/" % self.https_port


@pytest.fixture
def backend(tmp_path):
    """backend(flags...) starts a demo backend on ports of the kernel's choice."""
    def start(*flags):
        return Backend(process.Process(
            [tree.backend, "-http", "127.0.0.1:0", "-https", "127.0.0.1:0", *flags], tmp_path))
    return start


@pytest.fixture(scope="session")
def consul_binary():
    return consul_helper.binary()


@pytest.fixture
def consul(consul_binary, tmp_path):
    """A Consul in -dev mode."""
    server = consul_helper.Consul(tmp_path / "consul").start()
    yield server
    server.stop()


@pytest.fixture
def lb(tmp_path):
    """lb(listeners=..., registry_backend="static", ...) -> `sluice lb` that is not started yet."""
    made = []

    def make(**options):
        made.append(balancer_helper.Balancer(tmp_path / ("lb%d" % len(made)), **options))
        return made[-1]
    return make


@pytest.fixture(scope="session")
def docker():
    """The machine's dockerd, or one of ours for the session, with the images that the jobs name."""
    found = docker_helper.running()
    with contextlib.nullcontext(found) if found else docker_helper.own() as daemon:
        daemon.build_images()
        if not found and daemon.process in process.started:  # asked for by a test under way
            process.started.remove(daemon.process)
        yield daemon


@pytest.fixture
def dockerd():
    """A dockerd of the test's own, which it may stop and start."""
    with docker_helper.own() as daemon:
        daemon.build_images()
        yield daemon


@pytest.fixture
def make_agent(tmp_path):
    """make_agent(name, dev=..., config=..., flags=...) -> an agent that is not started yet. At the
    end each agent's jobs are stopped, so that no task outlives its test."""
    made = []

    def make(name="agent", **options):
        made.append(agent_helper.Agent(tmp_path / name, **options))
        return made[-1]
    yield make
    for agent in made:
        agent.clean_up()


@pytest.fixture
def agent(make_agent):
    """An agent in -dev mode that is ready."""
    return make_agent().start()
