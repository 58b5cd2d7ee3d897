"""Calls that Nomad's client libraries of other languages than Go make, as they make them."""

import urllib.parse

import pytest

from helpers import jobs
from helpers.agent import ApiError
from helpers.wait import until


@pytest.fixture
def agent(make_agent):
    return make_agent().start()


def refused(status, call):
    with pytest.raises(ApiError) as refusal:
        call()
    assert refusal.value.status == status
    return refusal.value.text


def batch(name, script, **more):
    return {"Job": {"ID": name, "Type": "batch", "Datacenters": ["dc1"], **more, "TaskGroups": [{
        "Name": "g", "Tasks": [{"Name": "t", "Driver": "raw_exec",
                                "Config": {"command": "/bin/sh", "args": ["-c", script]}}]}]}}


def test_a_body_without_a_job_is_no_valid_job(agent):
    for body in ({}, {"Job": None}, {"Job": []}, None):
        assert refused(400, lambda: agent.put("/v1/validate/job", body)) == "Job must be specified"
    said = agent.put("/v1/validate/job", {"Job": {"ID": "x"}})
    assert said["ValidationErrors"] == ["the job has no group"]


def test_a_plan_has_the_index_of_what_it_looked_at(agent):
    job = batch("a", "true")
    before = agent.put("/v1/jobs", job)["JobModifyIndex"]
    plan = agent.put("/v1/job/a/plan", job)
    assert plan["Diff"] is None and plan["JobModifyIndex"] == before <= plan["Index"]


def test_a_dispatch_that_is_sent_again(agent):
    agent.put("/v1/jobs", batch("mail", "true", ParameterizedJob={"MetaRequired": ["who"]}))

    def dispatch(token=None, **body):
        query = "?" + urllib.parse.urlencode({"idempotency_token": token}) if token else ""
        return agent.put("/v1/job/mail/dispatch" + query, {"Meta": {"who": "me"}, **body})
    first = dispatch("a b/1", IdPrefixTemplate="run1")
    assert first["DispatchedJobID"].startswith("mail/dispatch-run1-") and first["EvalID"]
    again = dispatch("a b/1", IdPrefixTemplate="run2", Payload=None)
    assert again == {**first, "EvalID": "", "EvalCreateIndex": 0, "Index": again["Index"]}
    child = agent.get("/v1/job/" + urllib.parse.quote(first["DispatchedJobID"], safe=""))
    assert child["DispatchIdempotencyToken"] == "a b/1"
    assert dispatch("a b/2")["DispatchedJobID"] != first["DispatchedJobID"]
    # The same by the command line.
    flags = ["-detach", "-meta", "who=me", "-idempotency-token", "c",
             "-id-prefix-template", "by-hand"]
    shown = [agent.verb("job", "dispatch", *flags, "mail") for _ in range(2)]
    assert [s.code for s in shown] == [0, 0], shown
    ids = [s.out.split("= ")[1].split()[0] for s in shown]
    assert ids[0] == ids[1] and ids[0].startswith("mail/dispatch-by-hand-")
    assert "Evaluation ID" in shown[0].out and "Evaluation ID" not in shown[1].out
    assert len([j for j in agent.get("/v1/jobs") if j["ParentID"] == "mail"]) == 3
    for body, why in (({"Meta": {"who": 1}}, "Meta: who is not a text"),
                      ({"Meta": []}, "Meta: expected an object, not []"),
                      ({"Payload": 1}, "Payload: expected a text, not 1"),
                      ({"IdPrefixTemplate": "a b"},
                       'IdPrefixTemplate "a b" contains a space or a NUL')):
        assert refused(400, lambda: dispatch(**body)) == why


def test_a_version_is_called_stable(agent):
    agent.put("/v1/jobs", batch("a", "true"))
    agent.put("/v1/jobs", batch("a", "exit 0"))

    def stable():
        return {v["Version"]: v["Stable"] for v in agent.get("/v1/job/a/versions")["Versions"]}
    assert stable() == {0: False, 1: False}
    for version, said in ((1, True), (0, True), (1, False)):
        reply = agent.put("/v1/job/a/stable", {"JobID": "a", "JobVersion": version, "Stable": said})
        assert reply["JobModifyIndex"] == reply["Index"] > 0
        assert stable()[version] == said
    assert refused(404, lambda: agent.put("/v1/job/a/stable", {"JobVersion": 7, "Stable": True}))
    assert refused(400, lambda: agent.put("/v1/job/a/stable", {"JobVersion": 0})) == (
        "JobVersion and Stable must be specified")


def test_health_by_hand(agent):
    agent.run(jobs.http(count=1, group=jobs.AT_ONCE.replace("task_states", "manual")),
              flags=["-detach"])
    alloc, = agent.wait_running("shop", 1)
    deployment = agent.get("/v1/job/shop/deployment")
    assert deployment["Status"] == "running"
    path = "/v1/deployment/allocation-health/" + deployment["ID"]
    for body, why in (({"HealthyAllocationIDs": alloc["ID"]}, "must be a list of ids"),
                      ({"UnhealthyAllocationIDs": [1]}, "must be a list of ids"),
                      ({}, "must specify at least one")):
        assert why in refused(400, lambda: agent.put(path, body))
    unknown = refused(404, lambda: agent.put(path, {"HealthyAllocationIDs": ["x"]}))
    assert unknown == 'unknown alloc "x"'
    reply = agent.put(path, {"DeploymentID": deployment["ID"], "UnhealthyAllocationIDs": None,
                             "HealthyAllocationIDs": [alloc["ID"]]})
    assert reply["DeploymentModifyIndex"] > 0 and reply["RevertedJobVersion"] is None
    assert agent.get("/v1/evaluation/" + reply["EvalID"])["DeploymentID"] == deployment["ID"]
    until(lambda: agent.get("/v1/job/shop/deployment")["Status"] == "successful",
          "the deployment is over")
    assert agent.get("/v1/allocation/" + alloc["ID"])["DeploymentStatus"]["Healthy"] is True
    assert refused(400, lambda: agent.put(path, {"HealthyAllocationIDs": [alloc["ID"]]})) == (
        "can't set health of allocations for a terminal deployment")


def test_services_of_a_job_are_in_the_catalog(agent):
    agent.put("/v1/jobs", batch("a", "true"))
    assert agent.get("/v1/job/a/services") == []
    assert refused(404, lambda: agent.get("/v1/job/b/services")) == "job not found"


def test_evaluations_are_counted(agent):
    assert agent.get("/v1/evaluations/count") == {"Count": 0}
    for name in ("a", "ab", "b"):
        agent.put("/v1/jobs", batch(name, "sleep 100"))
    until(lambda: agent.get("/v1/evaluations/count", filter="Status == complete") ==
          {"Count": 3}, "all are done")
    assert agent.get("/v1/evaluations/count", filter='JobID == "ab"') == {"Count": 1}
    assert agent.get("/v1/evaluations/count", namespace="other") == {"Count": 0}
    assert agent.get("/v1/evaluations/count", namespace="*") == {"Count": 3}
    assert "Selector" in refused(400, lambda: agent.get("/v1/evaluations/count", filter="X == 1"))


def test_the_system_of_a_node(agent):
    node, = agent.get("/v1/nodes")
    assert "Attributes" not in node
    attributes = agent.get("/v1/node/" + node["ID"])["Attributes"]
    for path in ("/v1/nodes", "/v1/node/pool/all/nodes"):
        node, = agent.get(path, os="true")
        assert node["Attributes"] == {"os.name": attributes["os.name"]}
    rows = [row.split() for row in agent.verb("node", "status", "-os").out.splitlines()]
    assert rows[0] == ["ID", "DC", "Name", "Class", "OS", "Drain", "Eligibility", "Status"]
    assert rows[1][-4] == attributes["os.name"]


def test_what_nomad_has_with_a_licence_alone(agent):
    for path in ("operator/license", "quotas", "quota-usages", "sentinel/policies",
                 "recommendations"):
        assert refused(501, lambda: agent.get("/v1/" + path)) == "Nomad Enterprise only endpoint"


def test_another_region_is_not_answered_for(make_agent):
    agent = make_agent(config='region = "eu"\n').start()
    assert agent.get("/v1/regions") == ["eu"]
    for region in ("eu", "global", ""):
        assert agent.get("/v1/jobs", region=region) == []
    why = 'No path to region "us": this one is "eu"'
    for call in (lambda: agent.get("/v1/jobs", region="us"),
                 lambda: agent.put("/v1/jobs?region=us", batch("a", "true")),
                 lambda: agent.call("DELETE", "/v1/job/a?region=us")):
        assert refused(500, call) == why
    assert agent.get("/v1/jobs") == []
    shown = agent.verb("job", "status", "-region", "us")
    assert shown.code == 1 and why in shown.err, shown


def test_a_signal_that_there_is_not(agent):
    agent.run(jobs.http(count=1, group=jobs.AT_ONCE), flags=["-detach"])
    alloc, = agent.wait_running("shop", 1)
    said = refused(400, lambda: agent.put("/v1/client/allocation/%s/signal" % alloc["ID"],
                                          {"Signal": "INVALID-SIGNAL"}))
    assert "invalid signal INVALID-SIGNAL" in said


def test_a_restart_of_all_tasks_runs_what_ran_once_too(agent):
    script = 'echo $NOMAD_TASK_NAME >> "$NOMAD_ALLOC_DIR/data/ran"'

    def task(name, script, **more):
        return {"Name": name, "Driver": "raw_exec",
                "Config": {"command": "/bin/sh", "args": ["-c", script]}, **more}
    agent.put("/v1/jobs", {"Job": {"ID": "a", "Datacenters": ["dc1"], "TaskGroups": [{
        "Name": "g", "Tasks": [
            task("first", script, Lifecycle={"Hook": "prestart"}),
            task("main", script + "; exec sleep 1000")]}]}})

    alloc = agent.wait_running("a", 1)[0]["ID"]

    def ran():
        return agent.verb("alloc", "fs", alloc, "alloc/data/ran").out.split()
    until(lambda: ran() == ["first", "main"], "both ran")
    restart = "/v1/client/allocation/%s/restart" % alloc
    why = refused(400, lambda: agent.put(restart, {"AllTasks": True, "TaskName": "main"}))
    assert why == "AllTasks and TaskName do not go together"
    agent.put(restart, {})
    until(lambda: ran() == ["first", "main", "main"], "main alone runs again")
    shown = agent.verb("alloc", "restart", "-all-tasks", alloc)
    assert shown.code == 0, shown
    until(lambda: ran() == ["first", "main", "main", "first", "main"], "both run again")
    states = agent.get("/v1/allocation/" + alloc)["TaskStates"]
    assert (states["first"]["Restarts"], states["main"]["Restarts"]) == (1, 2)
