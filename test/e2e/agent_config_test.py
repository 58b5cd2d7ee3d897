"""What an agent's file may say and what becomes of it."""

import re

from helpers import jobs
from helpers.wait import until


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


def test_a_labelled_block_twice_is_refused(make_agent):
    agent = make_agent(config='plugin "docker" {\n}\nplugin "docker" {\n}\n').launch()
    assert agent.process.wait(10) != 0
    assert 'there is a plugin "docker" already' in agent.err()


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
