"""Cores that a task has for itself (`resources { cores = 1 }`): it runs there and nobody else does,
also over a restart of the agent."""

import os
import pathlib

import pytest
from helpers import tree
from helpers.wait import until

MACHINE = sorted(os.sched_getaffinity(0))
pytestmark = pytest.mark.skipif(len(MACHINE) < 2, reason="a machine of one core has none to spare")


def numbers(text):
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def allowed(pid):
    with open("/proc/%d/status" % pid) as status:
        line, = [line for line in status if line.startswith("Cpus_allowed_list:")]
    return numbers(line.split()[1])


def job(name, resources, driver="raw_exec",
        config='command = "/bin/sleep"\n args = ["3600"]'):
    return """
job "%s" {
  datacenters = ["dc1"]
  group "one" {
    task "one" {
      driver = "%s"
      config {
        %s
      }
      kill_timeout = "1s"
      resources {
        %s
        memory = 16
      }
    }
  }
}
""" % (name, driver, config, resources)


def environment(pid):
    try:
        text = pathlib.Path("/proc", str(pid), "environ").read_text()
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def run(agent, name, *arguments, **more):
    """The task's process and its allocation."""
    agent.run(job(name, *arguments, **more), flags=["-detach"])
    alloc = agent.wait_running(name, 1)[0]["ID"]
    pid, = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and
            environment(pid).get("NOMAD_ALLOC_ID") == alloc]
    return pid, agent.get("/v1/allocation/" + alloc)


def cpu(alloc):
    return alloc["AllocatedResources"]["Tasks"]["one"]["Cpu"]


@pytest.mark.parametrize("driver", ["raw_exec", "exec"])
def test_one_has_a_core_and_the_others_leave_it(make_agent, driver):
    agent = make_agent(dev=False).start()
    shared, alloc = run(agent, "shared", "cpu = 50", driver=driver)
    assert allowed(shared) == MACHINE
    assert cpu(alloc) == {"CpuShares": 50, "ReservedCores": None}

    own, alloc = run(agent, "own", "cores = 1", driver=driver)
    core = cpu(alloc)["ReservedCores"]
    node, = agent.get("/v1/nodes")
    resources = agent.get("/v1/node/" + node["ID"])["NodeResources"]["Cpu"]
    assert resources["ReservableCpuCores"] == MACHINE
    assert len(core) == 1 and core[0] in MACHINE
    assert cpu(alloc)["CpuShares"] == resources["CpuShares"] // resources["TotalCpuCores"]
    assert alloc["TaskResources"]["one"]["CPU"] == cpu(alloc)["CpuShares"]
    assert allowed(own) == core
    rest = [c for c in MACHINE if c not in core]
    until(lambda: allowed(shared) == rest, "the other task has left")
    assert environment(own)["NOMAD_CPU_CORES"] == str(core[0])
    assert environment(own)["NOMAD_CPU_LIMIT"] == str(cpu(alloc)["CpuShares"])
    late, _ = run(agent, "late", "cpu = 50", driver=driver)
    assert allowed(late) == rest

    agent.kill()
    agent.start()
    agent.wait_running("own", 1)
    agent.verb("job", "stop", "-detach", "own")
    until(lambda: [allowed(p) for p in (shared, late)] == [MACHINE] * 2, "all is theirs again")
    assert environment(own) == {}


def test_more_than_there_are_wait(make_agent):
    agent = make_agent(dev=False).start()
    wanted = len(MACHINE) + 1
    path = agent.folder / "own.nomad"
    path.write_text(job("own", "cores = %d" % wanted))
    refused = agent.verb("job", "run", path)
    assert refused.code == 2
    assert '* Dimension "cores" exhausted on 1 nodes' in refused.out, refused
    path.write_text(job("own", "cores = 1\n cpu = 100"))
    both = agent.verb("job", "run", path)
    assert both.code == 1
    assert "either cpu or cores, not both (cpu = 100, cores = 1)" in both.all, both


def client(folder, text):
    """Flags for one more configuration file."""
    path = folder / "client.hcl"
    path.write_text("client {\n%s\n}\n" % text)
    return ["-config", path]


def test_what_the_owner_keeps_back(make_agent, tmp_path):
    kept, given = MACHINE[0], MACHINE[1]
    agent = make_agent(dev=False, flags=client(tmp_path, """
  reservable_cores = "%d,%d"
  reserved {
    cores = "%d"
  }
""" % (kept, given, kept))).start()
    node, = agent.get("/v1/nodes")
    node = agent.get("/v1/node/" + node["ID"])
    assert node["NodeResources"]["Cpu"]["ReservableCpuCores"] == [given]
    assert node["ReservedResources"]["Cpu"]["ReservedCpuCores"] == [kept]
    assert node["Attributes"]["cpu.reservablecores"] == "1"
    shared, _ = run(agent, "shared", "cpu = 50")
    assert allowed(shared) == [c for c in MACHINE if c != kept]


@pytest.mark.parametrize("text,why", [
    ('reservable_cores = "1-"', 'reservable_cores: "1-" is no list of cores'),
    ('reserved {\n  cores = "1000"\n }', "the agent may not run on core 1000"),
])
def test_a_list_that_is_none(make_agent, tmp_path, text, why):
    agent = make_agent(dev=False, flags=client(tmp_path, text))
    agent.launch()
    until(lambda: not agent.running(), "it ends")
    assert why in agent.process.tail()


def test_in_a_container(docker, make_agent):
    docker.build("probe:1", [], tree.probe)
    agent = make_agent(flags=["-docker-socket", docker.sock]).start()

    def cpuset(name):
        alloc = agent.wait_running(name, 1, 30)[0]["ID"]
        found, = docker.containers(**{"sluice.alloc_id": alloc})
        host = docker.get("/containers/%s/json" % found["Id"])["HostConfig"]
        return host["CpusetCpus"]

    image = 'image = "probe:1"\n args = ["stay"]'
    for name, resources in [("shared", "cpu = 50"), ("own", "cores = 1")]:
        agent.run(job(name, resources, "docker", image), flags=["-detach"])
        agent.wait_running(name, 1, 30)
    alloc, = agent.allocs("own", "running")
    core = cpu(agent.get("/v1/allocation/" + alloc["ID"]))["ReservedCores"]
    rest = [c for c in MACHINE if c not in core]
    assert numbers(cpuset("own")) == core
    until(lambda: cpuset("shared") and numbers(cpuset("shared")) == rest, "the other has left")
    agent.verb("job", "stop", "-detach", "own")
    until(lambda: numbers(cpuset("shared")) == MACHINE, "all is its own again")
