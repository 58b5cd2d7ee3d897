"""Certificate stores behind a network: http, consul and vault."""

import http.server
import ssl
import threading

import pytest
from helpers.certificates import Authority
from helpers.tls_site import Site
from helpers.vault import Vault
from helpers.wait import until

REFRESH = "refresh=100ms"
KEEPS = "what it gave before stays"


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


class Files:
    """An HTTP server with files by path; `asked` are the headers of the last request."""

    def __init__(self, tls=None, port=0):
        self.files, self.asked, files = {}, {}, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                files.asked = dict(self.headers)
                body = files.files.get(self.path)
                self.send_response(404 if body is None else 200)
                # Python's server ends TLS without close_notify: the length says what is whole.
                self.send_header("Content-Length", str(len(body or "")))
                self.end_headers()
                self.wfile.write((body or "").encode())

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def server_tls(ca, names):
    pair = ca.issue(names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


def test_http_lists_fetches_and_keeps_what_it_gave(lb, backend, ca):
    one, two = ca.issue(["one.test"]), ca.issue(["two.test"])
    server = Files()
    server.files = {"/certs/list": "one.pem\n/two-cert.pem\r\ntwo-key.pem\ngone.pem\n",
                    "/certs/one.pem": one.pem(), "/certs/two-cert.pem": two.cert.read_text(),
                    "/certs/two-key.pem": two.key.read_text()}
    port = server.port
    site = Site(lb, backend, 'cs=main;type=http;cert=http://localhost:%d/certs/list;%s;'
                'hdr="Authorization: Basic abc"' % (port, REFRESH))
    site.lb.start()
    site.until_shown("two.test", "two.test")
    assert site.shown("other") == "one.test"
    assert server.asked["Authorization"] == "Basic abc"
    assert server.asked["Host"] == "localhost:%d" % port
    assert site.lb.err().count("gone.pem is left out: /certs/gone.pem answered 404") == 1
    server.close()
    site.until_said(KEEPS)
    assert site.shown("two.test") == "two.test"
    again = Files(port=port)
    three = ca.issue(["three.test"])
    again.files = {"/certs/list": "three.pem", "/certs/three.pem": three.pem()}
    site.until_shown("two.test", "three.test")
    again.files = {"/certs/list": ""}
    site.until_said("it holds no good certificate")
    assert site.shown("x") == "three.test"
    again.close()


def test_https_is_judged_by_the_upstreams_authorities(lb, backend, ca):
    pair = ca.issue(["one.test"])
    server = Files(server_tls(ca, ["localhost"]))
    server.files = {"/list": "one.pem", "/one.pem": pair.pem()}
    stores = "cs=main;type=http;cert=https://localhost:%d/list;%s" % (server.port, REFRESH)
    site = Site(lb, backend, stores, proxy_upstream_ca=str(ca.file))
    site.lb.start()
    site.until_shown("x", "one.test")
    stranger = Site(lb, backend, stores)
    stranger.lb.start()
    stranger.until_said("no TLS: unable to get local issuer certificate")
    assert stranger.shown("x") is None
    by_address = Site(lb, backend, stores.replace("localhost", "127.0.0.1"),
                      proxy_upstream_ca=str(ca.file))
    by_address.lb.start()
    by_address.until_said("no TLS: IP address mismatch")
    server.close()


def test_a_store_with_client_authorities_shows_nothing_before_they_are_there(lb, backend, ca):
    pair = ca.issue(["one.test"])
    server = Files()
    server.files = {"/list": "one.pem", "/one.pem": pair.pem(), "/ca/list": ""}
    site = Site(lb, backend, "cs=main;type=http;cert=http://127.0.0.1:%d/list;clientca="
                "http://127.0.0.1:%d/ca/list;%s" % (server.port, server.port, REFRESH))
    site.lb.start()
    site.until_said("no certificate in it")
    assert site.shown("x") is None
    server.files.update({"/ca/list": "ca.pem", "/ca/ca.pem": ca.file.read_text()})
    client = ca.issue(["client"])
    until(lambda: site.shown("x", "-cert", client.cert, "-key", client.key) == "one.test",
          "the certificate is shown")
    server.close()


def test_consul_is_followed(lb, backend, ca, consul):
    one, two = ca.issue(["one.test"]), ca.issue(["two.test"])

    def put(name, file):
        consul.put("/v1/kv/certs/" + name, file.read_bytes())
    put("one-cert.pem", one.cert)
    put("one-key.pem", one.key)
    site = Site(lb, backend, "cs=main;type=consul;cert=http://%s/v1/kv/certs?token=abc"
                % consul.address)
    site.lb.start()
    site.until_shown("x", "one.test")
    put("two-key.pem", two.key)
    put("two-cert.pem", two.cert)
    until(lambda: site.shown("two.test") == "two.test", "the change is live", 3)
    # Nothing there any more, and then no Consul: neither is an order.
    consul.call("DELETE", "/v1/kv/certs?recurse")
    site.until_said(KEEPS)
    assert site.shown("two.test") == "two.test"
    consul.stop()
    until(lambda: site.lb.err().count(KEEPS) == 2, "the outage is told")
    assert site.shown("one.test") == "one.test"
    assert "abc" not in site.lb.err()


@pytest.mark.parametrize("version", [1, 2])
def test_vault(lb, backend, ca, version):
    vault = Vault(version)
    vault.put("certs/one", ca.issue(["one.test"]))
    vault.secrets["certs/broken"] = {"cert": "nothing", "key": "nothing"}
    vault.secrets["clients/ours"] = {"cert": ca.file.read_text()}
    client = ca.issue(["client"])
    shown = ["-cert", client.cert, "-key", client.key]
    site = Site(lb, backend, "cs=main;type=vault;cert=secret/certs;clientca=secret/clients;" +
                REFRESH, env={"VAULT_ADDR": "http://127.0.0.1:%d" % vault.port,
                              "VAULT_TOKEN": "root"})
    site.lb.start()
    until(lambda: site.shown("x", *shown) == "one.test", "Vault's certificate is shown")
    assert "broken-cert.pem is left out: no certificate in it" in site.lb.err()
    vault.put("certs/two", ca.issue(["two.test"]))
    until(lambda: site.shown("two.test", *shown) == "two.test", "the new one too")
    vault.status = 503
    site.until_said(KEEPS)
    assert site.shown("two.test", *shown) == "two.test"
    vault.close()


def test_vaults_token_is_unwrapped_renewed_and_read_again(lb, backend, ca, tmp_path):
    vault = Vault(2, token="inner", tls=server_tls(ca, ["127.0.0.1"]))
    vault.wraps, vault.ttl = {"outer": "inner"}, 2
    vault.put("certs/one", ca.issue(["one.test"]))
    token = tmp_path / "token"
    token.write_text("outer\n")
    site = Site(lb, backend, "cs=main;type=vault;cert=secret/data/certs;vaultfetchtoken=file:%s;%s"
                % (token, REFRESH),
                env={"VAULT_ADDR": "https://127.0.0.1:%d" % vault.port,
                     "VAULT_CACERT": str(ca.file)})
    site.lb.start()
    site.until_shown("x", "one.test")
    until(lambda: 3600 in vault.renewals, "the token is renewed")
    vault.token = "next"
    site.until_said("answered 403")
    token.write_text("next")
    vault.put("certs/one", ca.issue(["after.test"]))
    site.until_shown("x", "after.test")
    vault.close()


def test_what_cannot_be_asked_is_refused_at_the_start(lb, backend):
    for stores, reason in (
            ("cs=main;type=http;cert=ftp://x/", "does not begin with http:// or https://"),
            ("cs=main;type=http;cert=http://x/;hdr=none", "hdr= wants"),
            ("cs=main;type=http;cert=http://:80/", "the host is missing"),
            ("cs=main;type=consul;cert=http://127.0.0.1:8500/certs",
             "wants http://host:port/v1/kv/"),
            ("cs=main;type=vault;cert=secret/x", "type=vault wants VAULT_ADDR"),
            ("cs=main;type=vault;cert=x;vaultfetchtoken=abc", "neither env:NAME nor file:PATH")):
        site = Site(lb, backend, stores, env={"VAULT_ADDR": ""})
        process = site.lb.launch().process
        assert process.wait() == 1, stores
        assert reason in process.err(), process.err()
