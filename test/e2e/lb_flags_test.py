"""The balancer alone reads fabio's flags, environment and properties file."""

import socket
import subprocess

import pytest

from helpers import tree
from helpers.ports import free_port


def sluice(*arguments, env=None, timeout=20):
    return subprocess.run([str(tree.sluice), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, env=env)


def test_a_flag_wins_over_the_environment_and_that_over_the_file(lb, tmp_path):
    file = tmp_path / "sluice.properties"
    file.write_text("# fabio's own form\n"
                    "proxy.strategy = rr\nproxy.noroutestatus: 410\n"
                    "registry.static.routes = route add a a.test/ http://127.0.0.1:1/ \\\n"
                    "    weight 0.5\n"
                    "metrics.prometheus.path = /${which}\n")
    balancer = lb(cfg=file, registry_backend="static", proxy_noroutestatus=None,
                  env={"FABIO_PROXY_STRATEGY": "leastconn", "fabio_proxy_matcher": "iprefix",
                       "which": "numbers"})
    balancer.flags["proxy.matcher"] = "glob"
    balancer.start()
    config = balancer.get("/api/config")
    assert config["proxy.strategy"] == "leastconn"  # environment over file
    assert config["proxy.matcher"] == "glob"  # flag over environment
    assert config["proxy.noroutestatus"] == "410"  # file over default
    assert config["metrics.prometheus.path"] == "/numbers"
    assert balancer.get("/api/routes")[0]["weight"] == 1


def test_the_first_word_may_be_a_flag_of_fabio():
    port = free_port()
    done = sluice("-proxy.addr=127.0.0.1:%d" % port, "-registry.backend=nothing",
                  "-ui.addr=127.0.0.1:0")
    assert done.returncode == 1
    assert "-registry.backend nothing: want consul, static, file or custom" in done.stderr


def test_help_lists_what_is_there_and_what_is_not():
    done = sluice("lb", "--help")
    assert done.returncode == 0
    assert "  -proxy.addr\n" in done.stdout
    known, _, rest = done.stdout.partition("\nKnown, and without effect")
    without_effect, _, refused = rest.partition("\nKnown, and refused")
    assert "-registry.consul.addr" in known and "-runtime.gogc" not in known
    assert "-runtime.gogc" in without_effect
    assert "-bgp.enabled" in refused
    assert sluice("lb", "-version").stdout.startswith("sluice ")


def test_what_has_no_effect_is_a_warning_with_its_name(lb):
    balancer = lb(registry_backend="static", runtime_gogc=800).start()
    balancer.process.wait_for(r"\[WARN\] -runtime.gogc has no effect")


def test_what_is_not_there_is_refused_by_name():
    for flags, message in [
            (["-bgp.enabled=true"], "-bgp.enabled true: "),
            (["-proxy.addr=:1;proto=quic"], "quic is not a protocol"),
            (["-proxy.adr=:1"], "unknown flag -proxy.adr"),
            (["-proxy.shutdownwait=soon"], "-proxy.shutdownwait 'soon': want a duration"),
            (["-registry.consul.register.enabled=perhaps"], "want true or false"),
            (["-registry.consul.addr=https://127.0.0.1:1", "-ui.addr=127.0.0.1:0",
              "-proxy.addr=127.0.0.1:0", "-registry.consul.tls.cafile=/does/not/exist"],
             "-registry.consul.addr: TLS: open /does/not/exist: "),
            (["-registry.consul.addr=127.0.0.1:1", "-ui.addr=127.0.0.1:0",
              "-proxy.addr=127.0.0.1:0", "-registry.consul.tls.cafile=/does/not/exist"],
             "want https://127.0.0.1:1"),
            (["-cfg", "/does/not/exist"], "/does/not/exist")]:
        done = sluice("lb", *flags)
        assert done.returncode == 1 and message in done.stderr, (flags, done.stderr)


@pytest.mark.parametrize("status", [200, 599, 999])
def test_the_status_where_nothing_matches(lb, status):
    """Up to 999, as fabio takes them."""
    balancer = lb(registry_backend="static", proxy_noroutestatus=status).start()
    with socket.create_connection(("127.0.0.1", balancer.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: none.test\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").readline().split(b" ")[1] == b"%d" % status


@pytest.mark.parametrize("status", [199, 1000])
def test_a_status_that_is_none(status):
    done = sluice("lb", "-proxy.noroutestatus=%d" % status)
    assert done.returncode == 1
    assert "-proxy.noroutestatus %d: want 200 to 999" % status in done.stderr


def test_secrets_are_not_shown(lb):
    balancer = lb(registry_backend="static", registry_consul_token="s3cret-token").start()
    status, text = balancer.call("GET", "/api/config")
    assert status == 200 and "s3cret-token" not in text
    assert balancer.get("/api/config")["registry.consul.token"] == "(secret)"
    assert "s3cret-token" not in balancer.err()
