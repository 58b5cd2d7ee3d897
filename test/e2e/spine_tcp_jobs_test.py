"""The user's own TCP and SNI jobs, by raw_exec: only the driver's block and the port differ."""

import re
import subprocess

import pytest
from helpers import tree
from helpers.ports import free_port
from helpers.wait import until

GREETING = "this is httpsbackendservice, version: v1.0.0\n"


@pytest.fixture
def agent(make_agent):
    made = make_agent()
    made.tcp, made.sni = free_port(), free_port()
    made.flags = ["-proxy.addr=127.0.0.1:%d;proto=http,127.0.0.1:%d;proto=tcp,127.0.0.1:%d;"
                  "proto=tcp+sni" % (made.proxy_port, made.tcp, made.sni)]
    return made.start()


def run(agent, name, certificate_name):
    """The job file with a demo backend in place of the image."""
    text = (tree.examples / name).read_text()
    block = re.search(r'driver = "docker"\n *config \{.*?\n      \}\n', text, re.S).group(0)
    text = text.replace(block, """driver = "raw_exec"
      config {
        command = "%s"
        args = ["-http", "off", "-https", "${NOMAD_ADDR_https}", "-cert-name", "%s"]
      }
""" % (tree.backend, certificate_name)).replace("urlprefix-:9997", "urlprefix-:%d" % agent.tcp)
    path = agent.folder / name
    path.write_text(text)
    result = agent.verb("job", "run", "-detach", path)
    assert result.code == 0, result


def subject(port, name):
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-servername", name],
        input=b"", capture_output=True, timeout=20).stdout.decode(errors="replace")
    found = re.search(r"^subject=.*CN = (\S+)$", shown, re.M)
    return found and found.group(1)


def test_the_tcp_job(agent, curl):
    run(agent, "httpsbackend-tcp.nomad", "tcp.test")
    agent.wait_running("httpsbackend-tcp", 2)
    routes = agent.wait_routes(":%d" % agent.tcp, 2)
    assert all(r["dst"].startswith("tcp://") for r in routes)
    assert curl("-k", "https://127.0.0.1:%d/" % agent.tcp).body == GREETING
    until(lambda: re.search(r'^127\.0\.0\.1 .*"" 200 \d+$', agent.out(), re.M), "the access line")
    assert agent.verb("job", "stop", "-detach", "httpsbackend-tcp").code == 0
    agent.wait_routes(":%d" % agent.tcp, 0)


def test_both_sni_jobs_behind_one_listener(agent, curl):
    names = ("mysite-sni-1.com", "mysite-sni-2.com")
    for name, job in zip(names, ("httpsbackend-tcp-sni-1", "httpsbackend-tcp-sni-2")):
        run(agent, job + ".nomad", name)
        agent.wait_routes(name, 2)
    for name in names:
        answer = curl("-k", "--resolve", "%s:%d:127.0.0.1" % (name, agent.sni),
                      "https://%s:%d/" % (name, agent.sni))
        assert answer.body == GREETING
        assert subject(agent.sni, name) == name
    assert subject(agent.sni, "mysite-sni-3.com") is None
