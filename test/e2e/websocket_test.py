"""Websockets through the balancer, with a client and a server of a library."""

import asyncio
import re

import pytest
import websockets

from helpers.wait import until


@pytest.fixture
def balancer_for(lb):
    def start(port, opts=""):
        command = 'route add ws ws.com/ http://127.0.0.1:%d/%s' % (
            port, opts and ' opts "%s"' % opts)
        return lb(registry_backend="static", registry_static_routes=command,
                  log_access_format="$request_uri $response_status $response_body_size.").start()
    return start


async def echo(socket):
    try:
        async for message in socket:
            await socket.send(message)
    except websockets.ConnectionClosed:
        pass


def url(balancer, path="/"):
    return "ws://ws.com:%d%s" % (balancer.port, path)


def run(test):
    async def whole():
        async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
            await test(server.sockets[0].getsockname()[1])
    asyncio.run(asyncio.wait_for(whole(), 60))


def test_messages_of_every_size_both_ways(balancer_for):
    async def test(port):
        balancer = balancer_for(port)
        async with websockets.connect(url(balancer, "/chat?x=1"), host="127.0.0.1",
                                      max_size=None) as socket:
            for message in ("hello", b"\x00\x01", "a" * 70_000, b"b" * 3_000_000, ""):
                await socket.send(message)
                assert await socket.recv() == message
            pong = await socket.ping()
            await pong
        until(lambda: re.search(r"^/chat\?x=1 101 \d+\.$", balancer.out(), re.M),
              "the access line of the websocket")
    run(test)


def test_many_at_once_and_a_close_from_either_side(balancer_for):
    async def test(port):
        balancer = balancer_for(port, "strategy=leastconn")
        sockets = [await websockets.connect(url(balancer), host="127.0.0.1") for _ in range(50)]
        for i, socket in enumerate(sockets):
            await socket.send(str(i))
        assert [await s.recv() for s in sockets] == [str(i) for i in range(50)]
        for socket in sockets:
            await socket.close(1000, "done")
            assert (socket.close_code, socket.close_reason) == (1000, "done")
    run(test)


def test_a_server_that_declines(balancer_for, backend):
    async def test():
        balancer = balancer_for(backend().http_port)
        with pytest.raises(websockets.InvalidStatusCode) as declined:
            await websockets.connect(url(balancer), host="127.0.0.1")
        assert declined.value.status_code == 200
    asyncio.run(test())
