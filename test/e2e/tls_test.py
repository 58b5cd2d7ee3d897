"""TLS on both sides: an https listener before plain and TLS upstreams, against curl and openssl."""

import pytest

from helpers import jobs, ports
from helpers.agent import Agent
from helpers.certificates import Authority

UPSTREAM = "urlprefix-%s/ proto=https tlsskipverify=true"


def tls_service(name, tags):
    """A demo backend whose port speaks TLS with a certificate that nobody signed."""
    text = jobs.http(name, tags=tags)
    text = text.replace('"-http", "${NOMAD_ADDR_http}", "-https", "off"',
                        '"-https", "${NOMAD_ADDR_http}", "-http", "off"')
    return text.replace('type     = "http"\n          path     = "/health"', 'type     = "tcp"')


class Site:
    def __init__(self, folder):
        self.ca = Authority(folder / "ca")
        self.pair = self.ca.issue(["mysite.com", "*.mysite.com"])
        self.port = ports.free_port()
        self.agent = Agent(folder / "agent", flags=[
            "-proxy.addr", "127.0.0.1:%d,127.0.0.1:%d;cs=main" % (ports.free_port(), self.port),
            "-proxy.cs", "cs=main;type=file;cert=%s;key=%s" % (self.pair.cert, self.pair.key)])

    def run(self, name, text):
        # A port of our own choice: that of another agent's task on this machine may be the same.
        text = text.replace('port "http" {}', 'port "http" {\n static = %d\n}' % ports.free_port())
        path = self.agent.folder / (name + ".nomad")
        path.write_text(text)
        result = self.agent.verb("job", "run", "-detach", path)
        assert result.code == 0, result

    def url(self, host, path="/"):
        return "https://%s:%d%s" % (host, self.port, path)

    def reach(self, host):
        return ["--cacert", self.ca.file, "--resolve", "%s:%d:127.0.0.1" % (host, self.port)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("tls"))
    made.agent.start()
    made.run("plain", jobs.http("plain", tags=["urlprefix-mysite.com:%d/" % made.port]))
    made.run("sealed", tls_service("sealed", [UPSTREAM % ("tls.mysite.com:%d" % made.port)]))
    made.agent.wait_routes("mysite.com:%d" % made.port, 1)
    made.agent.wait_routes("tls.mysite.com:%d" % made.port, 1)
    yield made
    made.agent.clean_up()


def test_https_to_a_plain_upstream(site, curl):
    answer = curl(site.url("mysite.com"), *site.reach("mysite.com"))
    assert (answer.status, answer.body) == (200, "this is httpbackendservice, version: v1.0.0\n")


def test_https_to_an_https_upstream(site, curl):
    answer = curl(site.url("tls.mysite.com"), *site.reach("tls.mysite.com"))
    assert (answer.status, answer.body) == (200, "this is httpsbackendservice, version: v1.0.0\n")
