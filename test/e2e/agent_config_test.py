"""What an agent's file may say and what becomes of it."""

import json
import os
import pathlib
import re

import pytest
from helpers import jobs
from helpers.process import Process
from helpers.wait import until


@pytest.mark.parametrize("first_is", ["kept", "killed"])
def test_one_agent_a_folder(make_agent, first_is):
    """A second one is refused by name; but as a killed one's lock goes a moment after it looks
    ended, it waits a moment."""
    agent = make_agent().start()
    first, data = agent.process, agent.folder / "data"
    agent.process = second = Process(first.args, agent.folder, "sluice")
    fds = pathlib.Path("/proc/%d/fd" % second.pid)
    until(lambda: any(os.readlink(fd) == str(data / "lock") for fd in fds.iterdir()),
          "the second one has opened the lock")
    if first_is == "kept":
        assert second.wait(30) == 1
        assert "data_dir %s is in use by another agent; give each its own" % data in second.err()
        assert first.running() and agent.nodes_ready()
        agent.process = first
        return
    first.kill()
    second.wait_for("node .* is ready", timeout=30)
    assert agent.nodes_ready()


def test_labelled_blocks(make_agent, tmp_path):
    volume = tmp_path / "volume.hcl"
    volume.write_text('client {\n  host_volume "certs" {\n    path = "%s"\n    read_only = true\n'
                      '  }\n}\n' % tmp_path)
    agent = make_agent(flags=["-config", volume], config="""
plugin "docker" {
  config {
    endpoint = "unix://%s/named.sock"
  }
}
plugin "raw_exec" {
  config {
    enabled = true
  }
}
""" % tmp_path).start()
    until(lambda: "%s/named.sock" % tmp_path in agent.err(), "the named socket is looked for")
    node = agent.get("/v1/node/" + agent.get("/v1/nodes")[0]["ID"])
    assert node["HostVolumes"]["certs"]["Path"] == str(tmp_path)
    assert node["HostVolumes"]["certs"]["ReadOnly"] is True


def test_json(make_agent, tmp_path):
    """As Nomad takes its agent's settings, too: a file, and those of a folder."""
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "1.json").write_text(json.dumps({
        "name": "of-json", "disable_update_check": True, "log_level": "DEBUG",
        "server": {"enabled": True, "bootstrap_expect": 1, "raft_protocol": 3},
        "client": {"enabled": True, "options": {"test.tighten_network_timeouts": "true"},
                   "meta": {"a-b": "${c}"},
                   "host_volume": {"certs": [{"path": str(tmp_path), "read_only": True}]}},
        "plugin": {"raw_exec": {"config": {"enabled": True}}},
        "vault": {"enabled": False}, "acl": {"enabled": False},
        "telemetry": {"prometheus_metrics": True}}))
    (settings / "2.hcl").write_text('client {\n  node_class = "of-hcl"\n}\n')
    agent = make_agent(dev=False, flags=["-config", settings]).start()
    node = agent.get("/v1/node/" + agent.get("/v1/nodes")[0]["ID"])
    assert (node["Name"], node["NodeClass"], node["Meta"]) == ("of-json", "of-hcl", {"a-b": "${c}"})
    assert node["HostVolumes"]["certs"]["Path"] == str(tmp_path)
    assert node["Drivers"]["raw_exec"]["Healthy"]
    assert 'client options: "test.tighten_network_timeouts" has no effect' in agent.err()


@pytest.mark.parametrize("settings, error", [
    ('{"server": {"enabled": true},\n "sever": {}}',
     '2:2: there is no argument "sever" here; did you mean "server"?'),
    ('{"client": {"host_volume": {"a": {"paht": "/"}}}}',
     '1:35: there is no argument "paht" here; did you mean "path"?'),
    ('{"vault": {"enabled": true}}', '1:2: "vault" is not supported'),
    ('{"ports": {"http": 80,}}', '1:23: expected a key in quotes, found }')])
def test_json_that_is_refused(make_agent, tmp_path, settings, error):
    path = tmp_path / "agent.json"
    path.write_text(settings)
    agent = make_agent(flags=["-config", path]).launch()
    assert agent.process.wait(10) != 0
    assert "sluice agent: %s:%s\n" % (path, error) in agent.err()


def test_a_labelled_block_twice_is_refused(make_agent):
    agent = make_agent(config='plugin "docker" {\n}\nplugin "docker" {\n}\n').launch()
    assert agent.process.wait(10) != 0
    assert 'there is a plugin "docker" already' in agent.err()


def test_raw_exec_has_to_be_allowed(make_agent, tmp_path):
    off = tmp_path / "off.hcl"
    off.write_text('client {\n  options = {\n    "driver.raw_exec.enable" = "false"\n  }\n}\n')
    agent = make_agent(dev=False, flags=["-config", off]).start()
    path = agent.folder / "job.nomad"
    path.write_text(jobs.batch("once", []))
    ran = agent.verb("job", "run", path)
    said = ('the agent does not allow the driver "raw_exec" (known: docker, exec); plugin '
            '"raw_exec" { config { enabled = true } } in its configuration does')
    assert ran.code == 1 and said in ran.err, ran


def test_exec_is_offered_only_where_it_isolates(make_agent):
    """It would run with all rights of the agent otherwise, which raw_exec has to be allowed."""
    agent = make_agent(wrapper=["setpriv", "--bounding-set=-sys_admin"]).start()
    assert "driver exec: not offered; the agent may not isolate tasks" in agent.err()
    path = agent.folder / "job.nomad"
    path.write_text(jobs.batch("once", []).replace("raw_exec", "exec"))
    why = "not offered; the agent may not isolate tasks (root, CAP_SYS_ADMIN)"
    said = 'Constraint "missing drivers \\"exec\\" (%s)": 1 nodes' % why
    ran = agent.verb("job", "run", path)
    assert ran.code == 2 and said in ran.out, ran
    assert said in agent.verb("job", "plan", path).out
    node = agent.get("/v1/nodes")[0]["ID"]
    drivers = agent.get("/v1/node/" + node)["Drivers"]
    assert (drivers["exec"]["Detected"], drivers["exec"]["Healthy"]) == (False, False)
    shown = agent.verb("node", "status", "-verbose", node).out
    row = next(line for line in shown.splitlines() if line.startswith("exec "))
    assert row.split()[1:3] == ["false", "false"] and why in row
    assert "exec" not in [name.strip() for name in re.search(
        "Driver Status *= (.*)", agent.verb("node", "status", node).out).group(1).split(",")]
