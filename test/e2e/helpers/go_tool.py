"""The Go programs of test/tools, built with Debian's Go once for each state of their sources, and
other projects' programs that a module there pins."""

import fcntl
import os
import re
import shutil
import subprocess

from . import tree

GO = "/usr/lib/go-1.19/bin/go"


def newer_go(wanted):
    """A Go of at least this version, (1, 26); None: there is none."""
    go = shutil.which("go")
    said = go and subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True,
                                 env={**os.environ, "GOTOOLCHAIN": "local"}).stdout
    found = re.match(r"go(\d+)\.(\d+)", said or "")
    return go if found and tuple(map(int, found.groups())) >= wanted else None


def _compile(target, lock_name, source, arguments, go=None):
    """The program at `target`, which is built first where it is not there."""
    tree.cache.mkdir(parents=True, exist_ok=True)
    go = go or (GO if os.path.exists(GO) else shutil.which("go"))
    with open(tree.cache / (lock_name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs build it once
        if not target.exists():
            if not go:
                raise RuntimeError("no Go to build %s with: apt-get install golang-go" % lock_name)
            env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly",
                   "CGO_ENABLED": "0"}
            partial = target.with_name(target.name + ".partial")
            command = [go, "build", "-p", "2", "-trimpath", "-buildvcs=false", "-o", str(partial),
                       *arguments]
            out = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True)
            if out.returncode != 0:
                raise RuntimeError("%s did not build:\n%s" % (lock_name, out.stderr[-4000:]))
            partial.rename(target)
    return str(target)


def program(name, version, package):
    """The path of a real program of which test/tools/<name>/go.mod pins this version."""
    return _compile(tree.cache / ("%s-%s" % (name, version)), name,
                    tree.root / "test" / "tools" / name, ["-ldflags", "-s -w", package])


def build(name, variant="", go=None):
    """The path of the program in test/tools/<name>, in the cache. A variant has a module file of
    its own (go.<variant>.mod), a build tag, and the Go that it needs."""
    source = tree.root / "test" / "tools" / name
    shared = source.parent / "expect"
    newest = max(p.stat().st_mtime_ns for folder in (source, shared) for p in folder.iterdir())
    flags = ["-modfile=go.%s.mod" % variant, "-tags=" + variant] if variant else []
    name = (name + (variant and "-" + variant)).replace("_", "-")
    return _compile(tree.cache / ("%s-%d" % (name, newest)), name, source, [*flags, "."], go)
