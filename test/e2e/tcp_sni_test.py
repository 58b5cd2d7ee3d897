"""A proto=tcp+sni listener: TLS is routed by the name in the ClientHello and passes through."""

import re
import socket
import subprocess

import pytest
from helpers.ports import free_port
from helpers.wait import until


@pytest.fixture
def sni(lb, backend):
    """A balancer with two TLS services by name and one by wildcard; .names[name] is the backend."""
    port = free_port()
    names = {name: backend("-name", name, "-cert-name", name)
             for name in ("one.test", "two.test", "*.wild.test")}
    balancer = lb(
        listeners="127.0.0.1:%d;proto=tcp+sni" % port, registry_backend="static",
        registry_static_routes="\n".join(
            "route add %s %s/ tcp://127.0.0.1:%d" % (name.replace("*.", ""), name, b.https_port)
            for name, b in names.items())).start()
    balancer.port = port
    return balancer


def s_client(port, *arguments, data=b"GET / HTTP/1.0\r\n\r\n"):
    return subprocess.run(
        ["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-ign_eof", *arguments],
        input=data, capture_output=True, timeout=20)


def fetch(curl, port, name):
    return curl("-k", "--resolve", "%s:%d:127.0.0.1" % (name, port),
                "https://%s:%d/" % (name, port))


def test_each_name_reaches_its_own_service_and_certificate(sni, curl):
    for name in ("one.test", "two.test"):
        assert fetch(curl, sni.port, name).body == "this is %s, version: v1.0.0\n" % name
        shown = s_client(sni.port, "-servername", name).stdout.decode(errors="replace")
        assert "CN = " + name in shown


def test_wildcards_case_trailing_dot_and_old_versions(sni, curl):
    for name in ("a.wild.test", "deep.er.wild.test"):
        assert "this is *.wild.test" in fetch(curl, sni.port, name).body
    for name in ("ONE.Test", "one.test."):
        assert b"this is one.test" in s_client(sni.port, "-servername", name).stdout
    for version in ("-tls1_2", "-tls1_3"):
        assert b"this is two.test" in s_client(sni.port, version, "-servername", "two.test").stdout


def test_a_hello_of_many_records_and_segments(sni):
    # s_client cuts its records no smaller than 512; a long ALPN list makes the hello longer.
    protocols = ",".join("protocol-%04d" % i for i in range(300))
    done = s_client(sni.port, "-servername", "one.test", "-alpn", protocols,
                    "-split_send_frag", "512", "-max_send_frag", "512")
    assert b"this is one.test" in done.stdout


def test_unknown_names_and_none_are_closed_and_logged(sni):
    for arguments in (["-servername", "nobody.test"], ["-noservername"]):
        done = s_client(sni.port, *arguments)
        assert b"no peer certificate available" in done.stdout
    until(lambda: len(re.findall(r'"" 404 0$', sni.out(), re.M)) == 2, "two access lines")


def test_no_name_takes_the_route_of_the_port(sni, lb, backend):
    port = free_port()
    other = backend("-name", "default")
    balancer = lb(listeners="127.0.0.1:%d;proto=tcp+sni" % port, registry_backend="static",
                  registry_static_routes="route add d :%d tcp://127.0.0.1:%d"
                                         % (port, other.https_port))
    balancer.start()
    assert b"this is default" in s_client(port, "-noservername").stdout


def test_plain_text_is_closed_cleanly(sni):
    with socket.create_connection(("127.0.0.1", sni.port), timeout=5) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        assert client.recv(100) == b""
    until(lambda: re.search(r'"" 400 0$', sni.out(), re.M), "the access line")


def test_a_service_that_speaks_no_tls_gets_nothing(lb, backend, curl):
    port = free_port()
    plain = backend()
    balancer = lb(listeners="127.0.0.1:%d;proto=tcp+sni" % port, registry_backend="static",
                  registry_static_routes="route add web one.test/ " + plain.http_url).start()
    assert b"no peer certificate" in s_client(port, "-servername", "one.test").stdout
    assert "connections 1\n" in curl(plain.http_url + "stats").body  # curl's own
    until(lambda: re.search(r'"" 404 0$', balancer.out(), re.M), "the access line")
