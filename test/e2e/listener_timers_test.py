"""The timers of a listener: rt, wt, it and pxytimeout, for HTTP and for TCP."""

import socket
import time

import pytest

from helpers.ports import free_port
from helpers.wait import until

SHORT = "300ms"
LARGE = 64 << 20  # more than the kernel's buffers on the way take


@pytest.fixture
def connect(lb, backend):
    """connect(options) starts a listener with them, and opens a connection to it."""
    opened = []

    def start(options, command="route add web / %s", receive_bytes=None, **flags):
        port = free_port()
        url = backend().http_url
        balancer = lb(listeners="127.0.0.1:%d;%s" % (port, options), registry_backend="static",
                      log_access_format="$request_uri $response_status.",
                      registry_static_routes=command % (
                          url if "%d" not in command else (port, url.replace("http:", "tcp:"))),
                      **flags)
        balancer.start()
        client = socket.socket()
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.settimeout(15)
        client.connect(("127.0.0.1", port))
        opened.append(client)
        return client, balancer
    yield start
    for client in opened:
        client.close()


def rest(client):
    """All that comes, and whether it ended in order."""
    got = bytearray()
    try:
        while piece := client.recv(1 << 16):
            got += piece
    except ConnectionResetError:
        return bytes(got), False
    return bytes(got), True


TCP = "route add web :%d %s"


def test_rt_a_head_that_does_not_end(connect):
    client, _ = connect("rt=" + SHORT)
    client.sendall(b"GET / HTTP/1.1\r\nHost: a.com\r\n")
    answer, in_order = rest(client)
    assert answer.startswith(b"HTTP/1.1 408 ") and in_order, answer


def test_rt_a_body_that_does_not_end(connect):
    client, balancer = connect("rt=" + SHORT)
    client.sendall(b"POST /upload HTTP/1.1\r\nHost: a.com\r\nContent-Length: 100\r\n\r\nshort")
    answer, _ = rest(client)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    until(lambda: "/upload 408.\n" in balancer.out(), "the access line says so")


def test_rt_of_a_tunnel(connect):
    client, _ = connect("proto=tcp;rt=" + SHORT, TCP)
    assert rest(client)[0] == b""


@pytest.mark.parametrize("options, command", [("", "route add web / %s"), ("proto=tcp;", TCP)])
def test_wt_a_client_that_takes_nothing(connect, options, command):
    client, balancer = connect(options + "wt=" + SHORT, command, receive_bytes=4096)
    client.sendall(b"GET /size/%d HTTP/1.1\r\nHost: a.com\r\n\r\n" % LARGE)
    # Nothing is read until the balancer has given up: then far from all has come.
    until(lambda: balancer.out(), "the access line is written")
    assert len(rest(client)[0]) < LARGE // 2
    # While one that reads, however slowly it began, gets all of it.
    client, _ = connect(options + "wt=10s", command)
    client.sendall(b"GET /size/%d HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n" % LARGE)
    answer, in_order = rest(client)
    assert len(answer) > LARGE and in_order


@pytest.mark.parametrize("part", [100, 200_000], ids=["copied", "spliced"])
def test_an_upload_may_take_longer_than_its_answer(connect, part):
    """The time for a response's head begins with the request's end."""
    client, _ = connect("rt=15s", proxy_responseheadertimeout="1s")
    client.sendall(b"POST /upload HTTP/1.1\r\nHost: a.com\r\nContent-Length: %d\r\n"
                   b"Connection: close\r\n\r\n" % (2 * part))
    for _ in range(2):
        time.sleep(1.3)
        client.sendall(b"x" * part)
    answer, _ = rest(client)
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\n%d\n" % (2 * part))


def test_an_answer_may_wait_for_its_reader(connect):
    client, _ = connect("wt=15s", proxy_responseheadertimeout="1s")
    client.sendall(b"GET /size/%d HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n" % LARGE)
    time.sleep(2.2)
    answer, in_order = rest(client)
    assert len(answer) > LARGE and in_order


def test_an_upstream_that_takes_nothing(lb):
    server = socket.create_server(("127.0.0.1", 0))
    balancer = lb(registry_backend="static", proxy_responseheadertimeout=SHORT,
                  registry_static_routes="route add web / http://127.0.0.1:%d/"
                  % server.getsockname()[1]).start()
    with socket.create_connection(("127.0.0.1", balancer.port), timeout=15) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: %d\r\n\r\n" % LARGE)
        client.setblocking(False)

        def answered():
            try:
                client.send(b"x" * 200_000)
            except BlockingIOError:
                pass
            return client.recv(100)
        assert until(answered, "it is answered").startswith(b"HTTP/1.1 504 ")
    server.close()


def test_it_between_two_requests(connect):
    client, _ = connect("it=" + SHORT)
    request = b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n"
    client.sendall(request)
    answer, in_order = rest(client)
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.count(b"HTTP/1.1") == 1 and in_order


def test_it_of_a_tunnel(connect):
    client, _ = connect("proto=tcp;it=" + SHORT, TCP)
    client.sendall(b"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n")
    assert rest(client)[0].startswith(b"HTTP/1.1 200 ")


def test_pxytimeout(connect):
    client, _ = connect("pxyproto=true;pxytimeout=100ms")
    assert rest(client)[0] == b""
    # Longer than the 250 ms that are usual.
    client, _ = connect("pxyproto=true;pxytimeout=15s")
    time.sleep(0.4)
    client.sendall(b"PROXY TCP4 127.0.0.7 127.0.0.1 1 2\r\n"
                   b"GET /request HTTP/1.1\r\nHost: a.com\r\nConnection: close\r\n\r\n")
    assert b"\r\nX-Forwarded-For: 127.0.0.7\r\n" in rest(client)[0]
