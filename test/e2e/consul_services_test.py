"""What a job says of its services and checks is what a real Consul has of them; who may say it."""

import pytest
from helpers import consul as consul_helper
from helpers import jobs
from helpers.wait import stays, until

TOKEN = "5a1e0f6e-9d2b-4c33-8f5b-0d6f1c9b7e21"


def config(consul, more=""):
    return 'consul {\n address = "%s"\n %s\n}\n' % (consul.address, more)


def instance(consul, name):
    """The only instance of the service and its own checks, by name."""
    entry, = consul.services(name)
    return entry["Service"], {c["Name"]: c for c in entry["Checks"] if c["ServiceID"]}


def script(path, name="script"):
    return """
        check {
          name     = "%s"
          type     = "script"
          command  = "/bin/sh"
          args     = ["-c", "cat %s || exit 2"]
          interval = "1s"
          timeout  = "2s"
        }""" % (name, path)


def test_what_consul_is_told(consul, make_agent, tmp_path):
    agent = make_agent(config=config(consul)).start()
    flag = tmp_path / "flag"
    flag.write_text("all is well")
    agent.run(jobs.http(host="shop.test", service="""
        meta {
          team = "x"
        }
        weights {
          passing = 7
          warning = 2
        }
        check {
          name     = "rare"
          type     = "http"
          path     = "/health"
          method   = "GET"
          interval = "2s"
          timeout  = "1s"
          notes    = "of ${NOMAD_TASK_NAME}"
          deregister_critical_service_after = "90m"
          failures_before_critical = 2
        }
        """ + script(flag)))
    agent.wait_routes("shop.test", 1, 30)

    def told():
        service, checks = instance(consul, "shop")
        assert service["Weights"] == {"Passing": 7, "Warning": 2}
        assert service["Meta"].items() >= {"team": "x", "external-source": "sluice"}.items()
        assert service["Tags"] == ["urlprefix-shop.test/"]
        assert {n: c["Status"] for n, c in checks.items()} == dict.fromkeys(
            ("alive", "rare", "script"), "passing")
        assert checks["rare"]["Notes"] == "of shop"
        return checks
    checks = until(told, "Consul has all of it")
    assert checks["script"]["Type"] == "ttl" and "all is well" in checks["script"]["Output"]
    # What the script says is pushed.
    flag.unlink()
    until(lambda: instance(consul, "shop")[1]["script"]["Status"] == "critical", "it is critical")
    flag.write_text("again")
    until(lambda: instance(consul, "shop")[1]["script"]["Status"] == "passing", "it passes again")
    # In place: Consul hears of other weights, and the task runs on.
    task = agent.task_pids()
    agent.run(jobs.http(host="shop.test", service="weights {\n passing = 9\n }"))
    until(lambda: instance(consul, "shop")[0]["Weights"] == {"Passing": 9, "Warning": 1},
          "Consul has the new weights")
    assert agent.task_pids() == task


def test_maintenance_that_somebody_means_stays(consul, make_agent):
    agent = make_agent(dev=False, config=config(consul)).start()
    agent.run(jobs.http(host="shop.test"))
    agent.wait_routes("shop.test", 1, 30)
    service = instance(consul, "shop")[0]["ID"]
    consul.put("/v1/agent/service/maintenance/%s?enable=true&reason=work" % service)
    until(lambda: not agent.routes("shop.test"), "it gets no requests")
    agent.run(jobs.http(host="shop.test", service='meta {\n team = "y"\n }'), flags=["-detach"])
    until(lambda: instance(consul, "shop")[0]["Meta"].get("team") == "y", "registered anew")
    agent.replace("kill9")
    agent.replace("upgrade")
    stays(lambda: not agent.routes("shop.test"), "no requests", 2)
    held = consul.get("/v1/agent/checks")
    assert "_service_maintenance:" + service in held
    consul.put("/v1/agent/service/maintenance/%s?enable=false" % service)
    agent.wait_routes("shop.test", 1)


def test_a_token(consul_binary, make_agent, tmp_path):
    consul = consul_helper.Consul(tmp_path / "closed", token=TOKEN).start()
    agent = make_agent("allowed", config=config(consul, 'token = "%s"' % TOKEN)).start()
    agent.run(jobs.http(host="shop.test"))
    agent.wait_routes("shop.test", 1, 30)
    assert instance(consul, "shop")[1]["alive"]["Status"] == "passing"
    assert TOKEN not in agent.out() + agent.err()
    for name, more in (("without", ""), ("wrong", 'token = "%s"' % TOKEN.replace("5", "6"))):
        other = make_agent(name, config=config(consul, more)).start()
        other.run(jobs.http(name, check=False), flags=["-detach"])
        other.wait_running(name, 1)
        until(lambda: "WARN" in other.err() and ("ermission denied" in other.err()
                                                 or "ACL not found" in other.err()), "it says why")
        assert not consul.services(name)
        assert len(other.task_pids()) == 1
    agent.stop_jobs()
    until(lambda: not consul.services("shop"), "its service goes")
    consul.stop()
