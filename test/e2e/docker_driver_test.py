"""The docker driver's own tests against a real dockerd, which they start and stop."""

import os
import pathlib
import subprocess

from helpers import tree
from helpers.docker import Bridge


def test_the_bridge_of_a_daemon_of_our_own_keeps_its_address():
    bridge = Bridge()
    try:
        kind = pathlib.Path("/sys/class/net", bridge.name, "addr_assign_type").read_text().strip()
        assert kind == "3"  # NET_ADDR_SET: it does not become the lowest of its ports'
    finally:
        bridge.remove()


def test_docker_driver_against_a_real_dockerd():
    done = subprocess.run(
        [tree.build / "test" / "drivers" / "drivers_test", "--test-case=docker real*"],
        env={**os.environ, "SLUICE_REAL_DOCKER": "1"}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " 0 failed" in done.stdout and "| 0 passed" not in done.stdout
