"""The embedded catalog's DNS, asked with dig, beside a real Consul's with the same services."""

import re
import socket
import subprocess

import pytest

from helpers import catalog_job, consul as consul_helper
from helpers.curl import Curl
from helpers.wait import until


class Reply:
    """What dig shows: status, flags, and the records of each section, without ids and times."""

    def __init__(self, text):
        self.text = text
        self.status = re.search(r"status: (\w+)", text).group(1)
        self.flags = re.search(r"flags: ([a-z ]*);", text).group(1).split()
        self.size = int(re.search(r"MSG SIZE +rcvd: (\d+)", text).group(1))
        self.sections = {name: [] for name in ("ANSWER", "AUTHORITY", "ADDITIONAL")}
        now = None
        for line in text.splitlines():
            if header := re.match(r";; (\w+) SECTION:", line):
                now = self.sections.get(header.group(1))
            elif line and not line.startswith(";") and now is not None:
                owner, _ttl, _in, kind, data = line.split(None, 4)
                if kind == "SOA":
                    data = re.sub(r"consul\. \d+ ", "consul. SERIAL ", data)
                now.append((owner, kind, data))

    @property
    def answer(self):
        return self.sections["ANSWER"]

    def ports(self):
        return sorted(int(data.split()[2]) for _, kind, data in self.answer if kind == "SRV")

    def shape(self):
        """What two servers must have in common: their tasks have other ports."""
        sections = {}
        for name, records in self.sections.items():
            sections[name] = sorted({(owner, kind, re.sub(r"^1 1 \d+ ", "1 1 PORT ", data))
                                     for owner, kind, data in records})
        return self.status, self.flags, sections


def dig(port, *args):
    out = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=5", *args],
                         capture_output=True, text=True, timeout=30)
    assert out.returncode == 0, out.stdout + out.stderr
    return Reply(out.stdout)


@pytest.fixture(scope="module")
def pair(tmp_path_factory, consul_binary):
    """(the embedded catalog's agent, the DNS port of a Consul with the same job)."""
    from helpers.agent import Agent
    folder = tmp_path_factory.mktemp("dns")
    consul = consul_helper.Consul(
        folder / "consul", flags=["-hcl", "dns_config { enable_truncate = true }"]).start()
    name = 'name = "node-a"\n'
    embedded = Agent(folder / "a", config=name).start()
    other = Agent(folder / "b",
                  config=name + 'consul {\n address = "%s"\n}\n' % consul.address).start()
    for agent in (embedded, other):
        agent.run(catalog_job.text(), flags=["-detach"])
    curl = Curl()
    for base in (embedded.catalog, "http://" + consul.address):
        until(lambda: len(curl(base + "/v1/health/service/shop?passing").json()) == 2
              and curl(base + "/v1/health/state/warning").json(), "the checks have answered")
    yield embedded, consul.dns_port
    embedded.clean_up()
    other.clean_up()
    consul.stop()


QUESTIONS = """
SRV  shop.service.consul
SRV  shop.service.dc1.consul
SRV  a.shop.service.consul
SRV  _shop._a.service.consul
SRV  _shop._Blue.consul
SRV  _shop._tcp.service.dc1.consul
A    shop.service.consul
A    SHOP.Service.Consul
A    blue.shop.service.dc1.consul
AAAA shop.service.consul
TXT  shop.service.consul
ANY  shop.service.consul
MX   shop.service.consul
A    no.shop.service.consul
SRV  no.shop.service.consul
A    sick.service.consul
SRV  sick.service.consul
A    dull.service.consul
SRV  dull.service.consul
A    bare.service.consul
A    nope.service.consul
A    consul.service.consul
SRV  consul.service.dc1.consul
A    shop.service.dc9.consul
A    shop.service.a.b.consul
A    node-a.node.consul
A    node-a.node.dc1.consul
TXT  node-a.node.consul
ANY  node-a.node.consul
A    other.node.consul
A    7f000001.addr.dc1.consul
ANY  7f000001.addr.consul
A    zz000001.addr.consul
AAAA 00000000000000000000000000000001.addr.dc1.consul
SOA  consul
NS   consul
A    consul
A    service.consul
PTR  1.0.0.127.in-addr.arpa
A    1.0.0.127.in-addr.arpa
ANY  1.0.0.127.IN-ADDR.arpa
SOA  1.0.0.127.in-addr.arpa
PTR  shop.service.consul
PTR  1.0.0.127.in-addr.arpa.consul
"""


@pytest.mark.parametrize("how", ["+notcp", "+tcp"])
@pytest.mark.parametrize("question", QUESTIONS.strip().splitlines())
def test_the_same_answer_as_a_real_consul(pair, question, how):
    embedded, consul_port = pair
    kind, name = question.split()
    ours = dig(embedded.dns_port, "-t", kind, name, how)
    theirs = dig(consul_port, "-t", kind, name, how)
    assert ours.shape() == theirs.shape()


def test_other_zones_are_refused(pair):
    embedded, consul_port = pair
    for args in (["example.com"], ["-t", "NS", "."], ["-c", "CH", "-t", "TXT", "version.bind"]):
        ours, theirs = dig(embedded.dns_port, *args), dig(consul_port, *args)
        assert (ours.status, ours.flags) == (theirs.status, theirs.flags) == ("REFUSED", ["qr", "rd"])
        assert ours.answer == []


def test_addresses_that_nobody_has(pair):
    """Consul would ask others (and says that it does), and fails where it knows none."""
    embedded, consul_port = pair
    for name in ("9.8.9.10.in-addr.arpa", "0.127.in-addr.arpa", "x.0.0.127.in-addr.arpa", "arpa",
                 "1.0.0.127.ip6.arpa", "1." + "0." * 31 + "ip6.arpa"):
        ours, theirs = dig(embedded.dns_port, "-t", "PTR", name), dig(consul_port, "-t", "PTR", name)
        assert (ours.status, ours.answer) == (theirs.status, theirs.answer) == ("SERVFAIL", [])
        assert ours.flags == ["qr", "rd"]


def test_srv_names_the_ports_that_answer(pair, curl):
    embedded, _ = pair
    entries = curl(embedded.catalog + "/v1/health/service/shop?passing").json()
    reply = dig(embedded.dns_port, "-t", "SRV", "shop.service.dc1.consul")
    assert reply.ports() == sorted(e["Service"]["Port"] for e in entries)
    for _, _, data in reply.answer:
        port, target = data.split()[2:]
        (_, _, address), = dig(embedded.dns_port, target).answer
        assert curl("http://%s:%s/health" % (address, port)).body == "ok\n"


def test_an_instance_that_turns_bad_is_left_out_at_once(pair, curl):
    embedded, _ = pair
    port = dig(embedded.dns_port, "-t", "SRV", "shop.service.consul").ports()[0]
    curl("http://127.0.0.1:%d/health/fail" % port)

    def gone():
        ports = dig(embedded.dns_port, "-t", "SRV", "shop.service.consul").ports()
        return len(ports) == 1 and port not in ports
    until(gone, "DNS leaves it out")
    curl("http://127.0.0.1:%d/health/pass" % port)
    until(lambda: len(dig(embedded.dns_port, "-t", "SRV", "shop.service.consul").ports()) == 2,
          "DNS has it again")


def test_truncation_and_the_way_out(make_agent):
    """More instances than a small reply holds: TC, and dig asks again by TCP."""
    agent = make_agent().start()
    agent.run(catalog_job.text(count=20), flags=["-detach"])
    until(lambda: len(dig(agent.dns_port, "-t", "SRV", "shop.service.consul").answer) == 20,
          "20 are passing", 60)

    def ask(*args):
        return dig(agent.dns_port, "-t", "SRV", "shop.service.consul", *args)
    small = ask("+noedns", "+ignore")
    assert "tc" in small.flags and small.size <= 512
    assert 5 < len(small.answer) < 20
    whole = ask("+noedns")  # dig's own way: again by TCP
    assert "Truncated, retrying in TCP mode" in whole.text
    assert "tc" not in whole.flags and len(whole.answer) == 20
    assert len(set(whole.ports())) == 20
    assert len(ask("+bufsize=600", "+ignore").answer) > len(small.answer)
    large = ask("+bufsize=4096", "+ignore")
    assert "tc" not in large.flags and len(large.answer) == 20
    # In another order each time.
    orders = {tuple(data for _, _, data in ask().answer) for _ in range(10)}
    assert len(orders) > 5


def test_nonsense_is_survived(agent):
    udp = socket.socket(type=socket.SOCK_DGRAM)
    udp.settimeout(10)
    at = ("127.0.0.1", agent.dns_port)
    good = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x06consul\0\0\x06\0\x01"
    for nonsense in (b"", b"x", b"\0" * 11, good[:2] + b"\x81" + good[3:], b"\xff" * 5000):
        udp.sendto(nonsense, at)
    udp.sendto(good[:-1], at)
    reply = udp.recv(4096)  # the first that is answered at all
    assert reply[:2] == good[:2] and reply[3] & 15 == 1  # FORMERR
    udp.sendto(good, at)
    reply = udp.recv(4096)
    assert reply[3] & 15 == 0 and reply[6:8] == b"\0\1"
    assert dig(agent.dns_port, "-t", "SOA", "consul").status == "NOERROR"
    assert agent.process.running()


def test_the_usual_port_that_is_taken(make_agent):
    first = make_agent("first", catalog="").start()
    second = make_agent("second", catalog="").start()
    took = "catalog's DNS (zone consul) on 127.0.0.1:8600" in first.err()
    assert took or re.search(r"127.0.0.1:8600.*: no DNS for the catalog", first.err())
    if took:
        assert dig(8600, "-t", "SOA", "consul").status == "NOERROR"
    said = re.findall(r"WARN.*127.0.0.1:8600: Address already in use: no DNS", second.err())
    assert len(said) == 1


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_named_port_that_is_taken_ends_the_agent(make_agent, free_port, kind):
    port = free_port()
    with socket.socket(type=kind) as taken:
        taken.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        agent = make_agent(flags=["-catalog-dns-addr", "127.0.0.1:%d" % port]).launch()
        assert agent.process.wait(10) == 1
    assert re.search(r"catalog dns_addr: .*127.0.0.1:%d.*: Address already in use" % port,
                     agent.err())
