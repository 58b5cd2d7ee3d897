"""SIGTERM: /health fails first, traffic goes on for a while, then what is under way ends; a second
one waits for nothing."""

import contextlib
import socket
import time

from helpers.wait import until


def routes_to(backend):
    return "route add web mysite.com/ " + backend.http_url


def test_health_fails_first_and_traffic_goes_on(lb, backend, curl):
    balancer = lb(registry_backend="static", registry_static_routes=routes_to(backend()),
                  proxy_deregistergraceperiod="4s").start()
    balancer.process.terminate()
    until(lambda: balancer.call("GET", "/health") == (503, "stopping\n"), "/health fails")
    # Connections are still taken and served, old and new.
    for _ in range(5):
        assert curl(balancer.traffic, "-H", "Host: mysite.com").status == 200
    assert balancer.process.running()
    assert balancer.process.wait() == 0


def test_a_request_under_way_ends_and_says_close(lb, backend, curl):
    balancer = lb(registry_backend="static", registry_static_routes=routes_to(backend())).start()
    slow = curl.start(balancer.traffic + "/sleep/1000", "-H", "Host: mysite.com")
    until(lambda: has_client(balancer.port), "the request is under way")
    balancer.process.terminate()
    answer = slow.result()
    assert answer.status == 200 and answer.headers["connection"] == "close"
    assert balancer.process.wait() == 0


def has_client(port):
    with open("/proc/net/tcp") as table:
        return any(line.split()[1].endswith(":%04X" % port) and line.split()[3] == "01"
                   for line in table.readlines()[1:])


@contextlib.contextmanager
def half_a_request(balancer):
    """It is under way, and does not end."""
    with socket.create_connection(("127.0.0.1", balancer.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: mysite.com\r\nContent-Length: 10\r\n\r\nhalf")
        until(lambda: has_client(balancer.port), "the request is under way")
        yield


def test_what_does_not_end_is_cut_at_the_limit(lb, backend):
    balancer = lb(registry_backend="static", registry_static_routes=routes_to(backend()),
                  proxy_shutdownwait="500ms").start()
    with half_a_request(balancer):
        begun = time.monotonic()
        balancer.process.terminate()
        assert balancer.process.wait() == 0
        assert 0.4 < time.monotonic() - begun < 5
    assert "not drained after 500 ms" in balancer.err()


def test_a_second_signal_ends_it_at_once(lb, backend):
    balancer = lb(registry_backend="static", registry_static_routes=routes_to(backend()),
                  proxy_shutdownwait="60s").start()
    with half_a_request(balancer):
        balancer.process.terminate()
        balancer.process.wait_for("SIGTERM: stopping")
        balancer.process.terminate()
        assert balancer.process.wait() == 1
    assert "SIGTERM again: ending at once" in balancer.err()
