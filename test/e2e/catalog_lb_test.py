"""Another balancer reads the embedded catalog as its Consul: `sluice lb` beside the agent."""

from helpers import jobs
from helpers.wait import until


def test_it_routes_to_the_agents_services(make_agent, lb, curl):
    agent = make_agent().start()
    agent.run(jobs.http(count=2, host="shop.test", group=jobs.AT_ONCE))
    balancer = lb(registry_consul_addr="127.0.0.1:%d" % agent.catalog_port,
                  registry_consul_register_enabled="false").start()

    def healthy(count):
        def there():
            have = [r["dst"] for r in balancer.routes("shop") if r["healthy"]]
            return have if len(have) == count else None
        return until(there, "%d routes are healthy" % count)
    bad = healthy(2)[0].rstrip("/")
    assert curl(balancer.traffic, "-H", "Host: shop.test").status == 200
    # What changes in the catalog comes through its blocking queries.
    curl(bad + "/health/fail")
    healthy(1)
    curl(bad + "/health/pass")
    healthy(2)
    agent.call("DELETE", "/v1/job/shop")
    balancer.wait_routes(0, "shop")


def test_it_cannot_register_itself_there_and_goes_on(make_agent, lb, curl):
    agent = make_agent().start()
    agent.run(jobs.http(host="shop.test", group=jobs.AT_ONCE))
    balancer = lb(registry_consul_addr="127.0.0.1:%d" % agent.catalog_port).start()
    balancer.wait_routes(1, "shop")
    until(lambda: "read only" in balancer.process.err(), "it says why it is not registered")
    assert curl(balancer.traffic, "-H", "Host: shop.test").status == 200
