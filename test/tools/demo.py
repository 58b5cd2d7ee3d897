#!/usr/bin/env python3
"""What ./run does once build/sluice is there. Standard library only."""

import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLUICE = os.path.join(ROOT, "build", "sluice")
BACKEND = os.path.join(ROOT, "build", "bench", "demo-backend")
STARTED = time.monotonic()


class Failed(Exception):
    """A part that does not do what it should; its text names the part."""


def step(text):
    print("==> [%3ds] %s" % (time.monotonic() - STARTED, text), flush=True)


def check_version():
    out = subprocess.run([SLUICE, "version"], capture_output=True, text=True, timeout=30)
    if out.returncode != 0 or not out.stdout.lower().startswith("sluice "):
        raise Failed("version: `sluice version` exited %d and printed %r"
                     % (out.returncode, out.stdout + out.stderr))
    step("ok: " + out.stdout.strip().splitlines()[0])


def check_backend():
    out = subprocess.run([BACKEND, "-http", "off", "-https", "off", "-lines", "2", "-exit", "0"],
                         capture_output=True, text=True, timeout=30)
    if out.returncode != 0 or out.stdout != "line 1\nline 2\n":
        raise Failed("demo backend: exited %d and printed %r" % (out.returncode, out.stdout))
    step("ok: demo backend")


def main():
    try:
        check_version()
        check_backend()
    except Failed as e:
        print("run: failed: %s" % e, file=sys.stderr)
        return 1
    step("the agent, the job command and the balancer are not in this build yet: "
         "only the programs above were checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
