"""Namespaces and node pools, which are read and not made."""

import pytest
from helpers import jobs
from helpers.agent import ApiError


@pytest.fixture
def agent(make_agent):
    return make_agent().start()


def refused(call):
    with pytest.raises(ApiError) as refusal:
        call()
    return refusal.value.status, refusal.value.text


def test_node_pools(agent):
    pools = agent.get("/v1/node/pools")
    assert [(p["Name"], p["Description"]) for p in pools] == [
        ("all", "Node pool with all nodes in the cluster."), ("default", "Default node pool.")]
    assert pools[1] == agent.get("/v1/node/pool/default")
    assert [p["Name"] for p in agent.get("/v1/node/pools", prefix="d")] == ["default"]
    node, = agent.get("/v1/nodes")
    for pool in ("all", "default"):
        assert [n["ID"] for n in agent.get("/v1/node/pool/%s/nodes" % pool)] == [node["ID"]]
    agent.run(jobs.http(), flags=["-detach"])
    agent.run(jobs.http(name="wide", job='node_pool = "all"'), flags=["-detach"])
    assert [j["ID"] for j in agent.get("/v1/node/pool/default/jobs")] == ["shop"]
    assert [j["ID"] for j in agent.get("/v1/node/pool/all/jobs")] == ["wide"]
    assert agent.get("/v1/node/pool/all/jobs", namespace="other") == []
    agent.wait_running("wide", 1)
    for path in ("", "/nodes", "/jobs"):
        assert refused(lambda: agent.get("/v1/node/pool/gpu" + path)) == (
            404, "node pool not found")
    assert refused(lambda: agent.put("/v1/node/pools", {"Name": "gpu"})) == (405, "Invalid method")
    text = jobs.http(name="far", job='node_pool = "gpu"')
    path = agent.folder / "far.nomad"
    path.write_text(text)
    for verb in ("validate", "plan", "run"):
        shown = agent.verb("job", verb, path)
        assert shown.code != 0 and 'job "far" is in nonexistent node pool "gpu"' in shown.all


def test_namespaces(agent):
    assert [n["Name"] for n in agent.get("/v1/namespaces")] == ["default"]
    before = agent.index
    agent.run(jobs.http(job='namespace = "team"'), flags=["-detach"])
    agent.get("/v1/namespaces", index=before, wait="10s")
    assert agent.index > before
    assert [n["Name"] for n in agent.get("/v1/namespaces")] == ["default", "team"]
    assert [n["Name"] for n in agent.get("/v1/namespaces", prefix="t")] == ["team"]
    assert agent.get("/v1/namespace/team")["Name"] == "team"
    assert agent.get("/v1/namespace/default")["Description"] == "Default shared namespace"
    assert refused(lambda: agent.get("/v1/namespace/x")) == (404, "Namespace not found")
    assert refused(lambda: agent.put("/v1/namespaces", {"Name": "x"})) == (405, "Invalid method")


def test_the_command_line(agent):
    assert agent.verb("node", "pool", "list").out == (
        "Name     Description\n"
        "all      Node pool with all nodes in the cluster.\n"
        "default  Default node pool.\n")
    assert agent.verb("node", "pool", "info", "def").out == (
        "Name        = default\nDescription = Default node pool.\n\nMetadata\nNo metadata\n\n"
        "Scheduler Configuration\nNo scheduler configuration\n")
    node, = agent.get("/v1/nodes")
    nodes = agent.verb("node", "pool", "nodes", "all").out.splitlines()
    assert nodes[0].split() == ["ID", "DC", "Name", "Class", "Eligibility", "Status"]
    assert nodes[1].split()[0] == node["ID"][:8] and nodes[1].split()[-2:] == ["eligible", "ready"]
    assert agent.verb("node", "pool", "jobs", "default").out == "No jobs\n"
    assert agent.verb("namespace", "list").out == (
        "Name     Description\ndefault  Default shared namespace\n")
    assert agent.verb("namespace", "status", "default").out == (
        "Name        = default\nDescription = Default shared namespace\nQuota       = <none>\n")
    missing = agent.verb("node", "pool", "info", "gpu")
    assert (missing.code, missing.err) == (1, 'No node pool with prefix "gpu" found\n')
