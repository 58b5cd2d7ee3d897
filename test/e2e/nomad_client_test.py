"""Nomad's own client library (Go) drives the agent through every call that it has, part by part."""

import os
import subprocess

import pytest

from helpers import go_tool

PARTS = ["agent", "jobs", "lists", "versions", "allocations", "files", "nodes", "canary", "manual",
         "batch", "failures", "search", "stream", "exec", "scaling", "newer"]


NEWEST_GO = (1, 26)  # what the newest library asks for


@pytest.fixture(scope="session", params=["2022", "newest"])
def client(request):
    """The library that Debian's Go builds, and where a newer Go is there the newest."""
    if request.param == "2022":
        return go_tool.build("nomad_client")
    go = go_tool.newer_go(NEWEST_GO)
    if not go:
        pytest.skip("no Go %d.%d or newer on PATH for the newest client library" % NEWEST_GO)
    return go_tool.build("nomad_client", "newest", go)


def drive(client, agent, part, token=""):
    out = subprocess.run([client, "-addr", agent.api, part], capture_output=True, text=True,
                         timeout=180, env={**os.environ, "NOMAD_TOKEN": token})
    assert out.returncode == 0, out.stdout[-4000:] + out.stderr[-2000:]
    assert "all calls answered" in out.stdout


@pytest.mark.parametrize("part", PARTS)
def test_calls(client, agent, part):
    drive(client, agent, part)


def test_access_tokens(client, make_agent):
    agent = make_agent(config="acl {\n  enabled = true\n}\n")
    agent.launch()
    agent.process.wait_for("jobs API on")
    drive(client, agent, "acl")
    agent.stop()


def test_the_first_token_s_secret_from_a_file(make_agent, tmp_path):
    agent = make_agent(config="acl {\n  enabled = true\n}\n").launch()
    agent.process.wait_for("jobs API on")
    path = tmp_path / "secret"
    path.write_text("no-secret\n")
    wrong = agent.verb("acl", "bootstrap", path)
    assert wrong.code == 1 and "400 (invalid acl token)" in wrong.err, wrong
    path.write_text("2b778dd9-f5f1-6f29-b4b4-9a5fa948757a\n")
    made = agent.verb("acl", "bootstrap", path)
    assert made.code == 0 and "Secret ID" in made.out, made
    assert "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a" in made.out
    agent.stop()
