"""The Consul catalog's own tests against a real Consul, which they start, stop and wipe."""

import os
import subprocess

from helpers import tree


def test_consul_catalog_against_a_real_consul(consul_binary):
    done = subprocess.run(
        [tree.build / "test" / "drivers" / "drivers_test", "--test-case=consul real*"],
        env={**os.environ, "SLUICE_REAL_CONSUL": "1"}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " 0 failed" in done.stdout and "| 0 passed" not in done.stdout
