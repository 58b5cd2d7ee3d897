"""What the kernel tells of a process."""

import collections
import os
import pathlib
import re


def descriptors(pid):
    """What a process holds open: of sockets, pipes and the like not which, but how many."""
    found = collections.Counter()
    for fd in pathlib.Path("/proc", str(pid), "fd").iterdir():
        try:
            found[re.sub(r":\[\d+\]$", "", os.readlink(fd))] += 1
        except OSError:
            pass  # closed meanwhile
    return found


def children(pid):
    """The living and the dead ones that nobody has waited for."""
    found = set()
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.add(int(stat.parent.name))
    return found
