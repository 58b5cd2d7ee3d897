"""Where things are: the clone, its release build, and the cache outside the tree."""

import os
import pathlib
import tempfile

root = pathlib.Path(__file__).resolve().parents[3]
build = pathlib.Path(os.environ.get("SLUICE_BUILD", root / "build")).resolve()
sluice = build / "sluice"
backend = build / "bench" / "demo-backend"
probe = build / "test" / "drivers" / "task_probe"  # prints numbered lines, among others
examples = root / "orchestrator" / "examples"
cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "sluice"


def server_folder():
    """A new folder for a server that syncs its disk at every step (dockerd, Consul): in memory
    where there is some, because on a busy disk such a server takes minutes to start. The name is
    short: it holds Unix sockets."""
    memory = "/dev/shm"
    return tempfile.mkdtemp(prefix="slt-", dir=memory if os.access(memory, os.W_OK) else None)
