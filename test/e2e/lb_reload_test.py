"""SIGHUP: what may change at run time is read again; what is wrong leaves everything as it is."""

import os
import shutil
import signal

from helpers.certificates import Authority
from helpers.tls_site import Site
from helpers.wait import until


def hup(balancer):
    os.kill(balancer.process.pid, signal.SIGHUP)


def with_settings(lb, tmp_path, text, **flags):
    settings = tmp_path / "sluice.properties"
    settings.write_text(text)
    flags = {"registry_backend": "static", "log_level": None, **flags}
    return settings, lb(cfg=str(settings), **flags).start()


def test_routes_and_settings_change(lb, backend, curl, tmp_path):
    url = backend().http_url
    settings, balancer = with_settings(
        lb, tmp_path, "registry.static.routes = route add web a.com/ %s\n" % url)
    assert curl(balancer.traffic, "-H", "Host: b.com").status == 404
    settings.write_text("registry.static.routes = route add web b.com/ %s\n"
                        "log.level = TRACE\nproxy.shutdownwait = 3s\n" % url)
    hup(balancer)
    until(lambda: curl(balancer.traffic, "-H", "Host: b.com").status == 200, "the new route")
    assert curl(balancer.traffic, "-H", "Host: a.com").status == 404
    for name in ("registry.static.routes", "log.level", "proxy.shutdownwait"):
        assert "SIGHUP: %s has changed\n" % name in balancer.err()
    curl(balancer.traffic, "-H", "Host: b.com", "-H", "Trace: abc")
    until(lambda: "[TRACE] abc Tracing b.com/" in balancer.err(), "the new level")
    assert balancer.get("/api/config")["proxy.shutdownwait"] == "3s"


def test_what_only_a_new_process_can_change_is_named(lb, backend, curl, tmp_path):
    route = "registry.static.routes = route add web a.com/ %s\n" % backend().http_url
    settings, balancer = with_settings(lb, tmp_path, route)
    settings.write_text(route + "proxy.strategy = rr\nproxy.threads = 7\n")
    hup(balancer)
    for name in ("proxy.strategy", "proxy.threads"):
        balancer.process.wait_for(
            r"\[WARN\] SIGHUP: %s has changed: only a new process takes that$"
            % name)
    assert curl(balancer.traffic, "-H", "Host: a.com").status == 200


def test_bad_settings_change_nothing(lb, backend, curl, tmp_path):
    route = "registry.static.routes = route add web %s/ %s\n"
    url = backend().http_url
    settings, balancer = with_settings(lb, tmp_path, route % ("a.com", url))
    for bad, reason in (("proxy.shutdownwait = soon\n", "-proxy.shutdownwait 'soon': want a dur"),
                        ("proxy.nonsense = 1\n", "unknown property proxy.nonsense"),
                        ("log.level = LOUD\n", "-log.level LOUD: want TRACE, DEBUG")):
        settings.write_text(route % ("b.com", url) + bad)
        hup(balancer)
        balancer.process.wait_for(r"\[ERROR\] SIGHUP: .*%s.*; everything stays as it is$" % reason)
    settings.unlink()
    hup(balancer)
    balancer.process.wait_for(r"\[ERROR\] SIGHUP: -cfg: .*; everything stays as it is$")
    assert curl(balancer.traffic, "-H", "Host: a.com").status == 200
    assert curl(balancer.traffic, "-H", "Host: b.com").status == 404


def test_a_file_of_routes_that_is_gone_stays(lb, backend, curl, tmp_path):
    routes = tmp_path / "routes"
    routes.write_text("route add web a.com/ " + backend().http_url)
    balancer = lb(registry_backend="file", registry_file_path=str(routes)).start()
    routes.unlink()
    hup(balancer)
    balancer.process.wait_for(r"SIGHUP: .*routes.*; what it said before stays")
    assert curl(balancer.traffic, "-H", "Host: a.com").status == 200


def test_certificates_that_are_read_once_are_read_again(lb, backend, tmp_path):
    """refresh=0: nobody looks at the files without being told."""
    ca = Authority(tmp_path / "ca")
    folder = tmp_path / "certs"
    folder.mkdir()

    def put(name):
        pair = ca.issue([name])
        shutil.copy(pair.cert, folder / "a-cert.pem")
        shutil.copy(pair.key, folder / "a-key.pem")
    put("old.test")
    site = Site(lb, backend, "cs=main;type=path;cert=%s;refresh=0" % folder)
    site.lb.start()
    assert site.shown("x") == "old.test"
    put("new.test")
    hup(site.lb)
    site.until_shown("x", "new.test")
    (folder / "a-cert.pem").write_text("nothing")
    hup(site.lb)
    site.until_said("a-cert.pem is left out: no certificate in it")
    assert site.shown("x") == "new.test"


def test_an_agent_reads_its_log_level_and_certificates_again(agent):
    config = agent.config.read_text()
    quieter = config.replace('log_level         = "TRACE"',
                             'log_level = "DEBUG"\n  strategy = "rr"')
    assert quieter != config

    def reload(text):
        agent.config.write_text(text)
        os.kill(agent.process.pid, signal.SIGHUP)
    reload(quieter)
    agent.process.wait_for(r"SIGHUP: log.level has changed$")
    agent.process.wait_for(r"SIGHUP: proxy.strategy has changed: only a new process takes that$")
    reload(config + "nonsense = 1\n")
    agent.process.wait_for(r"\[ERROR\] SIGHUP: .*nonsense.*; everything stays as it is$")
    assert agent.process.running()
