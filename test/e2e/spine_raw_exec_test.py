"""From a job file to an answered request on one machine: raw_exec, embedded catalog, no Consul."""

import os
import re
import signal

from helpers import jobs
from helpers.load import Load
from helpers.wait import stays, until

HOST = "mysite.com:9999"


def start(agent, **options):
    agent.run(jobs.http("httpbackend", count=2, host=HOST, **options))
    agent.wait_running("httpbackend", 2)
    return agent.wait_routes(HOST, 2)


def test_a_service_without_a_check_has_no_route(agent, curl):
    agent.run(jobs.http("httpbackend", count=2, host=HOST, check=False))
    agent.wait_running("httpbackend", 2)
    stays(lambda: agent.routes(HOST) == [], "no route", 1.5)
    assert curl(agent.traffic, "-H", "Host: " + HOST).status == 404


def test_adding_tag_and_check_changes_the_service_in_place(agent, curl):
    agent.run(jobs.http("httpbackend", count=2, check=False))
    before = agent.wait_running("httpbackend", 2)
    pids = agent.task_pids()
    assert len(pids) == 2
    agent.run(jobs.http("httpbackend", count=2, host=HOST))
    agent.wait_routes(HOST, 2)
    after = agent.wait_running("httpbackend", 2)
    assert {a["ID"] for a in after} == {a["ID"] for a in before}
    assert agent.task_pids() == pids
    assert {a["JobVersion"] for a in after} == {1}
    answer = curl(agent.traffic, "-H", "Host: " + HOST)
    assert (answer.status, answer.body) == (200, "this is httpbackendservice, version: v1.0.0\n")


def test_trace_and_access_lines(agent, curl):
    targets = {r["dst"] for r in start(agent)}
    curl(agent.traffic, "-H", "Host: " + HOST, "-H", "Trace: abc")
    until(lambda: "abc Routing" in agent.err(), "the trace is written")
    stamp = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[TRACE\] "
    lines = [line for line in agent.err().splitlines() if "[TRACE] abc " in line]
    assert all(re.match(stamp, line) for line in lines), lines
    texts = [re.sub("^" + stamp, "", line) for line in lines]
    assert texts[:3] == ["abc Tracing mysite.com:9999/", "abc Matching hosts: [mysite.com:9999]",
                         "abc Match mysite.com:9999/"]
    match = re.fullmatch(r"abc Routing to service httpbackend on (http://127\.0\.0\.1:\d+/)",
                         texts[3])
    assert match and match.group(1) in targets and len(texts) == 4
    access = until(lambda: re.findall(r'^127\.0\.0\.1 - - \[[^\]]+\] "GET / HTTP/1\.1" 200 44$',
                                      agent.out(), re.M), "the access line is written")
    assert len(access) == 1


def test_a_trace_id_is_cut_at_15_characters(agent, curl):
    curl(agent.traffic, "-H", "Host: nobody", "-H", "Trace: 0123456789abcdefgh")
    until(lambda: "[TRACE] 0123456789abcde No match nobody/" in agent.err(), "the cut trace")


def test_an_unknown_host_gets_404(agent, curl):
    start(agent)
    assert curl(agent.traffic, "-H", "Host: nobody.example").status == 404
    assert curl(agent.traffic + "/x", "-H", "Host: mysite.com").status == 404


def test_a_killed_instance_comes_back_and_no_request_fails(agent):
    start(agent)
    pids = agent.task_pids()
    victim = sorted(pids)[0]
    with Load(agent.proxy_port, HOST) as load:
        load.wait_answered(100)
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(agent.task_pids()) == 2 and victim not in agent.task_pids(),
              "the task runs again", 20)
        agent.wait_routes(HOST, 2)
        load.wait_answered(200)
    assert load.failures == []
    states = [a["TaskStates"]["httpbackend"] for a in agent.allocs("httpbackend")]
    assert sorted(s["Restarts"] for s in states) == [0, 1]


def test_an_instance_whose_check_fails_loses_its_route(agent, curl):
    targets = start(agent)
    one = targets[0]["dst"]
    assert curl(one + "health/fail").status == 503
    rest = agent.wait_routes(HOST, 1)
    assert rest[0]["dst"] == targets[1]["dst"]
    curl(one + "health/pass")
    agent.wait_routes(HOST, 2)


def test_stopping_removes_tasks_and_routes(agent, curl):
    start(agent)
    result = agent.verb("job", "stop", "httpbackend")
    assert result.code == 0, result
    until(lambda: agent.task_pids() == {}, "the tasks end")
    agent.wait_routes(HOST, 0)
    # Until the last instance is gone its place says 503.
    until(lambda: curl(agent.traffic, "-H", "Host: " + HOST).status == 404, "no route is left")
    job = agent.get("/v1/job/httpbackend")
    assert (job["Stop"], job["Status"]) == (True, "dead")


def test_scaling_touches_only_what_changes(agent):
    agent.run(jobs.http(count=1, host="shop.test"))
    first = agent.wait_running("shop", 1)[0]["ID"]
    agent.run(jobs.http(count=3, host="shop.test"))
    assert first in {a["ID"] for a in agent.wait_running("shop", 3)}
    agent.wait_routes("shop.test", 3)
    agent.run(jobs.http(count=1, host="shop.test"))
    until(lambda: len(agent.task_pids()) == 1, "two tasks end")
    agent.wait_routes("shop.test", 1)
    names = {a["Name"] for a in agent.allocs("shop")}
    assert names == {"shop.shop[0]"}


def test_a_changed_task_is_replaced(agent, curl):
    agent.run(jobs.http(host="shop.test", args=["-version", "v1"]))
    agent.wait_routes("shop.test", 1)
    assert "v1" in curl(agent.traffic, "-H", "Host: shop.test").body
    agent.run(jobs.http(host="shop.test", args=["-version", "v2"]))
    until(lambda: "v2" in curl(agent.traffic, "-H", "Host: shop.test").body, "v2 answers", 30)
    until(lambda: len(agent.task_pids()) == 1, "the old task ends")
