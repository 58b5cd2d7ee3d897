"""What a node keeps of allocations that are over: until it is told to forget them, or its disk is
too full."""

import urllib.request

import pytest
from helpers import jobs
from helpers.agent import ApiError
from helpers.wait import until


def finished(agent, name, count):
    agent.run(jobs.batch(name, ["-lines", "1", "-exit", "0"], count=count), name + ".nomad")
    return [a["ID"] for a in until(
        lambda: (lambda over: over if len(over) == count else None)(
            agent.allocs(name, "complete")), "%s is over" % name)]


def folders(agent):
    return {p.name for p in (agent.folder / "data" / "alloc").iterdir()}


def test_a_node_forgets_when_told(make_agent):
    agent = make_agent(dev=False).start()
    node = agent.get("/v1/nodes")[0]["ID"]
    agent.run(jobs.http(group=jobs.AT_ONCE))
    live = agent.wait_running("shop", 1)[0]["ID"]
    over = finished(agent, "once", 3)
    assert folders(agent) == {live, *over}
    for path in ("/v1/client/allocation/%s/gc" % live, "/v1/client/allocation/none/gc",
                 "/v1/client/gc?node_id=none"):
        with pytest.raises(ApiError) as refused:
            agent.get(path)
        assert refused.value.status == 404
    assert agent.get("/v1/client/allocation/%s/gc" % over[0]) == {}
    until(lambda: folders(agent) == {live, *over[1:]}, "one is gone")
    with urllib.request.urlopen(agent.api + "/v1/client/gc?node_id=" + node, timeout=20) as answer:
        assert answer.read() == b""  # Nomad's client library takes anything else for an error
    until(lambda: folders(agent) == {live}, "all that are over are gone")
    # The server knows them still, and the node runs none of them again.
    assert {a["ID"] for a in agent.allocs("once", "complete")} == set(over)
    assert set(agent.task_pids().values()) == {live}


def test_too_full_a_disk(make_agent, tmp_path):
    limits = tmp_path / "limits.hcl"
    limits.write_text('client {\n  gc_disk_usage_threshold = 0\n  gc_interval = "1s"\n}\n')
    agent = make_agent(dev=False, flags=["-config", limits]).start()
    agent.run(jobs.http(group=jobs.AT_ONCE))
    live = agent.wait_running("shop", 1)[0]["ID"]
    over = finished(agent, "once", 2)
    until(lambda: folders(agent) == {live}, "all that are over are gone")
    for alloc in over:
        assert "allocation %s is over and removed here" % alloc in agent.err()
    assert "over gc_disk_usage_threshold = 0" in agent.err()


@pytest.mark.parametrize("line, refusal", [
    ('gc_interval = "10ms"', "limits.hcl:2:17: gc_interval: at least 1s is required, this is 10ms"),
    ('gc_disk_usage_threshold = 101', "gc_disk_usage_threshold 101 is not between 0 and 100"),
    ('gc_inode_usage_threshold = -1', "gc_inode_usage_threshold -1 is not between 0 and 100"),
])
def test_what_no_limit_can_be(make_agent, tmp_path, line, refusal):
    limits = tmp_path / "limits.hcl"
    limits.write_text("client {\n  %s\n}\n" % line)
    agent = make_agent(flags=["-config", limits]).launch()
    assert agent.process.wait(10) == 1
    assert refusal in agent.err()
