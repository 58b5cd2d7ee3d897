"""What whoever knows Nomad looks for in an answer: why nothing could be placed, when a periodic job
runs next, the next page of a list, and what was wrong with a question."""

import re
import socket

import pytest
from helpers import jobs
from helpers.agent import ApiError
from helpers.wait import until


def submit(agent, text, verb, *flags, name="job.nomad"):
    path = agent.folder / name
    path.write_text(text)
    return agent.verb("job", verb, *flags, path)


def test_a_datacenter_without_nodes_is_named(agent):
    text = jobs.http().replace('["dc1"]', '["dc1", "dc9"]')
    assert "dc9" not in submit(agent, text, "plan").out
    result = submit(agent, jobs.http().replace('["dc1"]', '["dc9"]'), "plan")
    assert result.code == 1, result
    assert ("    * No nodes were eligible for evaluation\n"
            '    * No nodes are available in datacenter "dc9"\n') in result.out


def test_a_warning_is_shown_and_hinders_nothing(agent):
    text = jobs.http(count=2, group=jobs.AT_ONCE)  # max_parallel 3
    for verb, code in (("validate", 0), ("plan", 1), ("run", 0)):
        result = submit(agent, text, verb, *(["-detach"] if verb == "run" else []))
        assert result.code == code
        assert (
            "Job Warnings:\n1 warning:\n\n* group \"shop\": Update max parallel count is greater "
            "than task group count (3 > 2). A destructive change would result in the simultaneous "
            "replacement of all allocations.\n") in result.out, result
    assert "Warning" not in submit(agent, text.replace("= 3", "= 2"), "validate").out


PERIODIC = jobs.batch("nightly", []).replace('type = "batch"', """type = "batch"
  periodic {
    cron      = "0 3 * * *"
    time_zone = "Asia/Shanghai"
  }""")
NEXT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:00(Z|[+-]\d\d:\d\d) \((\d+[hms])+ from now\)"


def test_the_next_launch_of_a_periodic_job(agent):
    result = submit(agent, PERIODIC, "run")
    said = re.fullmatch("Job registration successful\nApproximate next launch time: (%s)\n" % NEXT,
                        result.out)
    assert said, result
    status = agent.verb("job", "status", "nightly").out
    shown = re.search("^Next Periodic Launch = (%s)$" % NEXT, status, re.M)
    assert shown and shown[1][:16] == said[1][:16], status
    assert agent.verb("job", "stop", "nightly").code == 0
    status = agent.verb("job", "status", "nightly").out
    assert "Next Periodic Launch = none (job stopped)\n" in status


def test_lists_in_pages(agent):
    for i in range(3):
        submit(agent, jobs.batch("b%d" % i, ["-exit", "0"]), "run", "-detach")
    until(lambda: all(e["Status"] == "complete" for e in agent.get("/v1/evaluations")),
          "all are scheduled")
    whole = agent.verb("eval", "list").out.splitlines()
    assert len(whole) == 4 and whole == agent.verb("eval", "status").out.splitlines()
    seen, more = [], []
    for _ in whole[1:]:
        page = agent.verb("eval", "list", "-per-page", 1, "-verbose", *more)
        assert page.code == 0, page
        seen.append(page.out.splitlines()[1].split()[0])
        token = re.search("\nResults have been paginated. To get the next page run:\n\n"
                          "sluice eval list -per-page 1 -page-token ([0-9a-f-]{36})\n$", page.out)
        more = ["-page-token", token[1]] if token else None
        assert (token is None) == (len(seen) == 3), page
    assert sorted(seen) == sorted(e["ID"] for e in agent.get("/v1/evaluations"))


def test_filters(agent):
    submit(agent, jobs.batch("b", ["-exit", "0"]), "run")
    node = agent.get("/v1/nodes")[0]
    found = agent.verb("node", "status", "-quiet", "-filter", 'Name == "%s"' % node["Name"])
    assert found.out == node["ID"][:8] + "\n"
    assert agent.verb("node", "status", "-quiet", "-filter", "Status != ready").out == ""
    assert agent.verb("deployment", "list", "-filter", "Status == failed").out == \
        "No deployments found\n"
    for verb, selector in ((("node", "status"), "Nome"), (("eval", "list"), "Stotus")):
        wrong = agent.verb(*verb, "-filter", selector + " == ready")
        assert wrong.code == 1, wrong
        assert ('failed to read filter expression: Selector "%s" is not valid' % selector
                in wrong.err)
    # What stands below a field may be there or not.
    assert agent.get("/v1/jobs", filter="Meta.team == x") == []


@pytest.mark.parametrize("query, refusal", [
    ("index=abc", "Invalid index"), ("index=-1", "Invalid index"),
    ("wait=soon&index=1", "Invalid wait time"), ("per_page=x", "per_page"),
    ("filter=Status", "expected an operator")])
def test_a_wrong_question_is_refused(agent, query, refusal):
    with pytest.raises(ApiError) as refused:
        agent.get("/v1/jobs?" + query)
    assert refused.value.status == 400 and refusal in refused.value.text


@pytest.mark.parametrize("path, body, refusal", [
    ("/v1/jobs", {"EnforceIndex": "true"}, 'EnforceIndex: expected true or false, not "true"'),
    ("/v1/jobs", {"EnforceIndex": True, "JobModifyIndex": "7"},
     'JobModifyIndex: expected a whole number, not "7"'),
    ("/v1/deployment/promote/x", {"All": 1}, "All: expected true or false, not 1"),
    ("/v1/deployment/pause/x", {"Pause": "yes"}, 'Pause: expected true or false, not "yes"'),
    ("/v1/deployment/promote/x", {"Groups": "g"}, 'Groups: expected a list, not "g"'),
    ("/v1/client/allocation/x/restart", {"AllTasks": "yes"},
     'AllTasks: expected true or false, not "yes"'),
    ("/v1/client/allocation/x/signal", {"Signal": 9}, "Signal: expected a text, not 9")])
def test_a_body_of_other_kinds_is_refused(agent, path, body, refusal):
    if path == "/v1/jobs":
        body["Job"] = {"ID": "x", "TaskGroups": []}
    with pytest.raises(ApiError) as refused:
        agent.put(path, body)
    assert (refused.value.status, refused.value.text) == (400, refusal)


@pytest.mark.parametrize("path", [
    "jobs", "jobs/parse", "validate/job", "job/x", "job/x/plan", "job/x/evaluate", "job/x/revert",
    "job/x/stable", "job/x/dispatch", "job/x/scale", "deployment/promote/x", "deployment/pause/x",
    "deployment/allocation-health/x", "node/x/eligibility", "node/x/drain", "search",
    "client/allocation/x/restart", "client/allocation/x/signal"])
def test_a_body_that_is_none_is_refused(agent, path):
    with pytest.raises(ApiError) as refused:
        agent.put("/v1/" + path, ["no object"])
    assert (refused.value.status, refused.value.text) == \
        (400, "request body: expected a JSON object")


def test_a_context_that_is_none(agent):
    with pytest.raises(ApiError) as refused:
        agent.put("/v1/search", {"Prefix": "a", "Context": "foo"})
    assert refused.value.status == 400
    assert refused.value.text.startswith("context must be one of [jobs nodes allocs evals ")
    assert refused.value.text.endswith('or \'all\' for all contexts; got "foo"')
    assert agent.put("/v1/search", {"Prefix": "a", "Context": "jobs"})["Matches"] == {"jobs": []}


def test_a_promotion_of_one_group(agent):
    """By `job promote` as by `deployment promote`; the verbs beside them know no groups."""
    group = """
  group "%s" {
    update {
      canary           = 1
      health_check     = "task_states"
      min_healthy_time = "0s"
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args    = ["%s"]
      }
      resources {
        cpu    = 20
        memory = 20
      }
    }
  }"""

    def job(seconds):
        return 'job "two" {\n  datacenters = ["dc1"]%s%s\n}\n' % (
            group % ("a", seconds), group % ("b", seconds))
    assert submit(agent, job(1000), "run").code == 0
    assert submit(agent, job(1001), "run", "-detach").code == 0

    def canaries():
        found = agent.get("/v1/job/two/deployment")
        groups = found["TaskGroups"] if found["JobVersion"] == 1 else {}  # not the first one's
        return {name: (g["HealthyAllocs"], g["Promoted"]) for name, g in groups.items()}
    until(lambda: canaries() == {"a": (1, False), "b": (1, False)}, "both canaries are healthy")
    assert agent.verb("job", "promote", "-group", "b", "-detach", "two").code == 0
    assert {name: promoted for name, (_, promoted) in canaries().items()} == {
        "a": False, "b": True}
    refused = agent.verb("deployment", "fail", "-group", "a", "x")
    assert refused.code == 1 and "flag provided but not defined: -group" in refused.err
    deployment = agent.get("/v1/job/two/deployment")["ID"]
    assert agent.verb("deployment", "promote", "-group", "a", deployment).code == 0
    assert canaries()["a"][1]


def test_services_of_nomads_own_are_none(agent):
    """Prometheus and consul-template ask for them where somebody told them to."""
    assert agent.get("/v1/services") == []
    assert agent.get("/v1/service/shop", index=1, wait="10ms") == [] and agent.index > 0
    agent.run(jobs.http(), flags=["-detach"])
    assert agent.get("/v1/services", namespace="*") == []
    agent.run(jobs.http(service='provider = "nomad"'), flags=["-detach"])
    with pytest.raises(ApiError) as refused:
        agent.get("/v1/services")
    assert refused.value.status == 501
    assert 'provider "nomad" (job "shop") are in the agent\'s catalog' in refused.value.text
    agent.call("DELETE", "/v1/job/shop")
    assert agent.get("/v1/service/shop") == []


def test_counters_and_samples(agent, curl):
    """What happened in an interval of ten seconds, and for Prometheus since the start."""
    agent.run(jobs.batch("once", ["-lines", "1", "-exit", "0"]))
    # It fails once: no restart, and no other instance after five seconds.
    once = 'attempts = 0\n mode = "fail"\n }\n reschedule {\n attempts = 0\n unlimited = false'
    agent.run(jobs.batch("bad", ["-lines", "1", "-exit", "3"], restart=once), flags=["-detach"])

    def of(kind, name, **labels):
        return [m for m in agent.get("/v1/metrics")[kind]
                if m["Name"] == name and labels.items() <= m["Labels"].items()]
    until(lambda: of("Counters", "nomad.client.allocs.failed", job="bad"), "it failed", 30)
    counted, = of("Counters", "nomad.client.allocs.complete", job="once") or of(
        "Counters", "nomad.client.allocs.failed", job="bad")
    assert (counted["Count"], counted["Sum"], counted["Min"], counted["Max"]) == (1, 1, 1, 1)
    assert counted["Rate"] == 0.1 and counted["Mean"] == 1 and counted["Stddev"] == 0
    text = curl(agent.api + "/v1/metrics?format=prometheus").body
    labels = '{job="%s",namespace="default",task_group="%s",task="%s"} 1\n'
    for name, job in (("start", "once"), ("start", "bad"), ("complete", "once"),
                      ("failed", "bad")):
        assert "nomad_client_allocs_%s%s" % (name, labels % (job, job, job)) in text, text
    for name, least in (("worker_invoke_scheduler_batch", 2), ("plan_submit", 2),
                        ("job_register", 2)):
        found = re.search(r"^nomad_nomad_%s_count (\d+)$" % name, text, re.M)
        assert found and int(found[1]) >= least, (name, text)
        assert re.search(r"^nomad_nomad_%s_sum [0-9.e-]+$" % name, text, re.M)
        assert "# TYPE nomad_nomad_%s summary\n" % name in text
    agent.get("/v1/jobs")
    found, = until(lambda: of("Samples", "nomad.nomad.job.list"), "the interval is over", 30)
    assert found["Count"] == 1 and 0 < found["Min"] == found["Mean"] == found["Max"]


def test_metrics_for_prometheus(agent, curl):
    text = curl(agent.api + "/v1/metrics?format=prometheus").body
    names = re.findall(r"^# TYPE (\S+) gauge$", text, re.M)
    assert len(names) == len(set(names)) > 10
    for name in names:
        assert "# HELP %s %s\n# TYPE %s gauge\n%s" % (name, name, name, name) in text


def test_an_address_by_name(agent):
    for address in ("http://LOCALHOST:%d", "LocalHost:%d/"):
        status = agent.verb("job", "status", "-address", address % agent.api_port)
        assert (status.code, status.out) == (0, "No running jobs\n"), status
    routes = agent.verb("route", "list", "-ui-address", "http://LOCALHOST:%d" % agent.ui_port)
    assert (routes.code, routes.out) == (0, "No routes\n"), routes
    unknown = agent.verb("job", "status", "-address", "http://nobody.invalid:4646")
    assert unknown.code == 1 and "nobody.invalid" in unknown.err, unknown
    secured = agent.verb("route", "list", "-ui-address", "https://127.0.0.1:9998")
    assert secured.code == 1 and "speaks http only" in secured.err, secured


def test_an_address_of_ipv6(make_agent):
    agent = make_agent()
    agent.config.write_text(agent.config.read_text().replace(
        'bind_addr = "127.0.0.1"', 'bind_addr = "::1"'))
    agent.api = "http://[::1]:%d" % agent.api_port
    agent.start()
    status = agent.verb("job", "status")
    assert (status.code, status.out) == (0, "No running jobs\n"), status


def test_the_machines_name_is_no_strangers(agent, curl):
    """What a page from elsewhere could come by is refused; a name of this machine is none."""
    for name, status in ((socket.gethostname(), 200), ("evil.example", 403)):
        assert curl(agent.api + "/v1/jobs", "-H", "Host: %s" % name).status == status
