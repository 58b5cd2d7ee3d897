"""The Go programs of test/tools, built with Debian's Go once for each state of their sources."""

import fcntl
import os
import shutil
import subprocess

from . import tree
from .consul import GO


def build(name):
    """The path of the program in test/tools/<name>, in the cache."""
    source = tree.root / "test" / "tools" / name
    newest = max(p.stat().st_mtime_ns for p in source.iterdir())
    tree.cache.mkdir(parents=True, exist_ok=True)
    target = tree.cache / ("%s-%d" % (name.replace("_", "-"), newest))
    with open(tree.cache / (name.replace("_", "-") + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs build it once
        if not target.exists():
            go = GO if os.path.exists(GO) else shutil.which("go")
            assert go, "no Go to build %s with: apt-get install golang-go" % name
            env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly",
                   "CGO_ENABLED": "0"}
            partial = target.with_suffix(".partial")
            out = subprocess.run([go, "build", "-p", "2", "-trimpath", "-buildvcs=false", "-o",
                                  str(partial), "."], cwd=source, env=env, capture_output=True,
                                 text=True)
            assert out.returncode == 0, "%s did not build:\n%s" % (name, out.stderr[-4000:])
            partial.rename(target)
    return str(target)
