"""The registries of fabio beside Consul: static, file and custom."""

import http.server
import json
import threading

import pytest
from helpers.wait import stays, until


def add(service, host, backend, rest=""):
    return "route add %s %s/ %s%s" % (service, host, backend.http_url, rest)


def test_static_routes(lb, backend, curl):
    one = backend()
    balancer = lb(registry_backend="static",
                  registry_static_routes="# ours\n" + add("web", "mysite.com", one),
                  registry_static_noroutehtml="<h1>nothing here</h1>").start()
    assert curl(balancer.traffic, "-H", "Host: mysite.com").status == 200
    missing = curl(balancer.traffic, "-H", "Host: other.com")
    assert (missing.status, missing.body) == (404, "<h1>nothing here</h1>")
    assert missing.headers["content-type"] == "text/html; charset=utf-8"
    head = curl(balancer.traffic, "-H", "Host: other.com", "-I")
    assert head.headers["content-length"] == str(len("<h1>nothing here</h1>"))


def test_one_wrong_line_leaves_the_others_and_says_why(lb, backend, curl):
    one = backend()
    balancer = lb(registry_backend="static",
                  registry_static_routes="route add\n" + add("web", "mysite.com", one) +
                  "\nroute move everything").start()
    assert curl(balancer.traffic, "-H", "Host: mysite.com").status == 200
    rejected = balancer.get("/api/rejected")
    assert [r["tag"] for r in rejected] == ["route add", "route move everything"]
    assert all(r["reason"].startswith("line ") for r in rejected)


def test_a_file_is_read_again_when_it_changes_and_kept_while_it_is_gone(lb, backend, tmp_path):
    one = backend()
    file = tmp_path / "routes"
    file.write_text(add("web", "a.test", one))
    balancer = lb(registry_backend="file", registry_file_path=file).start()
    assert [r["host"] for r in balancer.routes()] == ["a.test"]
    file.write_text(add("web", "a.test", one) + "\n" + add("web", "b.test", one))
    balancer.wait_routes(2)
    file.unlink()
    balancer.process.wait_for(r"\[WARN\] .*routes.*stays")
    stays(lambda: len(balancer.routes()) == 2, "the routes stay", 1)
    file.write_text("")
    balancer.wait_routes(0)


def test_a_file_that_is_not_there_is_an_error(lb, tmp_path):
    balancer = lb(registry_backend="file", registry_file_path=tmp_path / "none").launch()
    assert balancer.process.wait() == 1
    assert "-registry.file.path" in balancer.err() and str(tmp_path / "none") in balancer.err()


class Custom:
    """A registry of somebody's own."""

    def __init__(self):
        self.answer = 200, "[]"
        self.paths = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.paths.append(self.path)
                status, text = outer.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *arguments):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.host = "localhost:%d" % self.server.server_port


@pytest.fixture
def custom():
    registry = Custom()
    yield registry
    registry.server.shutdown()
    registry.server.server_close()


def test_custom_routes(lb, backend, curl, custom):
    one = backend()
    item = {"cmd": "route add", "service": "web", "src": "mysite.com/x", "dst": one.http_url,
            "weight": 0.25, "tags": ["a", "b"], "opts": {"strip": "/x"}}
    custom.answer = 200, json.dumps([item, {"cmd": "route add", "service": "a b"}])
    balancer = lb(registry_backend="custom", registry_custom_host=custom.host,
                  registry_custom_scheme="http", registry_custom_path="routes/all",
                  registry_custom_queryparams="team=x", registry_custom_pollinterval="50ms").start()
    route = balancer.wait_routes(1)[0]
    assert (route["service"], route["src"], route["opts"], route["tags"]) == (
        "web", "mysite.com/x", "strip=/x", ["a", "b"])
    assert custom.paths[0] == "/routes/all?team=x"
    assert curl(balancer.traffic + "/x/echo", "-H", "Host: mysite.com").status == 200
    assert "item 1: " in balancer.get("/api/rejected")[0]["tag"]
    # Trouble changes nothing; a good answer does, down to none.
    for trouble in [(500, "[]"), (200, "{}"), (200, "no json")]:
        seen = len(custom.paths)
        custom.answer = trouble
        until(lambda: len(custom.paths) > seen + 2, "it is asked again")
        assert len(balancer.routes()) == 1
    custom.answer = 200, "[]"
    balancer.wait_routes(0)
