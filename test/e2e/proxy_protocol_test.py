"""The PROXY protocol with HAProxy as the peer, in both directions."""

import re
import shutil
import socket

import pytest
from helpers.ports import free_port
from helpers.process import Process
from helpers.wait import until

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin")


@pytest.fixture
def haproxy(tmp_path):
    """haproxy(text): HAProxy with these frontends and backends."""
    def start(text, port):
        assert HAPROXY, "apt-get install haproxy"
        config = tmp_path / "haproxy.cfg"
        config.write_text("defaults\n  timeout connect 2s\n  timeout client 10s\n"
                          "  timeout server 10s\n" + text)
        process = Process([HAPROXY, "-db", "-f", config], tmp_path)
        until(lambda: not socket.create_connection(("127.0.0.1", port), 1).close(),
              "haproxy listens")
        return process
    return start


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_http_from_haproxy(lb, backend, curl, haproxy, version):
    front, port = free_port(), free_port()
    one = backend()
    balancer = lb(listeners="127.0.0.1:%d;proto=http;pxyproto=true" % port,
                  registry_backend="static",
                  registry_static_routes="route add web / " + one.http_url).start()
    haproxy("""listen l
  mode tcp
  bind 127.0.0.1:%d
  source 127.0.0.9
  server s 127.0.0.1:%d %s
""" % (front, port, version), front)
    head = curl("--interface", "127.0.0.7", "http://127.0.0.1:%d/request" % front).body
    assert "\r\nX-Forwarded-For: 127.0.0.7\r\n" in head
    assert "\r\nX-Real-Ip: 127.0.0.7\r\n" in head
    until(lambda: re.search(r'^127\.0\.0\.7 .*"GET /request HTTP/1\.1" 200', balancer.out(), re.M),
          "the access line has the real client")
    # Without a header there is no connection.
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(100) == b""


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
def test_sni_from_haproxy_and_on_to_haproxy(lb, backend, curl, haproxy, version):
    front, port, back = free_port(), free_port(), free_port()
    one = backend("-name", "one")
    balancer = lb(listeners="127.0.0.1:%d;proto=tcp+sni;pxyproto=true" % port,
                  registry_backend="static",
                  registry_static_routes='route add web one.test/ tcp://127.0.0.1:%d '
                                         'opts "pxyproto=true"' % back).start()
    process = haproxy("""global
  log stderr format raw local0
listen front
  mode tcp
  bind 127.0.0.1:%d
  server s 127.0.0.1:%d %s
listen back
  mode tcp
  log global
  log-format "real client %%ci for %%si"
  bind 127.0.0.1:%d accept-proxy
  server s 127.0.0.1:%d
""" % (front, port, version, back, one.https_port), front)
    answer = curl("-k", "--interface", "127.0.0.7", "--resolve", "one.test:%d:127.0.0.1" % front,
                  "https://one.test:%d/" % front)
    assert answer.body == "this is one, version: v1.0.0\n"
    process.wait_for(r"real client 127\.0\.0\.7 for")
    until(lambda: re.search(r'^127\.0\.0\.7 .*"" 200', balancer.out(), re.M), "the access line")


def test_haproxys_health_checks_are_local(lb, backend, haproxy, curl):
    """check-send-proxy says LOCAL (v2): the connection is HAProxy's own."""
    front, port = free_port(), free_port()
    one = backend()
    balancer = lb(listeners="127.0.0.1:%d;proto=http;pxyproto=true" % port,
                  registry_backend="static",
                  registry_static_routes="route add web / " + one.http_url).start()
    haproxy("""listen l
  mode http
  bind 127.0.0.1:%d
  option httpchk GET /health
  server s 127.0.0.1:%d send-proxy-v2 check check-send-proxy inter 100ms
""" % (front, port), front)
    answered = r'^127\.0\.0\.1 .*"GET /health HTTP/1\.[01]" 200'
    until(lambda: re.search(answered, balancer.out(), re.M), "a check is answered")
    assert curl("http://127.0.0.1:%d/" % front).status == 200
