"""What Docker knows of a task and what a user does with it: health, figures, commands, signals, the
end for want of memory, addresses; and what a node's owner has to allow."""

import fcntl
import json
import os
import pty
import random
import re
import signal
import struct
import subprocess
import termios

import pytest

from helpers import tree
from helpers.wait import until

READY = "/local/ready"
HEALTHCHECK = ('HEALTHCHECK --interval=500ms --timeout=5s --retries=2 CMD ["/task_probe", "there", '
               '"%s"]' % READY)


@pytest.fixture(scope="module")
def images(docker):
    docker.build("probe:1", [], tree.probe)
    docker.build("checked:1", ["stay"], tree.probe, HEALTHCHECK)
    docker.build("backend:1", [])


@pytest.fixture
def agent(docker, images, make_agent):
    return make_agent(flags=["-docker-socket", docker.sock]).start()


def job(config, group="", task=""):
    return """
job "one" {
  datacenters = ["dc1"]
  group "one" {
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    %s
    task "one" {
      driver = "docker"
      config {
        %s
      }
      %s
    }
  }
}
""" % (group, config, task)


def probe(*words):
    return 'image = "probe:1"\n args = %s' % json.dumps(words)


def run(agent, text):
    """The id of the new allocation, which runs."""
    before = {a["ID"] for a in agent.get("/v1/job/one/allocations")}
    agent.run(text, flags=["-detach"])
    return until(lambda: [a["ID"] for a in agent.allocs("one", "running")
                          if a["ID"] not in before], "it runs")[0]


def state(agent, alloc):
    return agent.get("/v1/allocation/" + alloc)["TaskStates"]["one"]


def events(agent, alloc):
    return [(e["Type"], e["DisplayMessage"]) for e in state(agent, alloc)["Events"]]


def output(agent, alloc, stream="stdout"):
    folder = agent.folder / "data" / "alloc" / alloc / "alloc" / "logs"
    return "".join(f.read_text() for f in sorted(folder.glob("one.%s.*" % stream)))


UPDATE = """update {
      health_check      = "task_states"
      min_healthy_time  = "0s"
      healthy_deadline  = "%s"
      progress_deadline = "%s"
    }"""


def deployment(agent):
    return (agent.get("/v1/job/one/deployment") or {}).get("Status")


def test_the_images_health_check_decides_a_deployment(docker, images, make_agent):
    agent = make_agent(dev=False, flags=["-docker-socket", docker.sock]).start()
    alloc = run(agent, job('image = "checked:1"', UPDATE % ("30s", "1m")))
    until(lambda: any(kind == "Unhealthy" for kind, _ in events(agent, alloc)), "it is ill")
    assert ("Unhealthy", "The image's health check fails: not there") in events(agent, alloc)
    assert deployment(agent) == "running"
    (agent.folder / "data" / "alloc" / alloc / "one" / "local" / "ready").write_text("")
    until(lambda: deployment(agent) == "successful", "it is well, and so is the deployment")
    said = ["Unhealthy", "Healthy"]
    assert [kind for kind, _ in events(agent, alloc) if "ealthy" in kind] == said
    # The next agent goes on where this one was, and says nothing again.
    agent.kill()
    agent.start()
    agent.wait_running("one", 1)
    (agent.folder / "data" / "alloc" / alloc / "one" / "local" / "ready").unlink()
    until(lambda: [kind for kind, _ in events(agent, alloc) if "ealthy" in kind]
          == [*said, "Unhealthy"], "it is ill again")


def test_an_instance_that_stays_ill_fails_its_deployment(agent):
    alloc = run(agent, job('image = "checked:1"', UPDATE % ("3s", "4s")))
    until(lambda: deployment(agent) == "failed", "the deployment fails", 20)
    assert ("Alloc Unhealthy", "Task not running and healthy by healthy_deadline") in events(
        agent, alloc)


def test_a_health_check_that_is_off_is_not_waited_for(agent):
    alloc = run(agent, job('image = "checked:1"\n healthchecks {\n disable = true\n }',
                           UPDATE % ("5s", "1m")))
    until(lambda: deployment(agent) == "successful", "the deployment is over")
    assert not [kind for kind, _ in events(agent, alloc) if "ealthy" in kind]


def test_figures(agent):
    alloc = run(agent, job(probe("eat", "40"), task="resources {\n cpu = 100\n memory = 128\n }"))

    def usage():
        return agent.get("/v1/client/allocation/%s/stats" % alloc)["Tasks"]["one"]["ResourceUsage"]
    until(lambda: 40 << 20 <= usage()["MemoryStats"]["RSS"] < 128 << 20, "40 MiB are in use")
    shown = agent.verb("alloc", "status", alloc).out
    row = re.search(r"^\d+/100 MHz +([\d.]+) MiB/128 MiB", shown, re.M)
    assert row and 40 <= float(row.group(1)) < 60, shown
    busy = run(agent, job(probe("spin")))
    until(lambda: agent.get("/v1/client/allocation/%s/stats" % busy)["ResourceUsage"]["CpuStats"]
          ["Percent"] > 1, "a busy one is seen to be")  # and however busy the machine is


def test_a_command_with_a_terminal(agent):
    alloc = run(agent, job(probe("stay")))
    plain = agent.verb("alloc", "exec", "-t=false", alloc, "/task_probe", "tty")
    assert (plain.code, plain.out) == (7, "no tty\n"), plain
    master, slave = pty.openpty()

    def resize(rows, columns):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
    resize(33, 101)
    command = subprocess.Popen(
        [tree.sluice, "alloc", "exec", "-t", "-i", alloc, "/task_probe", "tty"], stdin=slave,
        stdout=slave, stderr=slave, start_new_session=True,
        env={**os.environ, "NOMAD_ADDR": agent.api})
    os.close(slave)
    os.set_blocking(master, False)
    seen = b""

    def sees(text):
        nonlocal seen
        try:
            seen += os.read(master, 4096)
        except BlockingIOError:
            pass
        assert text in seen, seen
        return True
    try:
        until(lambda: sees(b"tty 33x101"), "its size from the start")
        resize(40, 90)
        command.send_signal(signal.SIGWINCH)
        until(lambda: sees(b"tty 40x90"), "its new size")
        os.write(master, b"bye\r")
        assert command.wait(20) == 7
    finally:
        command.kill()
        command.wait()
        os.close(master)


def test_signals(agent, docker):
    alloc = run(agent, job(probe("stay")))
    until(lambda: output(agent, alloc) == "staying\n", "it listens")
    assert agent.verb("alloc", "signal", "-s", "SIGUSR1", alloc).code == 0
    until(lambda: output(agent, alloc) == "staying\nsignal\n", "it hears SIGUSR1")
    assert ("Signaling", "Task being sent signal SIGUSR1") in events(agent, alloc)
    wrong = agent.verb("alloc", "signal", "-s", "SIGNONE", alloc)
    assert wrong.code == 1 and "SIGNONE" in wrong.err, wrong
    # The job's own: for its stop.
    alloc = run(agent, job(probe("deaf"), task='kill_signal = "SIGUSR1"\n kill_timeout = "1s"'))
    until(lambda: "staying" in output(agent, alloc), "it listens")
    assert agent.verb("job", "stop", "-detach", "one").code == 0
    until(lambda: "signal" in output(agent, alloc), "it hears kill_signal first")
    until(lambda: state(agent, alloc)["State"] == "dead", "SIGKILL ends it")
    assert ("Terminated", "Exit Code: 137") in events(agent, alloc)


def test_the_end_for_want_of_memory(agent):
    agent.run(job(probe("starve", "100"), task="resources {\n cpu = 50\n memory = 24\n }"),
              flags=["-detach"])
    alloc = until(lambda: agent.allocs("one", "failed"), "it fails")[0]["ID"]
    assert ("Terminated", "Exit Code: 137, OOM Killed") in events(agent, alloc)
    details, = [e["Details"] for e in state(agent, alloc)["Events"] if e["Type"] == "Terminated"]
    assert (details["oom_killed"], details["exit_code"]) == ("true", "137")


SERVICE = """
      resources {
        network {
          port "http" {%s}
        }
      }
      service {
        name = "one"
        port = "http"
        tags = ["urlprefix-one.test/"]
        %s
        check {
          type     = "http"
          path     = "/health"
          interval = "1s"
          timeout  = "1s"
        }
      }"""
MAPPED = """
        port_map {
          http = 8080
        }"""


def backend(more, port=":8080"):
    return 'image = "backend:1"\n args = ["-http", "%s", "-https", "off"]\n %s' % (port, more)


def target(agent):
    route, = agent.wait_routes("one.test", 1)
    return route["dst"]


def inside(docker, network):
    container, = docker.containers(**{"sluice.job_id": "one"})
    return container["NetworkSettings"]["Networks"][network]["IPAddress"]


@pytest.fixture
def network(docker):
    name = "slt%06x" % random.randrange(1 << 24)
    docker.ok("POST", "/networks/create", body={"Name": name, "Driver": "bridge"})
    yield name
    docker.ok("DELETE", "/networks/" + name)


@pytest.mark.parametrize("mode", ["", 'address_mode = "driver"'])
def test_the_address_on_the_default_bridge(agent, docker, curl, mode):
    run(agent, job(backend(MAPPED), task=SERVICE % ("", mode)))
    if mode:
        assert target(agent) == "http://%s:8080/" % inside(docker, "bridge")
    else:
        assert re.fullmatch(r"http://127\.0\.0\.1:[23]\d{4}/", target(agent))
    assert curl(agent.traffic, "-H", "Host: one.test").status == 200


def test_the_address_on_the_hosts_network(agent, curl):
    run(agent, job(backend('network_mode = "host"', "${NOMAD_ADDR_http}"), task=SERVICE % ("", "")))
    assert re.fullmatch(r"http://127\.0\.0\.1:[23]\d{4}/", target(agent))
    assert curl(agent.traffic, "-H", "Host: one.test").status == 200


@pytest.mark.parametrize("mode", ["", 'address_mode = "host"'])
def test_the_address_on_a_network_of_the_users_own(agent, docker, network, curl, mode):
    run(agent, job(backend('network_mode = "%s"%s' % (network, MAPPED)), task=SERVICE % ("", mode)))
    if mode:
        assert re.fullmatch(r"http://127\.0\.0\.1:[23]\d{4}/", target(agent))
    else:
        assert target(agent) == "http://%s:8080/" % inside(docker, network)
    assert curl(agent.traffic, "-H", "Host: one.test").status == 200
    agent.clean_up()  # the network can go once no container is in it


def test_what_the_nodes_owner_has_to_allow(agent, docker, make_agent, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "ready").write_text("")
    text = job(probe("stay") + "\n cap_add = [\"NET_ADMIN\"]\n"
               ' volumes = ["%s:/shared:ro"]' % shared)
    agent.run(text, flags=["-detach"])
    alloc = until(lambda: agent.allocs("one", "failed"), "it is refused")[0]["ID"]
    said = [message for kind, message in events(agent, alloc) if kind == "Driver Failure"]
    assert len(said) == 1 and " off on this node" in said[0], said
    assert docker.containers(**{"sluice.job_id": "one"}) == []

    free = make_agent("free", flags=["-docker-socket", docker.sock], config="""
plugin "docker" {
  config {
    allow_caps       = ["net_admin"]
    volumes {
      enabled = true
    }
  }
}
""").start()
    alloc = run(free, text)
    there = free.verb("alloc", "exec", "-t=false", alloc, "/task_probe", "there", "/shared/ready")
    assert there.code == 0, there
    container, = docker.containers(**{"sluice.job_id": "one"})
    host = docker.get("/containers/%s/json" % container["Id"])["HostConfig"]
    assert host["CapAdd"] == ["NET_ADMIN"]
