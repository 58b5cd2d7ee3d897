"""The same routes, flags and requests to a real fabio and to sluice: both do the same. What sluice
does otherwise on purpose stands in a table of its own, with the reason; it must differ, so that a
reason that is no more is seen."""

import base64
import os
import re
import socket
import subprocess

import pytest
from helpers import fabio, tree
from helpers.balancer import Balancer
from helpers.fabio import Fabio, request, see
from helpers.mirror import Mirror
from helpers.wait import until


@pytest.fixture(scope="module")
def mirrors():
    made = Mirror("one"), Mirror("two")
    yield made
    for each in made:
        each.close()


@pytest.fixture
def pair(tmp_path):
    """pair(commands, **flags) -> a fabio and a sluice that are ready."""
    def start(commands, env=None, **flags):
        both = [kind(tmp_path / ("%s%d" % (kind.__name__, len(os.listdir(tmp_path)))), env=env,
                     registry_backend="static", registry_static_routes="\n".join(commands),
                     proxy_localip="10.9.8.7", **flags).launch() for kind in (Fabio, Balancer)]
        for each in both:  # launched together
            each.launch = lambda: None
            each.start()
        return both
    return start


def differences(both, requests):
    """What fabio and sluice do not do alike."""
    found = []
    for data in requests:
        theirs, ours = (see(each, data) for each in both)
        if not theirs.same(ours):
            found.append("%r\n  fabio  %r\n  sluice %r" % (data, theirs, ours))
    return found


def routes(one, two):
    def add(source, url, opts=""):
        return "route add svc %s %s%s" % (source, url, opts and ' opts "%s"' % opts)
    return [
        add("mysite.com/", one), add("mysite.com/foo", two), add("mysite.com/a/b", two),
        add("mysite.com/foo/bar", one, "strip=/foo"), add("mysite.com/S/", two, "strip=/S/"),
        add("mysite.com:9999/", two), add("port80.com:80/", two), add("port443.com:443/", two),
        add("dst.com/", one, "host=dst"), add("name.com/", one, "host=inner.local"),
        add("*.glob.com/", one), add("*.deep.glob.com/", two), add("exact.glob.com/", two),
        add("Upper.COM/CaSe", one), add("nopath.com", one), add("dead.com/", "http://127.0.0.1:1/"),
        add("scheme.com/", one, "proto=https"), add("dir.com/dir/", one), add("uni.com/\u00fc", one), add("base.com/", one + "base/"),
        add("/anyhost", two),
        add("r.com/a", "https://other.com/b", "redirect=301"),
        add("r.com/p", "https://other.com/b$path", "redirect=302"),
        add("r.com/q", "https://other.com/$path", "redirect=307"),
        add("r.com/h", "https://$host/x$path", "redirect=303"),
        add("r.com/s", "https://other.com/$path", "redirect=308 strip=/s"),
        add("r.com/t", "https://other.com/x?z=1", "redirect=301"),
        add("r.com/u", "https://other.com$path?z=1", "redirect=301"),
        add("r.com/v", "https://$host", "redirect=301"),
        add("*.loop.com/", "https://else.com/", "redirect=302"),
        add("a.loop.com/", "https://a.loop.com$path", "redirect=301"),
        add("ok.com/", one, "allow=ip:127.0.0.0/8"), add("no.com/", one, "allow=ip:10.0.0.0/8"),
        add("deny.com/", one, "deny=ip:127.0.0.1/32"), add("denyx.com/", one, "deny=ip:10.0.0.0/8"),
        add("in.com/", one, "auth=team"),
    ]


PATHS = ["/", "/foo", "/foobar", "/foo/", "/foo/bar", "/foo/barx", "/foo/bar/x?y=z", "/foo?x=1",
         "/Foo", "/S/", "/S/x", "/a/b", "/a%2Fc", "/a%20b", "/a+b", "/a%25", "/?", "/?a=b;c=d",
         "/?q=%zz", "/a;b=c", "/a%", "/~u", "/-._~", "/foo/%62ar", "/a:b@c!$&'()*,=", "/x?a/../b"]
HOSTS = ["mysite.com", "MySite.Com", "mysite.com:80", "mysite.com:443", "mysite.com:9999",
         "mysite.com:1234", "other", "a.glob.com", "a.b.glob.com", "x.deep.glob.com",
         "deep.glob.com", "exact.glob.com", "glob.com", "port80.com", "port80.com:80",
         "port443.com", "port443.com:443", "upper.com", "nopath.com", "127.0.0.1", "a b",
         "mysite.com/", "user@mysite.com", "dead.com"]
HEADERS = [["X-Forwarded-For: 1.2.3.4"], ["X-Real-Ip: 1.2.3.4"], ["X-Forwarded-Port: 81"],
           ["X-Forwarded-Host: outer"], ["X-Forwarded-Prefix: /f"], ["Connection: close"],
           ["Connection: X-Foo, close", "X-Foo: 1"], ["Connection: X-Forwarded-For"],
           ["User-Agent: me"], ["Accept-Encoding: gzip"], ["Accept-Encoding: identity"],
           ["Accept: text/event-stream"], ["Keep-Alive: 5"], ["Proxy-Connection: x"],
           ["X-Empty:"], ["x-lower: a", "X-LOWER: b"], ["Cookie: a=b", "Cookie: c=d"],
           ["Trace: abc"], ["Authorization: Basic Zm9v"], ["Range: bytes=0-1"],
           ["Expect: 100-continue"]]


def requests():
    yield from (request("mysite.com", path) for path in PATHS)
    for host in HOSTS:
        yield from (request(host, path) for path in ("/", "/x", "/CaSe/1", "/anyhost/x"))
    for path in ("/a", "/ax?q=1", "/p/x?q=1", "/p%2Fx", "/p/a%20b", "/q/x?q=1", "/h/z?u", "/s/z",
                 "/t?y=1", "/u/?y=1", "/v", "/v/w", "/zz"):
        yield request("r.com", path)
        yield request("r.com:80", path, "POST", body=b"hello")
        yield request("r.com", path, "HEAD")
    for path in ("/", "/x?y"):
        yield request("a.loop.com", path)
        yield request("a.loop.com", path, headers=["X-Forwarded-Proto: https"])
    for host in ("ok.com", "no.com", "deny.com", "denyx.com"):
        yield request(host)
        for seen in ("10.1.1.1", "127.0.0.1", "1.1.1.1, 10.1.1.1"):
            yield request(host, headers=["X-Forwarded-For: " + seen])
    for path in ("/dir", "/dir/", "/dir/x"):
        yield request("dir.com", path)
    yield from (request("uni.com", "/%C3%BC/x"), request("base.com", "/x"), request("scheme.com"))
    yield from (b"GET /anyhost HTTP/1.0\r\n\r\n",
                b"GET /anyhost/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "FOO"):
        body = b"abc" if method.startswith("P") else b""
        yield request("mysite.com", "/x", method, body=body)
    yield from (request("mysite.com", "/x", headers=each) for each in HEADERS)
    yield request("mysite.com", "/c", "POST",
                  ["Transfer-Encoding: chunked"]) + b"3\r\nabc\r\n0\r\n\r\n"
    yield request("other", "http://mysite.com/abs?x")
    yield from (request(None), b"GARBAGE\r\n\r\n", request("a\r\nHost: b"))
    for pair in (None, "ann:apple", "ann:pear", "bob:apple"):
        token = pair and base64.b64encode(pair.encode()).decode()
        yield request("in.com", headers=["Authorization: Basic " + token] if pair else [])


# What is sent, what fabio and sluice answer, and why that is right.
RESOLVED = "what is matched is what is sent: empty and dot segments are resolved first"
ON_PURPOSE = [
    (request("mysite.com", "/a//b"), 200, 200, RESOLVED),
    (request("mysite.com", "/x/../foo"), 200, 200, RESOLVED),
    (request("mysite.com", "/../x"), 200, 400, RESOLVED + "; above the root is nothing"),
    (request("mysite.com", "/%2e%2e/x"), 200, 400, RESOLVED + "; above the root is nothing"),
    (request("mysite.com", "/foo%2Fbar"), 200, 200,
     "an encoded slash separates no segments (RFC 3986 2.2): not the route /foo/bar"),
    (request("mysite.com", "/%41"), 200, 200, "sent in its normal form (RFC 3986 6.2.2.2)"),
    (request("mysite.com", "/a|b"), 200, 200, "bytes that need no change go on as they came"),
    (request("mysite.com", "/x#frag"), 200, 400, "a fragment is never sent (RFC 9110 4.1)"),
    (request("mysite.com", "/\u00e9"), 200, 400, "a byte that no URI may have (RFC 3986 2)"),
    (request("mysite.com."), 404, 200, "the root's dot names the same host"),
    (request("mysite.com:"), 404, 200, "an empty port is the default one (RFC 9110 4.2.1)"),
    (request(".glob.com"), 200, 400, "a host name has no empty label"),
    (request("", "/anyhost"), 200, 200, "an empty Host goes on as it came"),
    (request("[::1]", "/anyhost"), 200, 200, "X-Forwarded-Port is no part of an IPv6 literal"),
    (request("a,b"), 404, 400, "no host name"),
    (request("dst.com"), 200, 200, "X-Forwarded-Host is the client's, not the one sent upstream"),
    (request("mysite.com", "/x", "CONNECT"), 200, 400, "CONNECT has no path (RFC 9110 9.3.6)"),
    (request("mysite.com", "*"), 404, 400, "* is for OPTIONS (RFC 9112 3.2.4)"),
    (request("mysite.com", version="1.2"), 200, 505, "there is no HTTP/1.2"),
    (request("ok.com", headers=["X-Forwarded-For: junk"]), 200, 403,
     "every element of X-Forwarded-For must pass, and this one cannot"),
    (request("mysite.com", headers=["Forwarded: for=1.1.1.1; proto=https"]), 200, 200,
     "an element of our own is appended, that of others is not continued (RFC 7239 4)"),
    (request("mysite.com", headers=["X-Forwarded-Proto: https"]), 200, 200,
     "our element of Forwarded says how the request came here (RFC 7239 5.4)"),
    (request("mysite.com", headers=["Te: trailers"]), 200, 200, "TE is for one hop"),
    (request("mysite.com", headers=["Proxy-Authorization: x"]), 200, 200,
     "may be relayed (RFC 9110 11.7.2)"),
    (request("mysite.com", headers=["Upgrade: h2c", "Connection: Upgrade"]), 200, 200,
     "Upgrade is for one hop, but for websockets"),
    (request("mysite.com", headers=["User-Agent:"]), 200, 200, "an empty header is one"),
    (request("mysite.com", headers=["Content-Length: 0"]), 200, 200, "as the client sent it"),
    (request("a.loop.com", "/", headers=["Forwarded: proto=https"]), 301, 302,
     "a believed peer may say https by Forwarded as well"),
]


def test_requests(pair, mirrors, tmp_path):
    users = tmp_path / "users"
    users.write_text("ann:" + subprocess.run(
        ["openssl", "passwd", "-apr1", "apple"], capture_output=True, text=True,
        check=True).stdout)
    both = pair(routes(*(m.url for m in mirrors)),
                proxy_auth="name=team;type=basic;file=%s" % users)
    all_of_them = list(requests())
    assert len(all_of_them) > 200
    assert not differences(both, all_of_them), "\n".join(differences(both, all_of_them))
    for data, by_fabio, by_sluice, reason in ON_PURPOSE:
        theirs, ours = (see(each, data) for each in both)
        assert (theirs.status, ours.status) == (by_fabio, by_sluice), (data, reason)
        assert not theirs.same(ours), "no more a difference: %r (%s)" % (data, reason)


@pytest.mark.parametrize("matcher", ["prefix", "iprefix", "glob"])
def test_matchers(pair, mirrors, matcher):
    one, two = (m.url for m in mirrors)
    both = pair(["route add a m.com/foo " + one, "route add b m.com/Bar/* " + two,
                 "route add b m.com/*/end " + two, "route add d m.com/[ab]c " + one,
                 "route add d m.com/{p,q}/* " + one, "route add e m.com/foo/* " + two,
                 "route add root g.com/ " + one], proxy_matcher=matcher)
    paths = ["/", "/foo", "/FOO", "/foobar", "/foo/bar", "/Foo/Bar", "/Bar/", "/bar/x",
             "/Bar/x/y", "/a/end", "/a/b/end", "/ac", "/cc", "/p/1", "/q/", "/r/1", "/foo/*"]
    asked = [request(host, path) for path in paths for host in ("m.com", "g.com")]
    assert not differences(both, asked)


def test_a_websocket(pair, mirrors):
    both = pair(["route add w w.com/ " + mirrors[0].url])
    for each in both:
        with socket.create_connection(("127.0.0.1", each.port), timeout=10) as s:
            s.sendall(request("w.com", "/ws", headers=[
                "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: eA=="]))
            file = s.makefile("rb")
            assert b" 101 " in file.readline()
            while file.readline() != b"\r\n":
                pass
            s.sendall(b"there and back\n")
            assert file.readline() == b"there and back\n"


FIELDS = ["remote_host", "request", "request_args", "request_method", "request_scheme",
          "request_host", "request_uri", "request_url", "request_proto", "response_status",
          "upstream_addr", "upstream_host", "upstream_port", "upstream_service",
          "upstream_request_scheme", "upstream_request_uri", "upstream_request_url",
          "header.X-Foo", "header.user-agent"]
TIMES = {"remote_addr": r"127\.0\.0\.1:\d+", "remote_port": r"\d+",
         "response_time_ms": r"0\.\d{3}", "response_time_us": r"0\.\d{6}",
         "response_time_ns": r"0\.\d{9}", "time_rfc3339": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
         "time_rfc3339_ms": r"[0-9T:-]{19}\.\d{3}Z", "time_rfc3339_us": r"[0-9T:-]{19}\.\d{6}Z",
         "time_rfc3339_ns": r"[0-9T:-]{19}\.\d{9}Z", "time_unix_ms": r"\d{13}",
         "time_unix_us": r"\d{16}", "time_unix_ns": r"\d{19}",
         "time_common": r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000"}
COMMON = r'127\.0\.0\.1 - - \[%s\] "GET /a\?b=c HTTP/1\.1" 200 \d+' % TIMES["time_common"]


def lines_of(both, data):
    """What each has in its access log after the request."""
    for each in both:
        fabio.send(each.port, data)
    return [until(lambda: each.out().splitlines(), "a line is there") for each in both]


@pytest.mark.parametrize("name, pattern", [
    ("|".join("$" + f for f in FIELDS), None),
    ("|".join("$" + f for f in TIMES), r"\|".join(TIMES.values())),
    ("common", COMMON), ("combined", COMMON + ' "" "ua/1"')])
def test_access_log(pair, mirrors, name, pattern):
    both = pair(["route add web a.com/ " + mirrors[0].url], log_access_format=name)
    data = request("a.com", "/a?b=c", headers=["X-Foo: it's", "User-Agent: ua/1"])
    theirs, ours = lines_of(both, data)
    assert len(theirs) == len(ours) == 1
    if pattern:
        assert re.fullmatch(pattern, theirs[0]) and re.fullmatch(pattern, ours[0]), (theirs, ours)
    else:
        assert theirs == ours


def test_settings_by_environment_and_file(pair, tmp_path):
    file = tmp_path / "fabio.properties"
    file.write_text("proxy.noroutestatus = 451\nproxy.strategy = rr\n"
                    "registry.static.noroutehtml = <p>${where}</p>\n")
    both = pair(["route add web a.com/ http://127.0.0.1:1/"], cfg=file,
                env={"FABIO_PROXY_NOROUTESTATUS": "410", "where": "here"})
    for each in both:
        answer = see(each, request("none.com"))
        assert (answer.status, answer.body) == (410, "<p>here</p>"), each


@pytest.mark.parametrize("flags", [
    ["-proxy.noroutestatus=99"], ["-proxy.noroutestatus=1000"], ["-proxy.strategy=foo"],
    ["-proxy.matcher=foo"], ["-ui.access=x"], ["-registry.backend=nope"],
    ["-proxy.addr=:1;proto=x"], ["-proxy.cs=x"], ["-proxy.auth=x"],
    ["-proxy.gzip.contenttype=["], ["-cfg=/does/not/exist"],
    ["-log.access.target=stdout", "-log.access.format=$nope"],
    ["-log.access.target=/x"], ["-no.such.flag=1"]])
def test_what_is_refused(flags):
    codes = [subprocess.run([*map(str, program), "-proxy.addr=127.0.0.1:0",
                             "-ui.addr=127.0.0.1:0", "-registry.backend=static",
                             "-registry.static.routes=route add a a.com/ http://127.0.0.1:1/",
                             *flags],
                            capture_output=True, timeout=20).returncode
             for program in ([fabio.binary(), "-insecure"], [tree.sluice, "lb"])]
    assert codes[0] != 0 and codes[1] == 1, codes


@pytest.mark.parametrize("flag", ["-v", "-version", "--version"])
def test_the_version(flag):
    for program in ([fabio.binary()], [tree.sluice, "lb"]):
        done = subprocess.run([*map(str, program), flag], capture_output=True, text=True)
        assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, "")
