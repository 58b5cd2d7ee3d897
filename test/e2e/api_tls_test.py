"""TLS of the jobs API: by whom it is trusted, who may call, and that all of it works over it."""

import json
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
