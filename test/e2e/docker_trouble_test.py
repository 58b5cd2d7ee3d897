"""What happens around Docker tasks: dockerd and the agent restart or die, somebody kills and
removes containers. The end state is right, nothing is left, and no log line is lost or doubled:
each task prints numbered lines, which are counted."""

import re

import pytest
from helpers import consul as consul_helper
from helpers import docker as docker_helper
from helpers import lines, process, tree
from helpers.jobs import quoted
from helpers.wait import until

HOST = "mysite.com:9999"
REPLACED = pytest.mark.parametrize("agents_end", ["kill9", "upgrade"])


@pytest.fixture(scope="module")
def daemon():
    with docker_helper.own() as made:
        made.build_images()
        made.build("probe:1", [], tree.probe)
        yield made


def start_again(dockerd):
    """It outlives the test that starts it."""
    dockerd.start()
    process.started.remove(dockerd.process)


@pytest.fixture
def dockerd(daemon):
    """One dockerd for this file's tests, each of which leaves it running and empty; after one that
    failed it is emptied, so that only that one fails."""
    yield daemon
    if not daemon.process.running():
        start_again(daemon)
    daemon.empty()


@pytest.fixture(scope="module")
def own_consul(consul_binary, tmp_path_factory):
    server = consul_helper.Consul(tmp_path_factory.mktemp("consul")).start()
    yield server
    server.stop()


@pytest.fixture
def consul(own_consul):
    """The same for Consul."""
    yield own_consul
    own_consul.empty()


@pytest.fixture
def agent(dockerd, consul, make_agent):
    return make_agent(dev=False, flags=["-docker-socket", dockerd.sock], config="""
consul {
  address = "%s"
}
""" % consul.address).start()


def containers(docker, job):
    return [c for c in docker.containers() if c["Labels"].get("sluice.job_id") == job]


def running(docker, job):
    return {c["Id"] for c in containers(docker, job) if c["State"] == "running"}


def restarts(agent, job):
    return {a["ID"]: a["TaskStates"][job]["Restarts"] for a in agent.allocs(job)}


def run_backends(agent):
    result = agent.verb("job", "run", "-detach", tree.examples / "httpbackend-2.nomad")
    assert result.code == 0, result
    agent.wait_routes(HOST, 2, 60)


def stop_and_look(agent, dockerd, consul, *jobs):
    """Stopped, nothing is left: no container, no service."""
    for job in jobs:
        assert agent.verb("job", "stop", job).code == 0
    until(lambda: not [c for job in jobs for c in containers(dockerd, job)], "containers go", 40)
    until(lambda: not [s for s in consul.get("/v1/agent/services") if s.startswith("_sluice-")],
          "services go")
    assert dockerd.get("/containers/json?all=true") == []


def end(dockerd, how):
    if how == "stop":
        dockerd.stop()
    else:
        dockerd.crash()


def wait_until_missed(agent):
    until(lambda: "docker: Docker does not answer" in agent.err(), "the agent says so")


def two_of_each(agent):
    """The backends and the lines run; the ids of the lines' and of the backends' allocations."""
    run_backends(agent)
    ids = lines.start(agent)
    return ids, {a["ID"] for a in agent.allocs("httpbackend")}


def all_came_back(agent, dockerd, ids, allocs):
    """The containers run a second time, in the same allocations, and no attempt was used up."""
    for job, count in (("lines", 2), ("httpbackend", 2)):
        until(lambda: len(running(dockerd, job)) == count, "containers of %s run" % job, 60)
    agent.wait_routes(HOST, 2, 60)
    assert {a["ID"] for a in agent.wait_running("httpbackend", 2)} == allocs
    assert set(restarts(agent, "httpbackend").values()) == {0}
    assert restarts(agent, "lines") == dict.fromkeys(ids, 0)
    lines.wait(agent, ids, 1)
    lines.check(agent, ids, 2)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_dockerd_restarts(agent, dockerd, consul, how):
    before = two_of_each(agent)
    end(dockerd, how)
    wait_until_missed(agent)
    start_again(dockerd)
    all_came_back(agent, dockerd, *before)
    stop_and_look(agent, dockerd, consul, "lines", "httpbackend")


@pytest.mark.parametrize("how", ["kill", "remove"])
def test_somebody_ends_our_containers(agent, dockerd, consul, how):
    """docker kill, docker rm -f: what was ended runs again; what is not ours is not touched."""
    foreign = dockerd.ok("POST", "/containers/create?name=foreign",
                         body={"Image": "probe:1", "Cmd": ["stay"]})
    foreign = re.search(rb'"Id":"(\w+)"', foreign).group(1).decode()
    dockerd.ok("POST", "/containers/%s/start" % foreign)
    ids = lines.start(agent)
    for round_number in range(2):
        before = running(dockerd, "lines")
        for container in before:
            getattr(dockerd, how)(container)
        until(lambda: len(running(dockerd, "lines")) == 2
              and not running(dockerd, "lines") & before, "two others run", 40)
        lines.wait(agent, ids, round_number + 1)
    assert restarts(agent, "lines") == dict.fromkeys(ids, 2)
    assert len(containers(dockerd, "lines")) == 2  # those that ended are gone
    lines.check(agent, ids, 3)
    assert dockerd.get("/containers/%s/json" % foreign)["State"]["Running"]
    dockerd.remove(foreign)
    stop_and_look(agent, dockerd, consul, "lines")


def test_the_agent_is_replaced_again_and_again(agent, dockerd, consul):
    ids = lines.start(agent, burst=5)
    before = running(dockerd, "lines")
    for how in ("kill9", "stop", "upgrade", "kill9", "upgrade", "upgrade", "kill9", "kill9"):
        if how == "stop":
            agent.stop()
            agent.start()
        else:
            agent.replace(how)
        agent.wait_running("lines", 2)
        lines.wait(agent, ids, 0)
    assert running(dockerd, "lines") == before
    assert restarts(agent, "lines") == dict.fromkeys(ids, 0)
    lines.check(agent, ids, 1)
    stop_and_look(agent, dockerd, consul, "lines")


@REPLACED
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_the_agent_is_replaced_while_dockerd_is_away(agent, dockerd, consul, how, agents_end):
    before = two_of_each(agent)
    end(dockerd, how)
    agent.replace(agents_end)
    wait_until_missed(agent)
    start_again(dockerd)
    all_came_back(agent, dockerd, *before)
    stop_and_look(agent, dockerd, consul, "lines", "httpbackend")


@REPLACED
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_dockerd_restarts_while_the_agent_is_replaced(agent, dockerd, consul, how, agents_end):
    """No attempt is used up, whether a task ends with a success at its SIGTERM or is killed."""
    before = two_of_each(agent)
    with agent.replaced(agents_end):
        end(dockerd, how)
        start_again(dockerd)
    all_came_back(agent, dockerd, *before)
    stop_and_look(agent, dockerd, consul, "lines", "httpbackend")


def run_work(agent, args, task=""):
    """A batch job of one task, which prints numbered lines."""
    agent.run("""
job "work" {
  datacenters = ["dc1"]
  type = "batch"
  group "work" {
    task "work" {
      driver = "docker"
      config {
        image = "probe:1"
        args  = ["lines", %s]
      }
      %s
    }
  }
}
""" % (quoted(args), task), "work.nomad", flags=["-detach"])
    return agent.wait_running("work", 1)[0]["ID"]


def work_lines(agent, alloc, stream):
    """What the task's log files hold, line by line."""
    folder = agent.folder / "data" / "alloc" / alloc / "alloc" / "logs"
    rest = ""  # a file may end within a line
    for file in sorted(folder.glob("work.%s.*" % stream), key=lambda f: int(f.suffix[1:])):
        *whole, rest = (rest + file.read_text()).split("\n")
        yield from whole
    assert rest == ""


def test_work_done_before_dockerd_restarts_is_not_done_twice(agent, dockerd, consul):
    run_work(agent, ["1000", "1000"])
    agent.kill()
    until(lambda: [c["State"] for c in containers(dockerd, "work")] == ["exited"], "it is done")
    dockerd.stop()
    start_again(dockerd)
    agent.start()
    alloc, = until(lambda: agent.allocs("work", "complete"), "it is known to be done", 30)
    assert alloc["TaskStates"]["work"]["Restarts"] == 0
    assert list(work_lines(agent, alloc["ID"], "stdout")) == ["line %08d" % n
                                                              for n in range(1, 1001)]
    stop_and_look(agent, dockerd, consul)


@pytest.mark.parametrize("agents_end, count", [("no", 1_000_000), ("kill9", 500_000),
                                               ("upgrade", 500_000)])
def test_a_task_that_writes_without_pause(agent, dockerd, consul, agents_end, count):
    """200 MB on both streams as fast as they go, more than Docker keeps: all of it is there, to the
    last line."""
    width = 100
    alloc = run_work(agent, [str(count), "0", "1", str(width)],
                     "logs {\n max_files = 100\n max_file_size = 2\n }")
    if agents_end != "no":
        until(lambda: next(work_lines(agent, alloc, "stdout"), None), "it writes")
        agent.replace(agents_end)
    done, = until(lambda: agent.allocs("work", "complete"), "it is done, and known to be", 240)
    for stream in ("stdout", "stderr"):
        number = 0
        for number, line in enumerate(work_lines(agent, alloc, stream), 1):
            if line != ("line %08d" % number).ljust(width - 1, "."):
                pytest.fail("%s: %s in the place of line %d" % (stream, line, number))
        assert number == count
    said = [e["DisplayMessage"] for e in done["TaskStates"]["work"]["Events"]]
    assert not [s for s in said if "missing" in s], said
    stop_and_look(agent, dockerd, consul)


@REPLACED
def test_containers_end_while_the_agent_is_replaced(agent, dockerd, consul, agents_end):
    ids = lines.start(agent)
    before = running(dockerd, "lines")
    killed, removed = sorted(before)
    with agent.replaced(agents_end):
        dockerd.kill(killed)
        dockerd.remove(removed)
    until(lambda: len(running(dockerd, "lines")) == 2 and not running(dockerd, "lines") & before,
          "two others run", 60)
    assert {a["ID"] for a in agent.wait_running("lines", 2, 40)} == set(ids)
    lines.wait(agent, ids, 1)
    lines.check(agent, ids, 2)
    stop_and_look(agent, dockerd, consul, "lines")


@pytest.mark.parametrize("agents_end", ["no", "kill9", "upgrade"])
def test_a_job_stopped_while_dockerd_is_away_leaves_nothing(agent, dockerd, agents_end):
    lines.start(agent)
    dockerd.crash()  # its containers stay, until the next one ends them
    assert agent.verb("job", "stop", "lines").code == 0
    if agents_end != "no":
        agent.replace(agents_end)
    start_again(dockerd)
    until(lambda: dockerd.get("/containers/json?all=true") == [], "containers go", 60)
    until(lambda: [a["ClientStatus"] for a in agent.get("/v1/job/lines/allocations")]
          == ["complete", "complete"], "the allocations end", 20)
