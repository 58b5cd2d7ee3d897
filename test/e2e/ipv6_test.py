"""IPv6 wherever an address may stand: listeners, upstreams, the admin page, headers, PROXY."""

import socket

import pytest

from helpers import http_site
from helpers.ports import free_port
from helpers.wait import until


@pytest.fixture
def upstream():
    """The port of an HTTP server on ::1 that answers with the request's headers."""
    server = http_site.serve("::1", 0, lambda request: str(request.headers))
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_http_listeners_upstreams_and_the_admin_page(lb, upstream, curl):
    one, both = free_port(), free_port()
    balancer = lb(listeners="[::1]:%d,[::]:%d" % (one, both), registry_backend="static",
                  registry_static_routes="route add web / http://[::1]:%d/\n"
                  "route add lit [::1]:%d/literal http://[::1]:%d/" % (upstream, one, upstream))
    balancer.flags["ui.addr"] = "[::1]:%d" % balancer.ui_port
    balancer.ui = "http://[::1]:%d" % balancer.ui_port
    balancer.start()
    told = curl("http://[::1]:%d/" % one, "-H", "Host: a.com").body
    assert "X-Forwarded-For: ::1\n" in told and 'Forwarded: for="[::1]"; proto=http' in told
    assert curl("http://[::1]:%d/literal" % one).status == 200  # Host: [::1]:port
    # The any-address takes IPv4 as well, and says so as what it is.
    told = curl("http://127.0.0.1:%d/" % both, "-H", "Host: a.com").body
    assert "X-Forwarded-For: 127.0.0.1\n" in told
    assert sorted(route["dst"] for route in balancer.routes()) == [
        "http://[::1]:%d/" % upstream] * 2
    # Each reactor writes its own lines: they may come in any order.
    until(lambda: sorted(line.split(" ")[0] for line in balancer.out().splitlines())
          == ["127.0.0.1", "::1", "::1"], "the access log names them")


def test_access_by_address(lb, upstream, curl):
    port = free_port()
    balancer = lb(listeners="[::]:%d" % port, registry_backend="static", registry_static_routes=(
        'route add a a.com/ http://[::1]:{0}/ opts "allow=ip:::1/128"\n'
        'route add b b.com/ http://[::1]:{0}/ opts "allow=ip:127.0.0.0/8"\n'
        'route add c c.com/ http://[::1]:{0}/ opts "deny=ip:::/0"').format(upstream)).start()

    def statuses(address):
        return [curl("http://%s:%d/" % (address, port), "-H", "Host: %s.com" % host).status
                for host in "abc"]
    assert statuses("[::1]") == [200, 403, 403]
    assert statuses("127.0.0.1") == [403, 200, 403]
    assert balancer.get("/api/rejected") == []


def test_tcp_with_proxy_headers_both_ways(lb):
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    there = listener.getsockname()[1]
    plain, told = free_port(), free_port()
    lb(listeners="[::1]:%d;proto=tcp,[::1]:%d;proto=tcp;pxyproto=true" % (plain, told),
       registry_backend="static", registry_static_routes=(
        'route add a :%d tcp://[::1]:%d opts "pxyproto=true"\n'
        'route add b :%d tcp://[::1]:%d opts "pxyproto=true"'
           % (plain, there, told, there))).start()

    def first_line(port, text):
        with socket.create_connection(("::1", port), timeout=10) as client:
            mine = client.getsockname()[1]
            client.sendall(text)
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(10)
                return peer.makefile("rb").readline().decode(), mine
    line, mine = first_line(plain, b"x\n")
    assert line == "PROXY TCP6 ::1 ::1 %d %d\r\n" % (mine, plain)
    line, _ = first_line(told, b"PROXY TCP6 2001:db8::7 2001:db8::8 1000 443\r\nx\n")
    assert line.startswith("PROXY TCP6 2001:db8::7 ")
    listener.close()
