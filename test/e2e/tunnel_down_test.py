"""`ondown=close`: the sessions of an instance that has failed are closed; those of one that leaves
are not."""

import socket
import threading

import pytest

from helpers.ports import free_port
from helpers.wait import stays, until


@pytest.fixture
def echo():
    """The port of a server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection:
            try:
                while data := connection.recv(100):
                    connection.sendall(data)
            except OSError:
                pass  # that is what the tests look at

    def run():
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()
    threading.Thread(target=run, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


class Service:
    """An instance with a check that the test passes and fails."""

    def __init__(self, consul, port, upstream, opts):
        self.consul = consul
        consul.put("/v1/agent/service/register", {
            "ID": "db", "Name": "db", "Address": "127.0.0.1", "Port": upstream,
            "Tags": ["urlprefix-:%d proto=tcp%s" % (port, opts)],
            "Check": {"CheckID": "alive", "TTL": "1h", "Status": "passing"}})

    def check(self, status):
        self.consul.put("/v1/agent/check/%s/alive" % status)

    def maintenance(self, on):
        self.consul.put("/v1/agent/service/maintenance/db?enable=%s&reason=x" % on)


@pytest.fixture
def start(lb, consul, echo):
    def launch(opts):
        port = free_port()
        service = Service(consul, port, echo, opts)
        balancer = lb(listeners="127.0.0.1:%d;proto=tcp" % port,
                      registry_consul_addr=consul.address,
                      registry_consul_register_enabled="false").start()
        until(lambda: balancer.routes("db")[0]["healthy"], "the route is there")
        return balancer, service, port
    return launch


def session(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    assert works(client)
    return client


def works(client):
    client.sendall(b"x")
    return client.recv(1) == b"x"


def healthy(balancer):
    return balancer.routes("db")[0]["healthy"]


def test_sessions_end_with_the_health_of_their_instance(start):
    balancer, service, port = start(" ondown=close")
    with session(port) as first, session(port) as second:
        service.check("fail")
        for client in (first, second):
            with pytest.raises(ConnectionResetError):
                client.recv(1)
    service.check("pass")
    until(lambda: healthy(balancer), "it is healthy again")
    with session(port) as third:
        # Somebody takes it out of service, and it leaves: nothing is wrong with it.
        service.maintenance("true")
        until(lambda: not healthy(balancer), "it is in maintenance")
        stays(lambda: works(third), "the session goes on", 0.5)
        service.consul.put("/v1/agent/service/deregister/db")
        balancer.wait_routes(0, "db")
        stays(lambda: works(third), "the session goes on", 0.5)


def test_without_the_option_they_go_on(start):
    balancer, service, port = start("")
    with session(port) as client:
        service.check("fail")
        until(lambda: not healthy(balancer), "it has failed")
        stays(lambda: works(client), "the session goes on", 0.5)
