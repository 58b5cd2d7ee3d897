"""No request is lost, whatever is done to the job under a constant load: an instance that stops
leaves every balancer first, its requests finish, and only then it gets its signal. With raw_exec
and with Docker.

SLUICE_LOAD_REQUESTS is the least number of requests of all cases of one driver together (5,000);
each case does its operation again and again until it has had its share."""

import contextlib
import os

import pytest

from helpers import jobs
from helpers.load import Load
from helpers.wait import until

HOST = "shop.test"
REQUESTS = int(os.environ.get("SLUICE_LOAD_REQUESTS", 5000))
CASES = 6  # those with a load that counts
UPDATE = """update {
      max_parallel      = %d
      health_check      = "checks"
      min_healthy_time  = "200ms"
      healthy_deadline  = "%s"
      progress_deadline = "1m"
      %s
    }"""


@contextlib.contextmanager
def load(agent):
    """Short requests and long ones: of these some are under way whenever an instance stops."""
    with Load(agent.proxy_port, HOST, "/", clients=4, rate=300) as short, \
            Load(agent.proxy_port, HOST, "/sleep/120", clients=6, rate=50) as long:
        loads = Loads(short, long)
        loads.wait(20)
        yield loads
        loads.wait(20)
    print("%s: %d requests, %d lost" % (agent.driver, loads.answered(), len(loads.failures())))
    assert loads.failures() == []
    assert loads.answered() >= REQUESTS / CASES


class Loads:
    def __init__(self, *loads):
        self.loads = loads

    def answered(self):
        return sum(one.answered for one in self.loads)

    def failures(self):
        return [f for one in self.loads for f in one.failures]

    def wait(self, more):
        for one in self.loads:
            one.wait_answered(more)

    def enough(self):
        """Whether this case has had its share of requests; a loss ends it at once."""
        assert self.failures() == []
        return self.answered() >= REQUESTS / CASES

    def versions(self):
        return {body.split(b"version: ")[1].strip() for one in self.loads
                for body in one.bodies if b"version: " in body}


def spec(agent, version, parallel=1, extra="", deadline="20s"):
    return jobs.http("shop", count=4, host=HOST, args=["-version", version], driver=agent.driver,
                     group=UPDATE % (parallel, deadline, extra))


def run(agent, text):
    path = agent.folder / "shop.nomad"
    path.write_text(text)
    result = agent.verb("job", "run", "-detach", path)
    assert result.code == 0, result


def deployment(agent):
    return agent.get("/v1/job/shop/deployment")


def wait_deployment(agent, version, status):
    def there():
        # A revert is followed by a deployment of its own at once.
        return [d for d in agent.get("/v1/job/shop/deployments")
                if (d["JobVersion"], d["Status"]) == (version, status)]
    until(there, "the deployment of version %d is %s" % (version, status), 60)


def wait_healthy(agent, version, count):
    def there():
        now = deployment(agent)
        return (now["JobVersion"], now["TaskGroups"]["shop"]["HealthyAllocs"]) == (version, count)
    until(there, "version %d has %d healthy" % (version, count), 30)


def settled(agent):
    """Four run and answer, and nothing else is left."""
    agent.wait_running("shop", 4, 30)
    agent.wait_routes(HOST, 4, 30)
    until(lambda: len(agent.tasks()) == 4, "the others have ended", 30)


@pytest.fixture(params=["raw_exec", "docker"])
def shop(request, make_agent):
    if request.param == "docker":
        docker = request.getfixturevalue("docker")
        docker.build("backend:1", [])
        agent = make_agent(flags=["-docker-socket", docker.sock]).start()
        agent.tasks = lambda: docker.containers(**{"sluice.job_id": "shop"})
    else:
        agent = make_agent().start()
        agent.tasks = agent.task_pids
    agent.driver = request.param
    run(agent, spec(agent, "v0"))
    wait_deployment(agent, 0, "successful")
    settled(agent)
    yield agent
    assert agent.verb("job", "stop", "-detach", "shop").code == 0
    until(lambda: not agent.tasks(), "nothing of the job is left", 30)


def test_rolling_update(shop):
    with load(shop) as under:
        version = 0
        while version == 0 or not under.enough():
            version += 1
            run(shop, spec(shop, "v%d" % version))
            wait_deployment(shop, version, "successful")
            settled(shop)
    assert under.versions() >= {b"v0", b"v1"}


def test_canary_that_is_promoted(shop):
    with load(shop) as under:
        version = 0
        while version == 0 or not under.enough():
            version += 1
            run(shop, spec(shop, "v%d" % version, parallel=2, extra="canary = 1"))
            wait_healthy(shop, version, 1)
            under.wait(10)
            shop.put("/v1/deployment/promote/" + deployment(shop)["ID"], {"All": True})
            wait_deployment(shop, version, "successful")
            settled(shop)
    assert under.versions() >= {b"v0", b"v1"}


def test_canary_that_fails_and_is_reverted(shop):
    """One that never passes its check, and one that does and is failed by hand."""
    with load(shop) as under:
        version = 0
        while version == 0 or not under.enough():
            revert = "canary = 1\n auto_revert = true"
            bad = spec(shop, "bad", extra=revert, deadline="2s")
            run(shop, bad.replace('"/health"', '"/status/500"'))
            wait_deployment(shop, version + 1, "failed")
            wait_deployment(shop, version + 2, "successful")
            settled(shop)
            run(shop, spec(shop, "worse", extra=revert))
            wait_healthy(shop, version + 3, 1)
            under.wait(10)
            shop.put("/v1/deployment/fail/" + deployment(shop)["ID"], {})
            wait_deployment(shop, version + 3, "failed")
            wait_deployment(shop, version + 4, "successful")
            settled(shop)
            version += 4  # each failure is followed by the version that it is reverted to
    assert under.versions() >= {b"v0", b"worse"}
    assert b"bad" not in under.versions()


def test_blue_green(shop):
    with load(shop) as under:
        version = 0
        while version == 0 or not under.enough():
            version += 1
            run(shop, spec(shop, "v%d" % version, parallel=4, extra="canary = 4"))
            wait_healthy(shop, version, 4)
            shop.wait_routes(HOST, 8)
            shop.put("/v1/deployment/promote/" + deployment(shop)["ID"], {"All": True})
            wait_deployment(shop, version, "successful")
            settled(shop)
    assert under.versions() >= {b"v0", b"v1"}


def test_job_restart(shop):
    """As the command line restarts a job: one allocation after the other."""
    with load(shop) as under:
        rounds = 0
        while rounds == 0 or not under.enough():
            rounds += 1
            for alloc in shop.allocs("shop"):
                shop.put("/v1/client/allocation/%s/restart" % alloc["ID"], {})
                until(lambda: shop.get("/v1/allocation/" + alloc["ID"])["TaskStates"]["shop"]
                      ["Restarts"] == rounds, "it was restarted")
                shop.wait_running("shop", 4)
                shop.wait_routes(HOST, 4)


def test_drain_of_the_node(shop):
    """There is no other node: the instances run on until others stand in for them, so that a drain
    with a deadline loses nothing, and can be called off."""
    node = shop.get("/v1/nodes")[0]["ID"]
    with load(shop) as under:
        rounds = 0
        while rounds == 0 or not under.enough():
            rounds += 1
            drain = {"DrainSpec": {"Deadline": 3600 * 10**9}}
            shop.put("/v1/node/%s/drain" % node, drain)
            until(lambda: any(a["DesiredTransition"]["Migrate"] for a in shop.allocs("shop")),
                  "the first is to move")
            under.wait(20)
            shop.put("/v1/node/%s/drain" % node, {"DrainSpec": None, "MarkEligible": True})
            settled(shop)


def test_the_last_requests_of_a_forced_drain_and_of_a_stop_are_answered(shop):
    """When nothing is to run any more, what is under way finishes; what comes after it is told so
    (503 while the last instances drain, 404 without any)."""
    node = shop.get("/v1/nodes")[0]["ID"]
    with Load(shop.proxy_port, HOST, "/sleep/400", clients=8, rate=1000) as long:
        long.wait_answered(8)
        shop.put("/v1/node/%s/drain" % node, {"DrainSpec": {"Deadline": -1}})
        until(lambda: not shop.tasks(), "the tasks end", 20)
    assert [f for f in long.failures if ": 503" not in f and ": 404" not in f] == []
    assert long.answered >= 16
