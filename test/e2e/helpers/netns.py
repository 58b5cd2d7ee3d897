"""A network of the test's own, in which every port is free: the ports that programs have by default
(8500, 9999, 9998, 4646) can be tried as they are."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), "%s: %s" % (what, os.strerror(ctypes.get_errno())))


@contextlib.contextmanager
def own():
    """This thread, and whatever it starts, has a network namespace with nothing in it but the
    loopback interface. Its sockets from before go on in the old one."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.unshare(_CLONE_NEWNET), "a network namespace")
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
            yield
        finally:
            _checked(_libc.setns(before, _CLONE_NEWNET), "back to the old network namespace")
    finally:
        os.close(before)
