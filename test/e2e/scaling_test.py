"""What is said of a group's count is kept: by the API, by the command line, over a restart."""

import pytest
from helpers import jobs
from helpers.agent import ApiError
from helpers.wait import until


def refused(call):
    with pytest.raises(ApiError) as refusal:
        call()
    return refusal.value.status, refusal.value.text


SCALED = jobs.http(count=2, group=jobs.AT_ONCE + """
    scaling {
      min = 1
      max = 4
      policy {
        cooldown = "1m"
      }
    }""")


def deployed(agent):
    until(lambda: agent.get("/v1/job/shop/deployment")["Status"] == "successful",
          "the deployment is over")


def test_events(make_agent):
    agent = make_agent(dev=False).start()
    agent.run(SCALED)
    deployed(agent)

    def scale(**body):
        return agent.put("/v1/job/shop/scale", {"Target": {"Job": "shop", "Group": "shop"}, **body})

    def shop():
        return agent.get("/v1/job/shop/scale")["TaskGroups"]["shop"]
    assert shop() == {"Desired": 2, "Placed": 2, "Running": 2, "Healthy": 2, "Unhealthy": 0,
                      "Events": None}
    version = agent.get("/v1/job/shop")["Version"]
    said = scale(Count=None, Error=True, Message="no metrics", Meta={"tries": 3})
    assert said["EvalID"] == "" and said["Index"] > said["JobModifyIndex"]
    assert agent.get("/v1/job/shop")["Version"] == version
    first, = shop()["Events"]
    time, index = first.pop("Time"), first.pop("CreateIndex")
    assert time > 1e18 and index == said["Index"]
    assert first == {"Count": None, "PreviousCount": 2, "Error": True, "Message": "no metrics",
                     "Meta": {"tries": 3}, "EvalID": None}

    # Who waits for the next one is woken by it.
    grown = scale(Count=3, Message="more")
    status = agent.get("/v1/job/shop/scale", index=said["Index"], wait="20s")
    assert agent.index >= grown["Index"]
    newest = status["TaskGroups"]["shop"]["Events"][0]
    assert (newest["Count"], newest["PreviousCount"], newest["EvalID"]) == (3, 2, grown["EvalID"])
    assert agent.get("/v1/evaluation/" + grown["EvalID"])["TriggeredBy"] == "job-scaling"
    deployed(agent)

    for body, why in (
            ({"Count": 5}, "group count was greater than scaling policy maximum: 5 > 4"),
            ({"Count": 0}, "group count was less than scaling policy minimum: 0 < 1"),
            ({"Count": -1}, "scaling action count can't be negative"),
            ({"Count": 1, "Error": True},
             "scaling action should not contain count if error is true"),
            ({"Count": "3"}, 'Count: expected a whole number, not "3"'),
            ({"Target": {}}, "missing task group name for scaling action"),
            ({"Target": {"Group": "x"}},
             'task group "x" specified for scaling does not exist in job'),
            ({"Target": {"Group": "shop", "Job": "other"}},
             "job ID in payload did not match URL"),
            ({"Target": {"Group": "shop", "Namespace": "other"}},
             "namespace in payload did not match header"),
            ({"Message": "x" * 5000}, "Message has over 4096 bytes")):
        assert refused(lambda: scale(**body)) == (400, why)
    assert refused(lambda: agent.put("/v1/job/none/scale", {"Target": {"Group": "x"}})) == (
        404, 'job "none" not found')
    assert refused(lambda: agent.get("/v1/job/none/scale")) == (404, "job not found")

    before = shop()["Events"]
    assert len(before) == 2
    agent.kill()
    agent.start()
    assert shop()["Events"] == before
    for i in range(22):
        scale(Message=str(i))
    assert [e["Message"] for e in shop()["Events"]] == [str(i) for i in range(21, 1, -1)]


def test_the_command_line(make_agent):
    agent = make_agent().start()
    agent.run(SCALED)
    deployed(agent)
    assert agent.verb("job", "scaling-events", "shop").out == "No events found\n"
    assert agent.verb("job", "scale", "-detach", "shop", 3).code == 0
    deployed(agent)
    rows = agent.verb("job", "scaling-events", "-verbose", "sho").out.splitlines()
    assert rows[0].split() == ["Task", "Group", "Count", "PrevCount", "Error", "Message", "Eval",
                               "ID", "Date"]
    assert rows[1].split()[:4] == ["shop", "3", "2", "false"] and len(rows) == 2
    assert agent.verb("job", "scale", "shop", "shop2", 3).err == \
        "Group shop2 not found within job\n"
    many = agent.verb("job", "scale", "shop", "shop", 9)
    assert many.code == 1 and "scaling policy maximum: 9 > 4" in many.err

    listed = agent.verb("scaling", "policy", "list").out.splitlines()
    assert listed[0].split() == ["ID", "Enabled", "Type", "Target"]
    ident, *rest = listed[1].split()
    assert rest == ["true", "horizontal", "Namespace:default,Job:shop,Group:shop"]
    info = agent.verb("scaling", "policy", "info", ident).out
    assert info.startswith("ID      = %s\nEnabled = true\nTarget  = Namespace:default,Job:shop,"
                           "Group:shop\nMin     = 1\nMax     = 4\n\nPolicy:\n" % ident)
    assert '"cooldown": "1m"' in info
    assert agent.verb("scaling", "policy", "list", "-job", "x").out == "No policies found\n"
    whole = agent.get("/v1/scaling/policies")[0]["ID"]
    assert agent.get("/v1/scaling/policies", prefix=whole[:8])[0]["ID"] == whole
    assert agent.get("/v1/scaling/policies", prefix="x") == []
