"""What an agent's file may say and what becomes of it."""

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
    refused = agent.verb("job", "run", path)
    assert refused.code == 1 and 'unknown driver "exec" (known: docker, raw_exec)' in refused.err
