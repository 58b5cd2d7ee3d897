"""Nomad's own client library (Go) drives the agent through every call that it has, part by part."""

import fcntl
import os
import shutil
import subprocess

import pytest

from helpers import tree

GO = "/usr/lib/go-1.19/bin/go"
SOURCE = tree.root / "test" / "tools" / "nomad_client"
PARTS = ["agent", "jobs", "lists", "versions", "allocations", "files", "nodes", "canary", "batch",
         "failures", "search", "stream", "exec", "scaling"]


@pytest.fixture(scope="session")
def client():
    """The program, built once into the cache for this state of its source."""
    newest = max(p.stat().st_mtime_ns for p in SOURCE.iterdir())
    tree.cache.mkdir(parents=True, exist_ok=True)
    target = tree.cache / ("nomad-client-%d" % newest)
    with open(tree.cache / "nomad-client.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            go = GO if os.path.exists(GO) else shutil.which("go")
            assert go, "no Go to build the client with: apt-get install golang-go"
            env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly",
                   "CGO_ENABLED": "0"}
            partial = target.with_suffix(".partial")
            out = subprocess.run([go, "build", "-p", "2", "-trimpath", "-buildvcs=false", "-o",
                                  str(partial), "."], cwd=SOURCE, env=env, capture_output=True,
                                 text=True)
            assert out.returncode == 0, out.stderr[-4000:]
            partial.rename(target)
    return str(target)


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
