"""A job whose tasks print numbered lines on both streams for as long as they run, and the count of
what of them is in the log files."""

import re

from . import tree
from .wait import until


def job(driver="docker", count=2, burst=1, task=""):
    """So many lines every 2 ms, by raw_exec or in Docker by an image probe:1 of the probe."""
    what = 'image = "probe:1"' if driver == "docker" else 'command = "%s"' % tree.probe
    return """
job "lines" {
  datacenters = ["dc1"]
  group "lines" {
    count = %d
    restart {
      attempts = 10
      interval = "10m"
      delay    = "100ms"
      mode     = "delay"
    }
    task "lines" {
      driver = "%s"
      config {
        %s
        args = ["lines", "0", "2000", "%d"]
      }
      kill_timeout = "5s"
      %s
    }
  }
}
""" % (count, driver, what, burst, task)


def files(agent, alloc, stream="stdout"):
    """The task's log files, oldest first."""
    folder = agent.folder / "data" / "alloc" / alloc / "alloc" / "logs"
    return sorted(folder.glob("lines.%s.*" % stream), key=lambda f: int(f.suffix[1:]))


def stretches(agent, alloc, stream="stdout"):
    """How many lines each run of the task has written; each stretch counts from 1 on without a gap
    and without a double, but for the last line, which may be under way."""
    text = "".join(f.read_text() for f in files(agent, alloc, stream))
    lengths = []
    for line in text.splitlines()[:-1]:
        if line == "ending":
            continue
        assert re.fullmatch(r"line \d{8}", line), line
        number = int(line[5:])
        if number == 1:
            lengths.append(0)
        assert lengths and number == lengths[-1] + 1, "%s after %s" % (line, lengths)
        lengths[-1] = number
    return lengths


def size(agent, alloc):
    return sum(f.stat().st_size for f in files(agent, alloc))


def check(agent, allocs, runs):
    """Each task has run so often, and of each run every line is there once, in its place."""
    for alloc in allocs:
        for stream in ("stdout", "stderr"):
            assert len(stretches(agent, alloc, stream)) == runs, (alloc, stream)


def wait(agent, allocs, run, more=200):
    """Until the run (counted from 0) of each task has written so many more lines than now."""
    for alloc in allocs:
        before = stretches(agent, alloc)
        goal = (before[run] if len(before) > run else 0) + more
        until(lambda: len(stretches(agent, alloc)) > run and stretches(agent, alloc)[run] >= goal,
              "run %d of the task writes %d lines" % (run, goal), 30)


def start(agent, **options):
    """Runs the job; the ids of its allocations once each has written some lines."""
    count = options.get("count", 2)
    agent.run(job(**options), flags=["-detach"])
    ids = [a["ID"] for a in agent.wait_running("lines", count, 40)]
    wait(agent, ids, 0)
    return ids
