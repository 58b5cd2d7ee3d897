"""Consul's own client library (Go) reads the embedded catalog as it reads a real Consul."""

import json
import subprocess

import pytest

from helpers import catalog_job, go_tool
from helpers.curl import Curl
from helpers.wait import until


@pytest.fixture(scope="session")
def client():
    return go_tool.build("consul_client")


def read_with(client, address, agent):
    agent.run(catalog_job.text(), flags=["-detach"])
    out = subprocess.run([client, "-addr", "http://" + address, "-jobs", agent.api],
                         capture_output=True, text=True, timeout=180)
    assert out.returncode == 0, out.stdout[-4000:] + out.stderr[-2000:]
    assert "all questions answered" in out.stdout


def test_the_embedded_catalog(client, make_agent):
    agent = make_agent(config='name = "node-a"\n').start()
    read_with(client, "127.0.0.1:%d" % agent.catalog_port, agent)


def test_a_real_consul(client, make_agent, consul):
    config = 'name = "node-a"\nconsul {\n  address = "%s"\n}\n' % consul.address
    agent = make_agent(config=config).start()
    read_with(client, consul.address, agent)


def shape(value):
    """The fields and their kinds, without what they hold."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


def of_shop(by_id):
    return [item for item in by_id.values()
            if "shop" in (item.get("Service"), item.get("ServiceName"))]


# The call, and what of its answer is compared.
CALLS = [
    ("/v1/catalog/service/shop", lambda answer: answer),
    ("/v1/catalog/nodes", lambda answer: answer),
    ("/v1/catalog/node/node-a", lambda answer: [answer["Node"], of_shop(answer["Services"])]),
    ("/v1/catalog/datacenters", lambda answer: answer),
    ("/v1/health/service/shop?passing", lambda answer: answer),
    ("/v1/health/checks/shop", lambda answer: answer),
    ("/v1/health/state/warning", lambda answer: answer),
    ("/v1/agent/services", of_shop),
    ("/v1/agent/checks", of_shop),
    ("/v1/status/leader", lambda answer: answer),
]
# What the Consul catalog adds to a service's meta, to find a changed check again.
OURS = "sluice-digest"


def without_digest(value):
    if isinstance(value, dict):
        return {k: without_digest(v) for k, v in value.items() if k != OURS}
    return [without_digest(v) for v in value] if isinstance(value, list) else value


def settled(get):
    """Each check has said what it will say."""
    checks = get("/v1/health/state/any")
    said = sorted((c["ServiceName"], c["Status"]) for c in checks)
    return said == [("", "passing"), ("dull", "warning"), ("shop", "passing"), ("shop", "passing"),
                    ("sick", "critical")]


def test_the_same_fields_as_a_real_consul(make_agent, consul):
    embedded = make_agent("a", config='name = "node-a"\n').start()
    with_consul = make_agent(
        "b", config='name = "node-a"\nconsul {\n  address = "%s"\n}\n' % consul.address).start()
    curl = Curl()

    def ours(path):
        return json.loads(curl(embedded.catalog + path).body)

    for agent in (embedded, with_consul):
        agent.run(catalog_job.text(), flags=["-detach"])
    until(lambda: settled(ours) and settled(consul.get), "the checks have answered", 30)
    for path, part in CALLS:
        mine, theirs = without_digest(part(ours(path))), without_digest(part(consul.get(path)))
        assert shape(mine) == shape(theirs), path
        # The order too, as people read it.
        assert list_keys(mine) == list_keys(theirs), path


def list_keys(value):
    if isinstance(value, dict):
        return [(key, list_keys(item)) for key, item in value.items()]
    return [list_keys(item) for item in value] if isinstance(value, list) else None
