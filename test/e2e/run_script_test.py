"""./run where it cannot work, and how it ends. What it does where it can: ./run --check."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from helpers import tree
from helpers.agent import task_pids
from helpers.process import Process

RUN = tree.root / "run"
DEMO = tree.root / "test" / "tools" / "demo.py"


def run(*arguments, **environment):
    out = subprocess.run([str(RUN), *arguments], capture_output=True, text=True, timeout=60,
                         stdin=subprocess.DEVNULL, env={**os.environ, **environment})
    return out.returncode, out.stdout, out.stderr


@pytest.fixture
def commands(tmp_path):
    """commands(name=script...) -> a PATH on which these stand before the real ones."""
    def make(**scripts):
        for name, script in scripts.items():
            path = tmp_path / name.replace("_", "-")
            path.write_text("#!/bin/sh\n" + script)
            path.chmod(0o755)
        return "%s:%s" % (tmp_path, os.environ["PATH"])
    return make


def test_another_system_is_told_what_is_needed(tmp_path):
    release = tmp_path / "os-release"
    release.write_text('NAME="Fedora Linux"\nID=fedora\nVERSION_ID=40\n')
    code, out, err = run(OS_RELEASE=str(release))
    assert (code, out) == (1, "")
    assert err.startswith("run: this is not Debian 12 but fedora 40, "), err
    for name in ("clang-19", "libuv1-dev", "node-llhttp", "android-libboringssl-dev"):
        assert " %s " % name in err
    assert len(err.splitlines()) == 2


def test_a_user_is_told_what_root_must_install(tmp_path, commands):
    release = tmp_path / "os-release"
    release.write_text('ID=debian\nVERSION_ID="12"\n')
    path = commands(id='echo 1000',
                    apt_get='echo called > %s' % (tmp_path / "apt-was-called"),
                    # All but these two are there.
                    dpkg_query='shift 2; for p; do case $p in libuv1-dev|lld-19) ;; '
                               '*) echo "$p installed";; esac; done')
    code, out, err = run(OS_RELEASE=str(release), PATH=path)
    assert (code, out) == (1, "")
    assert err == ("run: packages are missing, and only root can install them. As root:\n"
                   "  apt-get install lld-19 libuv1-dev\n")
    assert not (tmp_path / "apt-was-called").exists()


def test_what_root_cannot_install_is_said(tmp_path, commands):
    release = tmp_path / "os-release"
    release.write_text('ID=debian\nVERSION_ID="12"\n')
    path = commands(id='echo 0', apt_get='echo "E: no network" >&2; exit 100',
                    dpkg_query='shift 2; for p; do [ "$p" = lld-19 ] || echo "$p installed"; done')
    code, _, err = run(OS_RELEASE=str(release), PATH=path)
    assert code == 1
    assert "E: no network" in err and err.endswith("run: apt-get could not install: lld-19\n"), err


def test_an_unknown_argument_and_help():
    code, _, err = run("--chekc")
    assert code == 1 and "unknown argument --chekc" in err
    code, out, _ = run("--help")
    assert code == 0 and "./run --check" in out


def demo(tmp_path, free_port, *arguments, **environment):
    """The script behind ./run on ports of the test's own: (process, those ports)."""
    ports = [free_port() for _ in range(3)]
    return Process([sys.executable, DEMO, *arguments], tmp_path, "demo",
                   env={"SLUICE_RUN_PORTS": " ".join(map(str, ports)), "TMPDIR": str(tmp_path),
                        "SLUICE_BUILD": str(tree.build), **environment}), ports


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_ends_it_all(tmp_path, free_port, name):
    shown, ports = demo(tmp_path, free_port)
    shown.wait_for("Ctrl-C stops everything", "out", 60)
    assert len(task_pids(tmp_path)) == 2 and not any(map(is_free, ports))
    os.kill(shown.pid, getattr(signal, name))
    # Far below what the agent gives its tasks: nothing is started in place of a stopped one.
    assert shown.wait(20) == 0, shown.tail()
    assert all(map(is_free, ports))
    assert task_pids(tmp_path) == {}
    assert "Traceback" not in shown.err()


def test_ctrl_c_while_it_comes_up(tmp_path, free_port):
    shown, ports = demo(tmp_path, free_port)
    shown.wait_for("starting `sluice agent -dev`", "out", 30)
    os.kill(shown.pid, signal.SIGINT)
    assert shown.wait(40) == 0, shown.tail()
    assert all(map(is_free, ports))


def test_a_port_in_use_is_named_and_nothing_is_started(tmp_path, free_port):
    ports = [free_port() for _ in range(3)]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[1]))
        taken.listen()
        shown = Process([sys.executable, DEMO, "--check"], tmp_path, "demo",
                        env={"SLUICE_RUN_PORTS": " ".join(map(str, ports)),
                             "SLUICE_BUILD": str(tree.build)})
        assert shown.wait(30) == 1
    assert "run: failed: ports: in use already: %d (traffic)" % ports[1] in shown.err()
    assert "starting" not in shown.out()


def test_with_docker(tmp_path, free_port, docker):
    """httpbackend-2 as it stands, on the daemon that DOCKER_HOST names."""
    shown, _ = demo(tmp_path, free_port, "--docker", "--check",
                    DOCKER_HOST="unix://" + docker.sock)
    assert shown.wait(180) == 0, shown.tail()
    assert "this is httpbackendservice, version: v1.0.0" in shown.out()
    assert shown.out().endswith("all parts work\n")
    assert not [c for c in docker.containers() if "httpbackend" in c["Names"][0]]


def test_with_docker_where_no_daemon_answers(tmp_path, free_port):
    shown, _ = demo(tmp_path, free_port, "--docker", DOCKER_HOST="unix://%s/none" % tmp_path)
    assert shown.wait(30) == 1
    assert shown.out() == ""
    assert shown.err() == ("run: failed: docker: no Docker daemon answers on its socket "
                           "(/var/run/docker.sock, or what DOCKER_HOST names)\n")
