"""Websockets through the balancer, with a client and a server of a library; and the ends of the
raw bytes that such a connection is once the upstream has answered 101."""

import asyncio
import re
import socket
import threading

import pytest
import websockets

from helpers.wait import until


@pytest.fixture
def balancer_for(lb):
    """The route's host has the port of the listener, because the client's Host header has it: a
    port that is not the scheme's own belongs to the host (as in fabio)."""
    def start(port, opts="", **flags):
        balancer = lb(registry_backend="static",
                      log_access_format="$request_uri $response_status $response_body_size.",
                      **flags)
        balancer.flags["registry.static.routes"] = (
            "route add ws ws.com:%d/ http://127.0.0.1:%d/%s" % (
                balancer.port, port, opts and ' opts "%s"' % opts))
        return balancer.start()
    return start


async def echo(websocket):
    try:
        async for message in websocket:
            await websocket.send(message)
    except websockets.ConnectionClosed:
        pass


def connect(balancer, path="/", **options):
    return websockets.connect("ws://ws.com:%d%s" % (balancer.port, path), host="127.0.0.1",
                              **options)


def run(test):
    """The test gets the port of an echo server, and the close codes that it sees."""
    async def whole():
        closed = []

        async def serve(websocket):
            await echo(websocket)
            closed.append((websocket.close_code, websocket.close_reason))
        async with websockets.serve(serve, "127.0.0.1", 0, max_size=None) as server:
            await test(server.sockets[0].getsockname()[1], closed)
    asyncio.run(asyncio.wait_for(whole(), 60))


def wait_line(balancer, pattern):
    until(lambda: re.search(pattern, balancer.out(), re.M), "the access line %s" % pattern)


def test_messages_of_every_size_both_ways(balancer_for):
    async def test(port, _):
        balancer = balancer_for(port)
        async with connect(balancer, "/chat?x=1", max_size=None) as client:
            for message in ("hello", b"\x00\x01", "a" * 70_000, b"b" * 3_000_000, ""):
                await client.send(message)
                assert await client.recv() == message
            pong = await client.ping()
            await pong
        wait_line(balancer, r"^/chat\?x=1 101 \d+\.$")
    run(test)


def test_many_at_once_and_a_close_with_its_code(balancer_for):
    async def test(port, closed):
        balancer = balancer_for(port, "strategy=leastconn")
        clients = [await connect(balancer) for _ in range(50)]
        for i, client in enumerate(clients):
            await client.send(str(i))
        assert [await c.recv() for c in clients] == [str(i) for i in range(50)]
        for client in clients:
            await client.close(4001, "done")
            assert (client.close_code, client.close_reason) == (4001, "done")
        while len(closed) < 50:  # the server's own tasks are a little later; run() has the limit
            await asyncio.sleep(0.01)
        assert closed == [(4001, "done")] * 50
    run(test)


def test_a_server_that_closes(balancer_for):
    async def serve(websocket):
        await websocket.send("bye")
        await websocket.close(4002, "enough")

    async def test():
        async with websockets.serve(serve, "127.0.0.1", 0) as server:
            balancer = balancer_for(server.sockets[0].getsockname()[1])
            async with connect(balancer) as client:
                assert await client.recv() == "bye"
                with pytest.raises(websockets.ConnectionClosedError) as closed:
                    await client.recv()
                assert (closed.value.code, closed.value.reason) == (4002, "enough")
    asyncio.run(asyncio.wait_for(test(), 30))


def test_a_server_that_declines(balancer_for, backend):
    async def test():
        balancer = balancer_for(backend().http_port)
        with pytest.raises(websockets.InvalidStatusCode) as declined:
            await connect(balancer)
        assert declined.value.status_code == 200
        wait_line(balancer, r"^/ 200 \d+\.$")
    asyncio.run(test())


def test_a_host_without_the_port_is_another_host(balancer_for):
    """Route `ws.com:port/`, Host `ws.com`."""
    async def test(port, _):
        balancer = balancer_for(port)
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            await websockets.connect("ws://ws.com/", host="127.0.0.1", port=balancer.port)
        assert refused.value.status_code == 404
        wait_line(balancer, r"^/ 404 \d+\.$")
    run(test)


class RawUpstream:
    """Answers one upgrade with 101; what follows is up to the test."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.head = b""
        self.peer = None
        self._accepted = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        self.peer, _ = self.listener.accept()
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self.peer.recv(1)
        # With bytes of the new protocol in the same segment.
        self.peer.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\n"
                          b"Connection: Upgrade\r\n\r\nearly")
        self._accepted.set()

    def accept(self):
        assert self._accepted.wait(15)
        self.peer.settimeout(15)
        return self.peer


def read_all(peer):
    got = b""
    while piece := peer.recv(65536):
        got += piece
    return got


def upgraded(balancer):
    client = socket.create_connection(("127.0.0.1", balancer.port), timeout=15)
    client.sendall(b"GET /raw HTTP/1.1\r\nHost: ws.com:%d\r\nConnection: Upgrade\r\n"
                   b"Upgrade: raw\r\n\r\n" % balancer.port)
    got = b""
    while not got.endswith(b"\r\n\r\nearly"):
        piece = client.recv(1)
        assert piece, got
        got += piece
    assert got.startswith(b"HTTP/1.1 101 "), got
    return client


def test_a_backend_that_half_closes_still_gets_what_the_client_sends(balancer_for):
    upstream = RawUpstream()
    balancer = balancer_for(upstream.port)
    with upgraded(balancer) as client, upstream.accept() as peer:
        assert b"Upgrade: raw\r\n" in upstream.head
        peer.sendall(b"last")
        peer.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"last"
        client.sendall(b"answer" * 10_000)
        client.shutdown(socket.SHUT_WR)
        assert read_all(peer) == b"answer" * 10_000
    wait_line(balancer, r"^/raw 101 9\.$")  # "early" and "last"


def test_a_client_that_half_closes_still_gets_the_answer(balancer_for):
    upstream = RawUpstream()
    balancer = balancer_for(upstream.port)
    with upgraded(balancer) as client, upstream.accept() as peer:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_all(peer) == b"question"
        peer.sendall(b"answer" * 10_000)
        peer.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"answer" * 10_000


def test_a_backend_that_resets_resets_the_client(balancer_for):
    upstream = RawUpstream()
    balancer = balancer_for(upstream.port)
    with upgraded(balancer) as client, upstream.accept() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        peer.close()
        with pytest.raises(ConnectionResetError):
            read_all(client)
