"""A proto=https listener, and a proto=tcp one that ends TLS, against curl and openssl s_client."""

import re
import subprocess

import pytest
from helpers.certificates import Authority
from helpers.curl import CurlFailed
from helpers.ports import free_port

NAME = "mysite.com"


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.site = made.issue([NAME, "*.mysite.com"])
    made.other = made.issue(["other.com"], rsa=True)
    return made


class Site:
    """A balancer with one TLS listener before one demo backend."""

    def __init__(self, lb, ca, backend, stores, options=""):
        self.port, self.ca = free_port(), ca
        self.upstream = backend()
        self.lb = lb(listeners="127.0.0.1:%d;%s" % (self.port, options), proxy_cs=stores,
                     registry_backend="static",
                     registry_static_routes="route add web / " + self.upstream.http_url).start()

    def url(self, path="/", name=NAME):
        return "https://%s:%d%s" % (name, self.port, path)

    def reach(self, name=NAME):
        return ["--cacert", self.ca.file, "--resolve", "%s:%d:127.0.0.1" % (name, self.port)]

    def s_client(self, *arguments, data=b"GET / HTTP/1.0\r\n\r\n", name=NAME):
        named = ["-servername", name] if name else ["-noservername"]
        return subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.port, *named, "-CAfile",
             self.ca.file, "-ign_eof", *map(str, arguments)],
            input=data, capture_output=True, timeout=30)


def file_store(pair, name="main", more=""):
    return "cs=%s;type=file;cert=%s;key=%s%s" % (name, pair.cert, pair.key, more)


@pytest.fixture
def site(lb, ca, backend):
    return Site(lb, ca, backend, file_store(ca.site), "cs=main")


def test_requests_of_both_versions_are_answered_and_logged(site, curl):
    for version in ("1.2", "1.3"):
        answer = curl("--tlsv" + version, "--tls-max", version, site.url("/request"), *site.reach())
        assert answer.status == 200
        assert "X-Forwarded-Proto: https" in answer.body
        assert "Host: %s:%d" % (NAME, site.port) in answer.body
    curl.until(lambda: site.lb.out().count('"GET /request HTTP/1.1" 200') == 2, "both are logged")


def test_a_connection_serves_many_requests(site, curl):
    url = site.url("/status/[201-220]")
    shown = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", *map(str, site.reach()), "-o", "/dev/null", "-w",
         "%{http_code} %{num_connects}\\n", url], capture_output=True, text=True, timeout=30).stdout
    assert shown.split("\n")[:-1] == ["%d %d" % (n, n == 201) for n in range(201, 221)]


def test_alpn(site):
    shown = site.s_client("-alpn", "h2,http/1.1").stdout
    assert b"ALPN protocol: http/1.1" in shown and b"200 OK" in shown
    assert b"No ALPN negotiated" in site.s_client().stdout
    refused = site.s_client("-alpn", "h2")
    assert b"no application protocol" in refused.stderr


def test_versions_and_ciphers_by_the_listeners_options(lb, ca, backend):
    default = Site(lb, ca, backend, file_store(ca.site), "cs=main")
    old = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    assert b"protocol version" in default.s_client(*old).stderr
    site = Site(lb, ca, backend, file_store(ca.site),
                'cs=main;tlsmin=tls10;tlsmax=tls12;tlsciphers="0xc009,0xc00a"')
    assert b"200 OK" in site.s_client(*old).stdout
    shown = site.s_client().stdout
    assert b"New, TLSv1" in shown and b"Cipher is ECDHE-ECDSA-AES128-SHA" in shown
    assert b"protocol version" in site.s_client("-tls1_3").stderr


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_resume(site, tmp_path, version):
    ticket = tmp_path / "session"
    first = site.s_client(version, "-sess_out", ticket)
    assert b"200 OK" in first.stdout and b"\nReused" not in first.stdout
    again = site.s_client(version, "-sess_in", ticket)
    assert b"200 OK" in again.stdout and b"\nReused, TLS" in again.stdout
    if version == "-tls1_2":
        shown = site.s_client(version, "-reconnect").stdout
        assert (shown.count(b"\nNew, TLS"), shown.count(b"\nReused, TLS")) == (1, 5)


def test_client_certificates(lb, ca, backend, curl, tmp_path):
    clients, strangers = Authority(tmp_path / "clients"), Authority(tmp_path / "strangers")
    ours, theirs = clients.issue(["client"]), strangers.issue(["client"])
    expired = clients.issue(["client"], days=-1)
    site = Site(lb, ca, backend, file_store(ca.site, more=";clientca=%s" % clients.file), "cs=main")

    def fetch(pair, version):
        with_pair = ["--cert", pair.cert, "--key", pair.key] if pair else []
        return curl("--tlsv" + version, "--tls-max", version, *with_pair, *site.reach(), site.url())

    for version in ("1.2", "1.3"):
        assert fetch(ours, version).status == 200
        for pair in (None, theirs, expired):
            with pytest.raises(CurlFailed):
                fetch(pair, version)
    # A session of its own resumes; one without a certificate never began.
    ticket = tmp_path / "session"
    shown = ["-cert", ours.cert, "-key", ours.key]
    site.s_client(*shown, "-sess_out", ticket)
    assert b"\nReused, TLS" in site.s_client("-sess_in", ticket).stdout
    # Two by curl, two by s_client, and this one.
    assert "requests 5\n" in curl(site.upstream.http_url + "stats").body


def test_the_certificate_is_chosen_by_name(lb, ca, backend, curl):
    stores = file_store(ca.site) + "," + file_store(ca.other, "rsa")
    site = Site(lb, ca, backend, stores, "cs=main+rsa")
    for name, subject in ((NAME, NAME), ("a.mysite.com", NAME), ("other.com", "other.com"),
                          ("unknown.com", NAME), (None, NAME)):
        shown = site.s_client(name=name).stdout.decode()
        assert re.search(r"^subject=CN = (\S+)$", shown, re.M).group(1) == subject, name
    assert curl(site.url(name="other.com"), *site.reach("other.com")).status == 200
    strict = Site(lb, ca, backend, stores, "cs=rsa+main;strictmatch=true")
    assert b"200 OK" in strict.s_client(name="b.mysite.com").stdout
    for name in ("unknown.com", None):
        assert b"unrecognized name" in strict.s_client(name=name).stderr


def test_large_bodies_both_ways_and_a_slow_reader(site, curl, tmp_path):
    size = 50_000_000
    down = curl(site.url("/size/%d" % size), *site.reach())
    assert (down.status, len(down.raw)) == (200, size)
    body = tmp_path / "body"
    body.write_bytes(bytes(range(256)) * (size // 256))
    up = curl("-T", body, site.url("/upload"), *site.reach())
    assert up.body == "%d\n" % (size // 256 * 256)
    echo = curl("-T", body, "-H", "Transfer-Encoding: chunked", site.url("/echo"), *site.reach())
    assert echo.raw == body.read_bytes()
    slow = curl("--limit-rate", "2M", site.url("/size/6000000"), *site.reach())
    assert len(slow.raw) == 6_000_000


def test_plain_http_is_told_that_tls_is_spoken_here(site, curl):
    answer = curl("http://127.0.0.1:%d/" % site.port)
    assert (answer.status, answer.body) == (400, "400 Bad Request: HTTP was sent, not HTTPS\n")
    assert curl(site.url(), *site.reach()).status == 200


def test_tcp_ends_tls_before_a_plain_service(lb, ca, backend, curl):
    port, upstream = free_port(), backend()
    lb(listeners="127.0.0.1:%d;proto=tcp;cs=main" % port, proxy_cs=file_store(ca.site),
       registry_backend="static",
       registry_static_routes="route add t :%d tcp://127.0.0.1:%d" % (port, upstream.http_port)
       ).start()
    answer = curl("--cacert", ca.file, "--resolve", "%s:%d:127.0.0.1" % (NAME, port),
                  "https://%s:%d/size/3000000" % (NAME, port))
    assert (answer.status, len(answer.raw)) == (200, 3_000_000)


def test_https_tcp_sni_passes_tcp_on_and_ends_the_rest(lb, ca, backend, curl):
    port, upstream = free_port(), backend("-name", "sealed", "-cert-name", "sealed.test")
    lb(listeners="127.0.0.1:%d;proto=https+tcp+sni;cs=main" % port, proxy_cs=file_store(ca.site),
       registry_backend="static", registry_static_routes="\n".join([
           "route add raw sealed.test/ tcp://127.0.0.1:%d" % upstream.https_port,
           "route add web %s:%d/ %s" % (NAME, port, upstream.http_url)])).start()

    def fetch(name, *more):
        return curl("--resolve", "%s:%d:127.0.0.1" % (name, port), *more,
                    "https://%s:%d/request" % (name, port)).body
    assert "X-Forwarded" not in fetch("sealed.test", "-k")
    assert "X-Forwarded-Proto: https" in fetch(NAME, "--cacert", ca.file)
