"""A server whose running binary is replaced: SIGUSR2."""

import os
import re
import signal

from .wait import until


def alive(pid):
    """A zombie is not: its parent is its predecessor, which may live on for a while. While one of
    its threads is still on its way out, what it had locked is locked: that is alive."""
    try:
        with open("/proc/%d/stat" % pid) as stat:
            state = stat.read().rsplit(")", 1)[1].split()[0]
        return state != "Z" or len(os.listdir("/proc/%d/task" % pid)) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


class Line:
    """The process that serves, and those before it; all write to the first one's files. `server`:
    a balancer or an agent that runs."""

    def __init__(self, server):
        self.server = server
        self.pids = [server.process.pid]

    @property
    def pid(self):
        return self.pids[-1]

    def upgrade(self):
        """Returns once the successor serves."""
        self.begin()
        self.wait()

    def begin(self):
        os.kill(self.pid, signal.SIGUSR2)

    def wait(self):
        count = len(self.pids)

        def served():
            found = re.findall(r"upgrade: process (\d+) serves now", self.server.err())
            return found[count - 1:] or None
        self.pids.append(int(until(served, "upgrade %d is done" % count, 60)[0]))

    def end(self):
        for pid in reversed(self.pids):
            if alive(pid):
                os.kill(pid, signal.SIGTERM)
        until(lambda: not any(map(alive, self.pids)), "all of them have ended", 30)

    def kill(self):
        """What is left of it, as a crash."""
        for pid in filter(alive, self.pids):
            os.kill(pid, signal.SIGKILL)
