"""What a request and a response gain and lose on their way, by fabio's flags, against curl."""

import re

import pytest

from helpers import ports
from helpers.certificates import Authority


@pytest.fixture
def site(lb, backend, tmp_path):
    """A balancer with a plain and a TLS listener before one demo backend."""
    one = backend()

    class Site:
        def start(self, **flags):
            self.ca = Authority(tmp_path / "ca")
            pair = self.ca.issue(["mysite.com"])
            self.tls_port = ports.free_port()
            port = ports.free_port()
            self.plain = "http://127.0.0.1:%d" % port
            self.balancer = lb(
                listeners="127.0.0.1:%d,127.0.0.1:%d;cs=main" % (port, self.tls_port),
                proxy_cs="cs=main;type=file;cert=%s;key=%s" % (pair.cert, pair.key),
                registry_backend="static",
                registry_static_routes="route add web mysite.com/ " + one.http_url, **flags).start()
            return self

        def over_tls(self, curl, path, *args):
            return curl("https://mysite.com:%d%s" % (self.tls_port, path), "--cacert",
                        self.ca.file, "--resolve", "mysite.com:%d:127.0.0.1" % self.tls_port,
                        "-H", "Host: mysite.com", *args)
    return Site()


def headers(text):
    return {n.lower(): v for n, v in re.findall(r"^([^:\r\n]+): ?(.*?)\r?$", text, re.M)}


def test_a_plain_request(site, curl):
    site.start(proxy_localip="10.9.8.7")
    got = headers(curl(site.plain + "/request", "-H", "Host: mysite.com").body)
    assert got["x-forwarded-for"] == got["x-real-ip"] == "127.0.0.1"
    assert got["x-forwarded-proto"] == "http"
    assert got["x-forwarded-port"] == "80"
    assert got["x-forwarded-host"] == "mysite.com"
    assert got["forwarded"] == "for=127.0.0.1; proto=http; by=10.9.8.7; httpproto=http/1.1"
    assert got["via"] == "1.1 sluice"


def test_the_headers_that_flags_name(site, curl):
    site.start(proxy_header_clientip="X-Client", proxy_header_tls="X-Secure",
               proxy_header_tls_value="very", proxy_header_requestid="X-Request-Id",
               proxy_header_sts_maxage="300", proxy_header_sts_subdomains="true",
               proxy_header_sts_preload="true")
    claims = ["-H", "X-Client: 1.1.1.1", "-H", "X-Secure: very", "-H", "X-Request-Id: mine"]
    answer = curl(site.plain + "/request", "-H", "Host: mysite.com", *claims)
    got = headers(answer.body)
    assert got["x-client"] == "127.0.0.1"
    assert "x-secure" not in got
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", got["x-request-id"])
    assert "strict-transport-security" not in answer.headers
    answer = site.over_tls(curl, "/request", *claims)
    got = headers(answer.body)
    assert got["x-secure"] == "very"
    assert got["x-forwarded-proto"] == "https"
    assert got["x-forwarded-port"] == "443"
    assert re.search(r"; tlsver=tls13; tlscipher=0x[0-9a-f]{4}$", got["forwarded"])
    sts = "max-age=300; includeSubdomains; preload"
    assert answer.headers["strict-transport-security"] == sts
    # Of our own answers too.
    other = curl("https://mysite.com:%d/" % site.tls_port, "-k", "-H", "Host: other.com",
                 "--resolve", "mysite.com:%d:127.0.0.1" % site.tls_port)
    assert other.status == 404 and other.headers["strict-transport-security"] == sts


@pytest.mark.parametrize("trusted, believed", [(None, True), ("none", False),
                                               ("10.0.0.0/8", False), ("127.0.0.1", True)])
def test_who_is_believed(site, curl, trusted, believed):
    site.start(**({"proxy_trusted": trusted} if trusted else {}))
    got = headers(curl(site.plain + "/request", "-H", "Host: mysite.com", "-H",
                       "X-Forwarded-For: 8.8.8.8", "-H", "X-Forwarded-Proto: https", "-H",
                       "X-Forwarded-Ssl: on", "-H", "X_Forwarded_For: 8.8.8.8").body)
    assert got["x-forwarded-for"] == ("8.8.8.8, 127.0.0.1" if believed else "127.0.0.1")
    assert got["x-forwarded-proto"] == ("https" if believed else "http")
    assert ("x-forwarded-ssl" in got) == believed
    assert ("x_forwarded_for" in got) == believed


@pytest.mark.parametrize("flag, value, word", [
    ("proxy_trusted", "10.0.0.0/40", "10.0.0.0/40"), ("proxy_header_clientip", "X Y", "X Y"),
    ("proxy_header_requestid", "Host", "Host"), ("proxy_gzip_contenttype", "(", "regular"),
    ("proxy_auth", "name=a;type=ldap;file=/x", "ldap"),
    ("proxy_auth", "name=a;type=basic;file=/no/such/file", "/no/such/file"),
    ("proxy_limit_iprate", "fast", "fast")])
def test_what_is_wrong_is_told_by_name(lb, flag, value, word):
    balancer = lb(registry_backend="static", **{flag: value}).launch()
    assert balancer.process.wait(20) != 0
    assert flag.replace("_", ".") in balancer.err() and word in balancer.err()


def test_hop_by_hop_headers_stay_on_their_hop(site, curl):
    site.start()
    got = headers(curl(site.plain + "/request", "-H", "Host: mysite.com", "-H",
                       "Connection: X-Mine, keep-alive", "-H", "X-Mine: 1", "-H", "TE: trailers",
                       "-H", "Keep-Alive: 5", "-H", "X-Other: 2").body)
    assert "x-mine" not in got and "te" not in got and "keep-alive" not in got
    assert got["x-other"] == "2"


def test_a_body_over_the_limit(site, curl):
    site.start(proxy_maxbodysize="1000")
    url = site.plain + "/upload"
    assert curl(url, "-H", "Host: mysite.com", "-d", "a" * 1000).body == "1000\n"
    assert curl(url, "-H", "Host: mysite.com", "-d", "a" * 1001).status == 413
    assert curl(url, "-H", "Host: mysite.com", "-H", "Transfer-Encoding: chunked", "-d",
                "a" * 1001).status == 413


def test_gzip_by_content_type(site, curl):
    site.start(proxy_gzip_contenttype="^text/plain(;.*)?$")
    plain = curl(site.plain + "/size/100000", "-H", "Host: mysite.com")
    small = curl(site.plain + "/size/100000", "-H", "Host: mysite.com", "--compressed")
    assert "content-encoding" not in plain.headers
    if "text/plain" in plain.headers.get("content-type", ""):
        assert small.headers["content-encoding"] == "gzip"
        assert small.headers["vary"] == "Accept-Encoding"
        assert small.info["size_download"] < 100000
    assert small.raw == plain.raw and len(plain.raw) == 100000
