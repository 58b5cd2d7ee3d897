"""Consul dies and comes back, with its data or without: no task ends for it, no request fails, and
afterwards Consul has what it should."""

import shutil

import pytest
from helpers import consul as consul_helper
from helpers import jobs, lines, tree
from helpers.load import Load
from helpers.wait import stays, until


@pytest.fixture
def consul(consul_binary):
    """A Consul that keeps its data."""
    folder = tree.server_folder()
    server = consul_helper.Consul(folder, dev=False).start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def agent(consul, make_agent):
    return make_agent(config='consul {\n address = "%s"\n}\n' % consul.address).start()


def ours(consul):
    return {i for i in consul.get("/v1/agent/services") if i.startswith("_sluice-")}


@pytest.mark.parametrize("data", ["kept", "lost"])
def test_consul_restarts_under_load(agent, consul, data):
    agent.run(jobs.http(count=2, host="shop.test"))
    agent.run(jobs.http("other", check=False))
    agent.wait_routes("shop.test", 2, 40)
    tasks, services = agent.task_pids(), ours(consul)
    assert len(tasks) == 3 and len(services) == 3
    with Load(agent.proxy_port, "shop.test", rate=100) as load:
        load.wait_answered(50)
        consul.kill()
        if data == "lost":
            shutil.rmtree(consul.folder / "consul.d")
        # A job that was stopped meanwhile must not stay in a Consul that kept its data.
        assert agent.verb("job", "stop", "-detach", "other").code == 0
        stays(lambda: len(agent.routes("shop.test")) == 2, "the routes", 2)
        consul.start()
        until(lambda: len([s for s in consul.services("shop")
                           if all(c["Status"] == "passing" for c in s["Checks"])]) == 2,
              "both registered and passing", 60)
        until(lambda: len(ours(consul)) == 2, "the stopped job's service goes", 40)
        load.wait_answered(50)
    assert load.failures == []
    assert ours(consul) < services  # the same ids
    assert agent.task_pids().items() < tasks.items()
    agent.wait_routes("shop.test", 2)


@pytest.mark.parametrize("data", ["kept", "lost"])
@pytest.mark.parametrize("agents_end", ["kill9", "upgrade"])
def test_the_agent_is_replaced_while_consul_is_away(consul, make_agent, agents_end, data):
    agent = make_agent(dev=False, config='consul {\n address = "%s"\n}\n' % consul.address).start()
    agent.run(jobs.http(count=2, host="shop.test"))
    agent.run(jobs.http("other", check=False))
    agent.wait_routes("shop.test", 2, 40)
    ids = lines.start(agent, driver="raw_exec")
    tasks, services = agent.task_pids(), ours(consul)
    consul.kill()
    if data == "lost":
        shutil.rmtree(consul.folder / "consul.d")
    agent.replace(agents_end)
    assert agent.verb("job", "stop", "-detach", "other").code == 0
    until(lambda: len(agent.task_pids()) == 4, "the stopped job's task ends", 20)
    consul.start()
    until(lambda: len(ours(consul)) == 2, "each has what it should", 40)
    agent.wait_routes("shop.test", 2, 40)
    assert ours(consul) < services
    assert agent.task_pids().items() < tasks.items()
    lines.wait(agent, ids, 0)
    lines.check(agent, ids, 1)
    agent.stop_jobs()
    until(lambda: not ours(consul), "nothing is left", 40)


@pytest.mark.parametrize("agents_end", ["kill9", "upgrade"])
def test_consul_restarts_while_the_agent_is_replaced(consul, make_agent, agents_end):
    agent = make_agent(dev=False, config='consul {\n address = "%s"\n}\n' % consul.address).start()
    agent.run(jobs.http(count=2, host="shop.test"))
    agent.wait_routes("shop.test", 2, 40)
    tasks, services = agent.task_pids(), ours(consul)
    with agent.replaced(agents_end):
        consul.kill()
        shutil.rmtree(consul.folder / "consul.d")
        consul.start()
    until(lambda: ours(consul) == services, "both are registered again, by the same ids", 40)
    agent.wait_routes("shop.test", 2, 40)
    assert agent.task_pids() == tasks


def test_somebody_changes_what_is_ours_in_consul(agent, consul):
    """What is missing comes back, what nobody owns goes, and what is not ours is left alone."""
    agent.run(jobs.http(count=2, host="shop.test"))
    agent.wait_routes("shop.test", 2, 40)
    services = ours(consul)
    gone = min(services)
    consul.put("/v1/agent/service/deregister/" + gone)
    stray = gone.rsplit("-", 1)[0] + "-stray"
    for name in (stray, "foreign"):
        consul.put("/v1/agent/service/register", {"ID": name, "Name": name, "Port": 1})
    until(lambda: ours(consul) == services, "mended", 40)
    assert "foreign" in consul.get("/v1/agent/services")
    agent.wait_routes("shop.test", 2, 40)
