"""The balancer alone with a real Consul: routes by tags, overrides in the KV, itself in it."""

import pytest
from helpers.wait import stays, until


def register(consul, backend, name="web", tags=("urlprefix-mysite.com/",), service=None):
    consul.put("/v1/agent/service/register", {
        "ID": service or name, "Name": name, "Address": "127.0.0.1", "Port": backend.http_port,
        "Tags": list(tags),
        "Check": {"HTTP": backend.http_url + "health", "Interval": "1s", "Status": "passing"}})


@pytest.fixture
def start(lb, consul):
    def launch(**flags):
        return lb(registry_consul_addr=consul.address, **flags).start()
    return launch


def test_a_service_becomes_a_route_and_goes_again(start, consul, backend, curl):
    balancer = start(registry_consul_register_enabled="false")
    one = backend()
    register(consul, one)
    balancer.wait_routes(1, "web")
    assert curl(balancer.traffic, "-H", "Host: mysite.com").status == 200
    consul.put("/v1/agent/service/deregister/web")
    balancer.wait_routes(0, "web")
    assert curl(balancer.traffic, "-H", "Host: mysite.com").status == 404


def test_one_bad_tag_does_not_hold_the_others_up(start, consul, backend):
    balancer = start(registry_consul_register_enabled="false")
    register(consul, backend(), tags=["urlprefix-a.test/ allow=ip:nonsense", "urlprefix-b.test/"])
    assert [r["host"] for r in balancer.wait_routes(1)] == ["b.test"]
    rejected = balancer.get("/api/rejected")
    assert [r["tag"] for r in rejected] == ["urlprefix-a.test/ allow=ip:nonsense"]


def test_overrides_by_the_api_with_compare_and_set(start, consul, backend, curl):
    one, two = backend("-version", "one"), backend("-version", "two")
    register(consul, one)
    balancer = start(registry_consul_register_enabled="false")
    balancer.wait_routes(1)
    assert balancer.get("/api/manual") == {"value": "", "version": "0"}
    assert balancer.get("/api/paths") == []
    commands = "route del web\nroute add other mysite.com/ " + two.http_url
    assert balancer.call("PUT", "/api/manual/mine", {"value": commands, "version": "0"})[0] == 200
    balancer.wait_routes(1, "other")
    assert "two" in curl(balancer.traffic, "-H", "Host: mysite.com").body
    assert balancer.get("/api/paths") == ["/mine"]
    stored = balancer.get("/api/manual/mine")
    assert stored["value"] == commands and int(stored["version"]) > 0
    assert consul.get("/v1/kv/fabio/config/mine?raw") == commands
    # Somebody else's version: 409, and nothing changes.
    status, text = balancer.call("PUT", "/api/manual/mine", {"value": "", "version": "0"})
    assert (status, text) == (409, "version mismatch\n")
    stored["value"] = ""
    assert balancer.call("PUT", "/api/manual/mine", stored)[0] == 200
    balancer.wait_routes(1, "web")
    # The place itself, and one that only begins like it.
    consul.put("/v1/kv/fabio/configuration", b"route del web")
    consul.put("/v1/kv/fabio/config", b"route add top top.test/ http://127.0.0.1:1/")
    balancer.wait_routes(1, "top")
    assert len(balancer.routes("web")) == 1
    assert sorted(balancer.get("/api/paths")) == ["", "/mine"]


def test_read_only(start, consul):
    balancer = start(ui_access="ro")
    status, text = balancer.call("PUT", "/api/manual", {"value": "x", "version": "0"})
    assert status == 403 and "ro" in text
    assert balancer.get("/api/manual")["value"] == ""


def test_wrong_overrides_are_refused(start):
    balancer = start()
    for body in ({"version": "0"}, {"value": "x", "version": "seven"}, [1]):
        assert balancer.call("PUT", "/api/manual", body)[0] == 400
    assert balancer.call("DELETE", "/api/manual")[0] == 405


def test_the_no_route_page_of_the_kv(start, consul, curl):
    consul.put("/v1/kv/fabio/noroute.html", b"<p>one</p>")
    balancer = start()
    until(lambda: curl(balancer.traffic).body == "<p>one</p>", "the page is there")
    consul.put("/v1/kv/fabio/noroute.html", b"<p>two</p>")
    until(lambda: curl(balancer.traffic).body == "<p>two</p>", "the page changes")
    consul.call("DELETE", "/v1/kv/fabio/noroute.html")
    until(lambda: curl(balancer.traffic).body == "404 Not Found\n", "the page is gone")


def test_it_registers_itself_and_leaves_at_sigterm(start, consul):
    balancer = start(registry_consul_register_tags="a,b", proxy_deregistergraceperiod="1s",
                     registry_consul_register_name="edge")

    def own():
        found = consul.get("/v1/health/service/edge")
        return found[0] if found else None
    service = until(own, "it is registered")["Service"]
    assert (service["Address"], service["Port"], service["Tags"]) == (
        "127.0.0.1", balancer.ui_port, ["a", "b"])
    until(lambda: {c["Status"] for c in own()["Checks"]} == {"passing"}, "its check passes")
    balancer.process.terminate()
    until(lambda: own() is None, "it is deregistered", 5)
    assert balancer.process.running(), "it serves on for the grace period"
    assert balancer.process.wait() == 0


def test_register_makes_it_a_service_of_that_name_too(start, consul, backend):
    one = backend()
    balancer = start()

    def names():
        found = consul.get("/v1/agent/services")
        return sorted(s["Service"] for s in found.values() if s["Port"] == balancer.ui_port)
    until(lambda: names() == ["fabio"], "it is registered")
    register(consul, one, tags=["urlprefix-a.test/ register=shop",
                                "urlprefix-b.test/ register=till"])
    until(lambda: names() == ["fabio", "shop", "till"], "and under the names that routes ask for")
    until(lambda: [c["Status"] for c in consul.get("/v1/health/checks/shop")] == ["passing"],
          "with its own check")
    register(consul, one, tags=["urlprefix-a.test/ register=shop", "urlprefix-b.test/"])
    until(lambda: names() == ["fabio", "shop"], "a name that no route asks for goes")
    assert balancer.get("/api/rejected") == []
    balancer.process.terminate()
    assert balancer.process.wait() == 0
    assert names() == []


def test_consul_going_away_takes_neither_routes_nor_overrides(start, consul, backend, curl):
    one = backend()
    register(consul, one)
    consul.put("/v1/kv/fabio/config/mine",
               ("route add other other.test/ " + one.http_url).encode())
    balancer = start(registry_consul_register_enabled="false")
    balancer.wait_routes(2)
    consul.stop()
    balancer.process.wait_for("the routes stay as they are")
    stays(lambda: len(balancer.routes()) == 2, "the routes stay", 1)
    consul.start()  # -dev: without its data
    balancer.process.wait_for("answers again")
    stays(lambda: len(balancer.routes()) == 2, "the routes stay", 2)
    # What it says from now on counts.
    consul.put("/v1/kv/fabio/config/mine", b"route add new new.test/ http://127.0.0.1:1/")
    balancer.wait_routes(1, "new")
    consul.call("DELETE", "/v1/kv/fabio/config/mine")
    balancer.wait_routes(0, "new")
    assert len(balancer.routes("web")) == 1


def test_it_starts_before_its_consul(lb, consul, backend):
    consul.stop()
    balancer = lb(registry_consul_addr=consul.address).start()
    consul.start()
    register(consul, backend())
    balancer.wait_routes(1, "web")
