"""A network for the measurements alone: a loopback that has nobody else's packet filters and
connection tracking, and a congestion control without pacing: the one Linux comes with, or reno
where only the machine's own network may choose that one.

On a machine set to a paced congestion control (bbr), each end of a connection over loopback runs a
timer for its sends, on whichever core it was last armed: a part of the load's own sending is then
charged to the proxy. A network of its own needs root; without, the machine's network is used, and
the results say so."""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000  # linux/sched.h
CONGESTION = ("cubic", "reno")
_SETTING = "/proc/sys/net/ipv4/tcp_congestion_control"


class NotAllowed(Exception):
    pass


def congestion_control():
    with open(_SETTING) as f:
        return f.read().strip()


def _call(name, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise NotAllowed("%s: %s" % (name, os.strerror(ctypes.get_errno())))


def _set_congestion_control():
    for name in CONGESTION:
        with contextlib.suppress(PermissionError):
            with open(_SETTING, "w") as f:
                f.write(name)
            return
    raise NotAllowed("no congestion control without pacing")


@contextlib.contextmanager
def own():
    """This thread and what it starts are in the network; the machine's comes back at the end.
    Yields None; or, where that is not allowed, why the machine's is used."""
    with contextlib.ExitStack() as stack:
        why_not = None
        try:
            stack.enter_context(_entered())
        except NotAllowed as e:
            why_not = str(e)
        yield why_not


@contextlib.contextmanager
def _entered():
    machines = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("unshare", CLONE_NEWNET)
        try:
            try:
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)
                _set_congestion_control()
            except (OSError, subprocess.SubprocessError) as e:
                raise NotAllowed(str(e)) from e
            yield
        finally:
            _call("setns", machines, CLONE_NEWNET)
    finally:
        os.close(machines)
