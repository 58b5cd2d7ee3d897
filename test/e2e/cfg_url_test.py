"""`-cfg` may be a URL: read at the start and at SIGHUP, with limits to size and time."""

import http.server
import os
import signal
import ssl
import threading

import pytest

from helpers.certificates import Authority
from helpers.wait import until


class Site:
    """A web server whose answer is the test's to say."""

    def __init__(self, pair=None):
        self.answer = None  # function(handler)
        self.text = ""
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.path = self.path
                if outer.answer:
                    return outer.answer(self)
                self.send_response(200)
                self.send_header("Content-Length", str(len(outer.text)))
                self.end_headers()
                self.wfile.write(outer.text.encode())

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.name = "127.0.0.1:%d" % self.server.server_address[1]
        if pair:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.cert, pair.key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def site():
    made = []

    def make(pair=None):
        made.append(Site(pair))
        return made[-1]
    yield make
    for each in made:
        each.server.shutdown()
        each.server.server_close()


def start(lb, url, **options):
    return lb(cfg=url, registry_backend="static", log_level=None, **options)


def ends_with(balancer, message):
    balancer.launch()
    until(lambda: not balancer.process.running(), "it has ended", 20)
    assert message in balancer.err()


def test_a_url_is_read_at_the_start_and_again_at_sighup(lb, site, backend, curl):
    web = site()
    route = "registry.static.routes = route add web %s.com/ " + backend().http_url + "\n"
    web.text = route % "a"
    balancer = start(lb, "http://%s/x.properties?token=s3cret" % web.name).start()
    assert web.path == "/x.properties?token=s3cret"
    assert curl(balancer.traffic, "-H", "Host: a.com").status == 200
    web.text = route % "b"
    os.kill(balancer.process.pid, signal.SIGHUP)
    until(lambda: curl(balancer.traffic, "-H", "Host: b.com").status == 200, "the new route")
    # A server that fails, or says what is wrong, changes nothing.
    web.text = "proxy.nonsense = 1\n"
    os.kill(balancer.process.pid, signal.SIGHUP)
    balancer.process.wait_for(r"\[ERROR\] SIGHUP: http://%s/x.properties: unknown property "
                              r"proxy.nonsense; everything stays as it is" % web.name)
    web.server.shutdown()
    web.server.server_close()
    os.kill(balancer.process.pid, signal.SIGHUP)
    balancer.process.wait_for(r"\[ERROR\] SIGHUP: -cfg: http://%s/x.properties: .*refused.*; "
                              r"everything stays as it is" % web.name)
    assert curl(balancer.traffic, "-H", "Host: b.com").status == 200
    assert "s3cret" not in balancer.err()


def test_a_server_that_hangs_holds_up_nothing(lb, site, backend, curl):
    web = site()
    web.text = "registry.static.routes = route add web / " + backend().http_url + "\n"
    balancer = start(lb, "http://%s/" % web.name).start()
    asked, go_on = threading.Event(), threading.Event()

    def hang(handler):
        asked.set()
        go_on.wait(60)
    web.answer = hang
    os.kill(balancer.process.pid, signal.SIGHUP)
    assert asked.wait(10)
    assert balancer.call("GET", "/health") == (200, "OK\n")
    assert curl(balancer.traffic).status == 200
    balancer.process.wait_for(r"\[ERROR\] SIGHUP: -cfg: http://%s/: .*; everything stays as it is"
                              % web.name, timeout=20)
    go_on.set()


def test_https_and_its_authority(lb, site, tmp_path):
    authority = Authority(tmp_path / "ca")
    web = site(authority.issue(["127.0.0.1"]))
    web.text = "proxy.strategy = rr\n"
    url = "https://%s/" % web.name
    balancer = start(lb, url, env={"SSL_CERT_FILE": str(authority.file)}).start()
    assert balancer.get("/api/config")["proxy.strategy"] == "rr"
    ends_with(start(lb, url), "-cfg: %s: " % url)
    ends_with(start(lb, url, env={"SSL_CERT_FILE": "/does/not/exist"}),
              "SSL_CERT_FILE: open /does/not/exist: ")


def test_what_is_no_file_is_refused_with_the_reason(lb, site):
    web = site()
    url = "http://%s/" % web.name

    def say(status, **headers):
        def answer(handler):
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.end_headers()
        web.answer = answer
    say(404)
    ends_with(start(lb, url), "-cfg: %s answered 404" % url)
    say(302, Location="http://elsewhere/")
    ends_with(start(lb, url), "answered 302: redirects are not followed; name http://elsewhere/")
    say(200, **{"Content-Length": str(1 << 40)})
    ends_with(start(lb, url), "-cfg: %s: " % url)
    web.answer = None
    web.text = "#" * (16 << 20) + "\n"
    ends_with(start(lb, url), "%s has more than 16777216 bytes" % url)
    ends_with(start(lb, "http://127.0.0.1:99999/"), "port 99999 is not a port")
    ends_with(start(lb, "http:///x"), "the host is missing")
    ends_with(start(lb, "http://no-such-host.invalid/"), "host name no-such-host.invalid")
