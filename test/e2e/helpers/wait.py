"""Waiting for what has no event to wait for: ask again until it holds, or say what did not."""

import time


def until(condition, what, timeout=15, every=0.02):
    """Returns condition()'s first true value. An exception of it counts as not yet."""
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (OSError, ValueError, LookupError, AssertionError) as e:
            last = e
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s (last: %r)" % (timeout, what, last))
        time.sleep(every)


def stays(condition, what, seconds=1.0, every=0.05):
    """The condition holds now and for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), "did not stay: " + what
        time.sleep(every)
