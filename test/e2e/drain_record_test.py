"""What a node's last drain was for, by whom, and how it ended."""

import json
import urllib.error
import urllib.request

import pytest
from helpers import jobs
from helpers.agent import ApiError
from helpers.wait import until


def test_a_drain_is_recorded(make_agent):
    agent = make_agent(dev=False, config="acl {\n  enabled = true\n}\n")
    agent.launch()
    until(lambda: agent.get("/v1/status/leader"), "the API answers")
    root = agent.put("/v1/acl/bootstrap")

    def call(method, path, body=None):
        return token_call(agent, root["SecretID"], method, path, body)
    node = until(lambda: [n for n in call("GET", "/v1/nodes") if n["Status"] == "ready"],
                 "the node is ready")[0]
    path = "/v1/node/" + node["ID"]
    assert node["LastDrain"] is None and call("GET", path)["LastDrain"] is None
    spec = {"Deadline": -1, "IgnoreSystemJobs": False}
    call("PUT", path + "/drain", {"DrainSpec": spec, "Meta": {"message": "disk"}})
    last = until(lambda: done(call("GET", path)), "the drain is over")
    assert last["Status"] == "complete" and last["Meta"] == {"message": "disk"}
    assert last["AccessorID"] == root["AccessorID"]
    assert last["StartedAt"] <= last["UpdatedAt"] and last["StartedAt"] > "2020"
    events = [(e["Subsystem"], e["Message"]) for e in call("GET", path)["Events"]]
    assert events[-2:] == [("Drain", "Node drain strategy set"), ("Drain", "Node drain complete")]
    with pytest.raises(ApiError) as refusal:
        call("PUT", path + "/drain", {"DrainSpec": spec, "Meta": {"message": 1}})
    assert refusal.value.text == "Meta: message is not a text"
    with pytest.raises(ApiError) as refusal:
        call("PUT", path + "/drain", {"DrainSpec": spec, "Meta": {"message": "x" * 20_000}})
    assert refusal.value.text == "Meta has over 16384 bytes"
    agent.kill()
    agent.launch()
    until(lambda: agent.get("/v1/status/leader"), "the API answers again")
    until(lambda: call("GET", path)["Status"] == "ready", "the node is ready again")
    assert call("GET", path)["LastDrain"] == last == call("GET", "/v1/nodes")[0]["LastDrain"]
    agent.stop()


def token_call(agent, token, method, path, body):
    request = urllib.request.Request(
        agent.api + path, None if body is None else json.dumps(body).encode(), method=method,
        headers={"X-Nomad-Token": token})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as e:
        raise ApiError(e.code, e.read().decode()) from None


def done(node):
    return None if node["DrainStrategy"] else node["LastDrain"]


def test_messages_of_the_command_line(make_agent):
    agent = make_agent().start()
    agent.run(jobs.http(count=1, group=jobs.AT_ONCE), flags=["-detach"])
    agent.wait_running("shop", 1)
    node = agent.get("/v1/nodes")[0]["ID"]
    # Nowhere to go: it drains until its deadline.
    shown = agent.verb("node", "drain", "-enable", "-detach", "-m", "new disk", "-meta", "a=b=c",
                       "-meta", "flag", node)
    assert shown.code == 0, shown

    def last():
        return agent.get("/v1/node/" + node)["LastDrain"]
    assert (last()["Status"], last()["Meta"]) == (
        "draining", {"message": "new disk", "a": "b=c", "flag": ""})
    assert agent.verb("node", "drain", "-disable", "-m", "not today", node).code == 0
    assert (last()["Status"], last()["Meta"]) == (
        "canceled", {"message": "new disk", "a": "b=c", "flag": "",
                     "cancel_message": "not today"})
    assert agent.get("/v1/node/" + node)["SchedulingEligibility"] == "eligible"
    assert "Node drain disabled" in agent.verb("node", "status", node).out
