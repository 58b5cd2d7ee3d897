"""A proto=tcp listener: routed by its port, both ways, with its log line."""

import re
import socket
import threading

import pytest
from helpers.ports import free_port
from helpers.wait import until


class Server:
    """A TCP server of the test's own: one function a connection."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.serve = serve
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            try:
                self.serve(connection)
            except OSError:
                pass  # the client's end is what the tests look at

    def close(self):
        self.listener.close()


@pytest.fixture
def server():
    made = []

    def make(serve):
        made.append(Server(serve))
        return made[-1]
    yield make
    for each in made:
        each.close()


@pytest.fixture
def tcp(lb):
    """tcp(port of a server, options of the listener) -> a balancer in front of it, its port."""
    def start(upstream, options="", **flags):
        port = free_port()
        balancer = lb(listeners="127.0.0.1:%d;proto=tcp%s" % (port, options),
                      registry_backend="static", registry_static_routes=(
                          "route add db :%d tcp://127.0.0.1:%d" % (port, upstream)), **flags)
        return balancer.start(), port
    return start


def read_all(connection):
    got = b""
    while True:
        piece = connection.recv(65536)
        if not piece:
            return got
        got += piece


def test_tls_goes_through_as_it_is(tcp, backend, curl):
    one = backend()
    balancer, port = tcp(one.https_port)
    answer = curl("https://127.0.0.1:%d/" % port, "-k")
    assert answer.body == "this is httpsbackendservice, version: v1.0.0\n"
    line = until(lambda: re.search(
        r'^127\.0\.0\.1 - - \[[^\]]+\] "" 200 (\d+)$', balancer.out(), re.M), "the access line")
    assert int(line.group(1)) > 1000  # handshake and answer


def test_a_server_that_speaks_first(tcp, server):
    one = server(lambda c: (c.sendall(b"220 ready\r\n"), c.recv(100)))
    balancer, port = tcp(one.port)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        assert client.recv(100) == b"220 ready\r\n"


def test_a_half_closed_client_gets_the_whole_answer(tcp, server):
    answer = b"y" * 5_000_000
    one = server(lambda c: (read_all(c), c.sendall(answer)))
    balancer, port = tcp(one.port)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"x" * 1000)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == answer


def test_a_reset_stays_a_reset(tcp, server):
    def serve(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    balancer, port = tcp(server(serve).port)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def reset_at_once(port):
    """It may be so soon that the connection is not even seen to stand."""
    with pytest.raises(ConnectionResetError):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.recv(1)


def test_without_a_route_it_is_closed_and_logged(tcp, server):
    balancer, port = tcp(1, registry_static_noroutehtml="")
    balancer.process.end()
    other = free_port()
    balancer.flags["registry.static.routes"] = "route add db :%d tcp://127.0.0.1:1" % other
    balancer.start()
    reset_at_once(port)
    until(lambda: re.search(r'"" 404 0$', balancer.out(), re.M), "the access line")


def test_an_upstream_that_refuses_is_logged_as_502(tcp):
    balancer, port = tcp(free_port())
    reset_at_once(port)
    until(lambda: re.search(r'"" 502 0$', balancer.out(), re.M), "the access line")


def test_denied_addresses_are_closed_and_logged(lb):
    port = free_port()
    balancer = lb(listeners="127.0.0.1:%d;proto=tcp" % port, registry_backend="static",
                  registry_static_routes='route add db :%d tcp://127.0.0.1:1 '
                                         'opts "deny=ip:127.0.0.0/8"' % port).start()
    reset_at_once(port)
    until(lambda: re.search(r'"" 403 0$', balancer.out(), re.M), "the access line")


def test_the_idle_timeout_of_the_listener(tcp, server):
    balancer, port = tcp(server(lambda c: read_all(c)).port, ";it=200ms")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        assert client.recv(1) == b""


def test_tunnels_end_at_the_limit_of_the_shutdown(tcp, server):
    balancer, port = tcp(server(lambda c: read_all(c)).port, proxy_shutdownwait="300ms")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"x")
        balancer.process.terminate()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert balancer.process.wait() == 0
