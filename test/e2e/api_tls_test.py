"""TLS of the jobs API: by whom it is trusted, who may call, and that all of it works over it."""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import urllib.request

import pytest
from helpers import jobs
from helpers.certificates import Authority
from helpers.wait import until


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


class Secured:
    """An agent whose API speaks TLS, and its command line."""

    def __init__(self, make_agent, authority, names=("127.0.0.1", "localhost", "jobs.test"),
                 more="", dev=True):
        self.authority, self.pair = authority, authority.issue(names)
        self.agent = make_agent(dev=dev, config="""
tls {
  http      = true
  cert_file = "%s"
  key_file  = "%s"
  ca_file   = "%s"
  %s
}
""" % (self.pair.cert, self.pair.key, authority.file, more))
        self.agent.api = self.agent.api.replace("http:", "https:")
        self.agent.launch()
        self.agent.process.wait_for("jobs API on https://127.0.0.1:%d" % self.agent.api_port)

    def verb(self, *words, ca=True):
        return self.agent.verb(*words, *(["-ca-cert", self.authority.file] if ca else []))

    def curl(self, *words):
        return subprocess.run(
            ["curl", "-sS", "-m", "10", *map(str, words)], capture_output=True, text=True)


@pytest.fixture
def secured(make_agent, authority):
    one = Secured(make_agent, authority)
    yield one
    one.agent.stop()  # the fixture's own cleaning speaks no TLS


def test_the_command_line(secured, monkeypatch):
    path = secured.agent.folder / "job.nomad"
    path.write_text(jobs.batch("count", ["-lines", "3", "-exit", "0"]))
    ran = secured.verb("job", "run", path)
    assert ran.code == 0 and "finished with status" in ran.out, ran
    status = until(lambda: (lambda s: s if "complete" in s.out else None)(
        secured.verb("job", "status", "count")), "it completes")
    alloc = status.out.split("Allocations\n")[1].splitlines()[1].split()[0]
    assert secured.verb("alloc", "logs", "-f", alloc).out == "line 1\nline 2\nline 3\n"
    wrong = secured.verb("job", "status", ca=False)
    assert wrong.code == 1 and "no TLS" in wrong.err, wrong
    assert secured.verb("job", "status", "-tls-skip-verify", ca=False).code == 0
    monkeypatch.setenv("NOMAD_CACERT", str(secured.authority.file))
    assert secured.verb("job", "status", ca=False).code == 0
    assert secured.verb("job", "status", "-tls-server-name", "jobs.test", ca=False).code == 0
    other = secured.verb("job", "status", "-tls-server-name", "other.test", ca=False)
    assert other.code == 1 and "no TLS" in other.err, other


def test_a_command_in_a_task(secured, monkeypatch):
    path = secured.agent.folder / "job.nomad"
    path.write_text(jobs.http(group=jobs.AT_ONCE))
    assert secured.verb("job", "run", path).code == 0
    monkeypatch.setenv("NOMAD_CACERT", str(secured.authority.file))
    ran = secured.verb("alloc", "exec", "-job", "shop", "/bin/sh", "-c", "echo here; exit 7",
                       ca=False)
    assert (ran.code, ran.out) == (7, "here\n"), ran
    assert secured.verb("job", "stop", "-purge", "shop").code == 0
    until(lambda: not secured.agent.task_pids(), "nothing runs")


def test_other_clients(secured):
    agent = secured.agent
    names = "https://jobs.test:%d/v1/status/leader" % agent.api_port
    to = ["--cacert", secured.authority.file,
          "--resolve", "jobs.test:%d:127.0.0.1" % agent.api_port]
    assert secured.curl(*to, names).stdout.startswith('"127.0.0.1:')
    # A name that the certificate does not have is none of ours.
    other = secured.curl("-k", "-H", "Host: evil.test", agent.api + "/v1/jobs")
    assert "Host evil.test is not one of this agent's" in other.stdout
    plain = secured.curl(agent.api.replace("https:", "http:") + "/v1/jobs")
    assert plain.returncode != 0 and "[]" not in plain.stdout
    # One that says nothing hinders nobody.
    with socket.create_connection(("127.0.0.1", agent.api_port)):
        context = ssl.create_default_context(cafile=secured.authority.file)
        with urllib.request.urlopen(agent.api + "/v1/jobs", context=context, timeout=10) as answer:
            assert json.loads(answer.read()) == []
    # A blocking query is answered by a change that another connection makes.
    assert secured.curl("-k", agent.api + "/v1/jobs?index=1&wait=200ms").stdout == "[]"


def test_clients_certificates(make_agent, authority):
    one = Secured(make_agent, authority, more="verify_https_client = true")
    own = authority.issue(["client"])
    assert one.verb("job", "status").code == 1
    assert one.verb("job", "status", "-client-cert", own.cert, "-client-key", own.key).code == 0
    stranger = Authority(authority.folder / "other").issue(["client"])
    assert one.verb("job", "status", "-client-cert", stranger.cert,
                    "-client-key", stranger.key).code == 1
    one.agent.stop()


def test_over_a_replaced_binary(make_agent, authority, line):
    one = Secured(make_agent, authority, dev=False)
    processes = line(one.agent)
    for _ in range(2):
        processes.upgrade()
        assert one.verb("job", "status").out == "No running jobs\n"
    processes.end()


@pytest.mark.parametrize("lines, refusal", [
    ("http = true", "tls: http = true needs cert_file and key_file"),
    ('verify_https_client = true\n  ca_file = "x"', "tls: verify_https_client needs http = true"),
    ('http = true\n  cert_file = "/none.pem"\n  key_file = "/none.key"', "/none.pem"),
    ('http = true\n  rpc = true', '"rpc"')])
def test_what_cannot_be(make_agent, lines, refusal):
    agent = make_agent(config="tls {\n  %s\n}\n" % lines).launch()
    assert agent.process.wait(10) == 1
    assert refusal in agent.err()


def served(agent, authority):
    """The serial number that a new connection is shown; the connection stays open."""
    context = ssl.create_default_context(cafile=authority.file)
    connection = http.client.HTTPSConnection("127.0.0.1", agent.api_port, context=context,
                                             timeout=10)
    connection.connect()
    return connection, connection.sock.getpeercert()["serialNumber"]


def asked(connection, path="/v1/jobs"):
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_a_new_certificate_with_sighup(make_agent, authority):
    one = Secured(make_agent, authority)
    agent, pair = one.agent, one.pair
    old, first = served(agent, authority)
    assert asked(old) == (200, [])

    def again(said):
        seen = len(re.findall(said, agent.err()))
        os.kill(agent.process.pid, signal.SIGHUP)
        until(lambda: len(re.findall(said, agent.err())) > seen, said)

    new = authority.issue(["127.0.0.1", "renewed.test"])
    shutil.copy(new.cert, pair.cert)
    # The key is still the old one's.
    again("ERROR.*SIGHUP: tls: %s: .*; the jobs API keeps the certificate" % pair.cert)
    assert served(agent, authority)[1] == first
    shutil.copy(new.key, pair.key)
    again("certificates were read again")
    renewed, second = served(agent, authority)
    assert second != first
    assert one.verb("job", "status").code == 0
    assert asked(renewed) == (200, [])
    assert asked(old) == (200, [])  # on the certificate that it came with
    # Its names are the Host headers that may come.
    for name, code in (("renewed.test", "200"), ("jobs.test", "403")):
        assert one.curl("-k", "-o", agent.folder / "body", "-w", "%{http_code}", "-H",
                        "Host: " + name, agent.api + "/v1/jobs").stdout == code
    pathlib.Path(pair.key).unlink()
    again("ERROR.*SIGHUP: tls: key_file.*; the jobs API keeps the certificate")
    assert served(agent, authority)[1] == second
    agent.stop()


def test_clients_certificates_asked_for_with_sighup(make_agent, authority):
    """A ticket from before lets nobody in."""
    one = Secured(make_agent, authority)
    context = ssl.create_default_context(cafile=authority.file)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # the ticket comes with the handshake

    def connect(session=None):
        plain = socket.create_connection(("127.0.0.1", one.agent.api_port), 10)
        return context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
    with connect() as before:
        ticket = before.session
    with connect(ticket) as resumed:
        assert resumed.session_reused
    text = one.agent.config.read_text()
    one.agent.config.write_text(text.replace("http      = true",
                                             "http      = true\n  verify_https_client = true"))
    os.kill(one.agent.process.pid, signal.SIGHUP)
    until(lambda: "certificates were read again" in one.agent.err(), "it has read them")
    with pytest.raises(OSError):
        with connect(ticket) as late:
            late.sendall(b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert late.recv(100) == b""
            raise OSError("closed")
    own = authority.issue(["client"])
    assert one.verb("job", "status", "-client-cert", own.cert, "-client-key", own.key).code == 0
    one.agent.stop()
