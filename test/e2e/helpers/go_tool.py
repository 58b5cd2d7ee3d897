"""The Go programs of test/tools, built with Debian's Go once for each state of their sources."""

import fcntl
import os
import re
import shutil
import subprocess

from . import tree
from .consul import GO


def newer_go(wanted):
    """A Go of at least this version, (1, 26); None: there is none."""
    go = shutil.which("go")
    said = go and subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True,
                                 env={**os.environ, "GOTOOLCHAIN": "local"}).stdout
    found = re.match(r"go(\d+)\.(\d+)", said or "")
    return go if found and tuple(map(int, found.groups())) >= wanted else None


def build(name, variant="", go=None):
    """The path of the program in test/tools/<name>, in the cache. A variant has a module file of
    its own (go.<variant>.mod), a build tag, and the Go that it needs."""
    source = tree.root / "test" / "tools" / name
    shared = source.parent / "expect"
    newest = max(p.stat().st_mtime_ns for folder in (source, shared) for p in folder.iterdir())
    tree.cache.mkdir(parents=True, exist_ok=True)
    flags = ["-modfile=go.%s.mod" % variant, "-tags=" + variant] if variant else []
    go = go or (GO if os.path.exists(GO) else shutil.which("go"))
    name += variant and "-" + variant
    target = tree.cache / ("%s-%d" % (name.replace("_", "-"), newest))
    with open(tree.cache / (name.replace("_", "-") + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs build it once
        if not target.exists():
            assert go, "no Go to build %s with: apt-get install golang-go" % name
            env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly",
                   "CGO_ENABLED": "0"}
            partial = target.with_suffix(".partial")
            command = [go, "build", *flags, "-p", "2", "-trimpath", "-buildvcs=false", "-o",
                       str(partial), "."]
            out = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True)
            assert out.returncode == 0, "%s did not build:\n%s" % (name, out.stderr[-4000:])
            partial.rename(target)
    return str(target)
