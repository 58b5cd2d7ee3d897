"""Edges of HTTP/1 by real clients: odd methods, interim answers, HEAD, trailers, bodies that are
cut off."""

import http.server
import re
import socket
import subprocess
import threading
import time

import pytest

from helpers.wait import until

PART = 200_000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def reply(self, body, **headers):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path
        if path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", str(10 * PART))
            self.end_headers()
            self.wfile.write(b"x" * PART)
            self.close_connection = True
        elif path == "/cut-chunk":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n" % (2 * PART) + b"x" * PART)
            self.close_connection = True
        elif path == "/trailers":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Trailer", "X-Sum")
            self.end_headers()
            self.wfile.write(b"2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n")
        elif path == "/hints":
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
            self.reply(b"ok")
        elif path == "/slow":
            time.sleep(2)
            self.reply(b"ok")
        else:
            self.reply(b"%s %s" % (self.command.encode(), path.encode()))

    do_HEAD = do_BAN = do_PROPFIND = do_GET

    def do_POST(self):
        self.reply(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *args):
        pass


@pytest.fixture
def site(lb):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield lb(registry_backend="static", registry_static_routes="route add web / http://127.0.0.1:%d/"
             % server.server_address[1]).start()
    server.shutdown()
    server.server_close()


def raw(site, text):
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as client:
        client.sendall(text.encode())
        got = b""
        while piece := client.recv(65536):
            got += piece
        return got.decode()


def test_methods_of_every_kind(site, curl):
    for method in ("GET", "BAN", "PROPFIND", "X-OWN_METHOD"):
        answer = curl(site.traffic + "/p", "-X", method)
        if method == "X-OWN_METHOD":
            assert answer.status == 501  # the server does not know it
        else:
            assert (answer.status, answer.body) == (200, method + " /p")
    assert curl(site.traffic + "/p", "-X", "get").status == 400
    head = curl(site.traffic + "/p", "-I")
    assert (head.status, head.headers["content-length"]) == (200, "7")
    assert head.body.endswith("\r\n\r\n")  # curl -I writes the head there, and nothing follows


@pytest.mark.parametrize("path", ["/cut", "/cut-chunk"])
def test_a_download_that_is_cut_off_keeps_what_came(site, path):
    """curl says that part is missing (18), and has all that the upstream had sent."""
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", site.traffic + path],
                          capture_output=True, timeout=60)
    assert done.returncode == 18, done.stderr
    assert done.stdout == b"x" * PART


def test_interim_answers_expect_and_trailers(site, curl):
    request = "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    told = raw(site, request % "/hints")
    assert told.startswith("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert "103" not in raw(site, (request % "/hints").replace("1.1", "1.0"))
    assert raw(site, request % "/trailers").endswith("2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n")
    answer = curl(site.traffic + "/e", "-H", "Expect: 100-continue", "--expect100-timeout", "10",
                  "-d", "body")
    assert answer.body == "body"
    refused = raw(site, "POST / HTTP/1.1\r\nHost: a\r\nExpect: else\r\nContent-Length: 1\r\n\r\n")
    assert refused.startswith("HTTP/1.1 417 ")


def test_a_client_that_goes_away_is_499(site):
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: site.get("/api/explain?url=http://a/")["candidates"][0]["targets"][0][
            "outstanding"] == 1, "the request is under way")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: re.search(r'"GET /slow HTTP/1.1" 499 0$', site.out(), re.M), "the access line")
