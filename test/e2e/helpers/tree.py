"""Where things are: the clone, its release build, and the cache outside the tree."""

import os
import pathlib

root = pathlib.Path(__file__).resolve().parents[3]
build = pathlib.Path(os.environ.get("SLUICE_BUILD", root / "build")).resolve()
sluice = build / "sluice"
backend = build / "bench" / "demo-backend"
examples = root / "orchestrator" / "examples"
cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "sluice"
