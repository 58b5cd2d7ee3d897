"""Consul that asks for a certificate, of the balancer alone and of an agent, and a registry of
somebody's own over TLS."""

import json
import ssl

import pytest
from helpers.certificates import Authority
from helpers.consul import Consul
from helpers.ports import free_port
from helpers.wait import until
from lb_consul_test import register
from lb_registries_test import Custom


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


@pytest.fixture
def consul(consul_binary, tmp_path, authority):
    """Plain on one port for the test, and on `https_port` for those with a certificate."""
    pair = authority.issue(["consul.test", "127.0.0.1"])
    config = tmp_path / "tls.json"
    config.write_text(json.dumps({
        "ca_file": str(authority.file), "cert_file": str(pair.cert), "key_file": str(pair.key),
        "verify_incoming": True}))
    port = free_port()
    server = Consul(tmp_path / "consul", flags=["-config-file", config, "-https-port", port])
    server.https_port = port
    server.start()
    yield server
    server.stop()


@pytest.fixture
def start(lb, consul, authority):
    own = authority.issue(["sluice.test"])

    def launch(**flags):
        given = {"registry_consul_tls_cafile": authority.file,
                 "registry_consul_tls_certfile": own.cert, "registry_consul_tls_keyfile": own.key,
                 "registry_consul_register_enabled": "false", **flags}
        return lb(registry_consul_addr="https://127.0.0.1:%d" % consul.https_port,
                  **{name: value for name, value in given.items() if value}).start()
    return launch


def test_routes_from_a_consul_that_asks_for_a_certificate(start, consul, backend):
    register(consul, backend())
    balancer = start()
    balancer.wait_routes(1, "web")
    consul.put("/v1/agent/service/deregister/web")
    balancer.wait_routes(0, "web")


def test_authorities_of_a_folder(start, consul, backend, authority, tmp_path):
    folder = tmp_path / "authorities"
    folder.mkdir()
    (folder / "one.pem").write_bytes(Authority(tmp_path / "other").file.read_bytes())
    (folder / "two.crt").write_bytes(authority.file.read_bytes())
    (folder / "README").write_text("no certificate")
    register(consul, backend())
    start(registry_consul_tls_cafile="", registry_consul_tls_capath=folder).wait_routes(1, "web")


def test_who_is_not_trusted_gives_no_routes_and_the_log_says_why(start, consul, backend, tmp_path):
    register(consul, backend())
    for flags, why in [
            ({"registry_consul_tls_cafile": Authority(tmp_path / "other").file},
             "unable to get local issuer certificate"),
            ({"registry_consul_tls_certfile": "", "registry_consul_tls_keyfile": ""},
             "CERTIFICATE")]:
        balancer = start(**flags)
        balancer.process.wait_for(why)
        assert balancer.routes() == []
    # The same authority's, but somebody else's.
    skipped = start(registry_consul_tls_cafile=Authority(tmp_path / "third").file,
                    registry_consul_tls_insecureskipverify="true")
    skipped.wait_routes(1, "web")


def test_a_custom_registry_over_tls(lb, backend, tmp_path):
    authority = Authority(tmp_path / "ca")
    pair = authority.issue(["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    custom = Custom()
    custom.server.socket = context.wrap_socket(custom.server.socket, server_side=True)
    custom.answer = 200, json.dumps([{"cmd": "route add", "service": "web", "src": "mysite.com/",
                                      "dst": backend().http_url}])
    flags = {"registry_backend": "custom", "registry_custom_host": custom.host,
             "registry_custom_path": "routes", "registry_custom_pollinterval": "50ms"}
    try:
        strict = lb(**flags).start()  # https is the default; the system does not know this one
        strict.process.wait_for("certificate")
        assert strict.routes() == [] and custom.paths == []
        lb(**flags, registry_custom_checkTLSSkipVerify="true").start().wait_routes(1, "web")
        until(lambda: custom.paths, "it is asked")
    finally:
        custom.server.shutdown()
        custom.server.server_close()


def test_an_agent_with_a_consul_by_name_over_tls_and_its_overrides(make_agent, consul, backend,
                                                                   authority, curl):
    # "localhost" is looked up; the certificate is for 127.0.0.1 and consul.test, not for it.
    block = """
consul {
  address    = "%s:%d"
  ssl        = true
  verify_ssl = %s
  ca_file    = "%s"
  cert_file  = "%s"
  key_file   = "%s"
}
"""
    own = authority.issue(["sluice.test"])
    files = authority.file, own.cert, own.key
    strict = make_agent(config=block % ("localhost", consul.https_port, "true", *files)).start()
    strict.process.wait_for("localhost:%d: no TLS: " % consul.https_port)
    strict.stop()
    register(consul, backend("-version", "one"))
    two = backend("-version", "two")
    agent = make_agent(config=block % ("localhost", consul.https_port, "false", *files)).start()

    def answer():
        return curl(agent.traffic, "-H", "Host: mysite.com").body
    until(lambda: "one" in answer(), "the tag's route")
    consul.put("/v1/kv/fabio/config", b"route del web\nroute add two mysite.com/ "
               + two.http_url.encode())
    until(lambda: "two" in answer(), "the override's route")
    consul.call("DELETE", "/v1/kv/fabio/config")
    until(lambda: "one" in answer(), "the tag's route again")


def test_a_consul_that_is_no_address_is_an_error_that_says_so(make_agent):
    for address, message in [("consul.test:port", "want HOST:PORT"), ("a b", "want HOST:PORT"),
                             ("[::1", "want HOST:PORT")]:
        agent = make_agent(config='consul {\n  address = "%s"\n}\n' % address).launch()
        assert agent.process.wait() == 1 and message in agent.err(), address
