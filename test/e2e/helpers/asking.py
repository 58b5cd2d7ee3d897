"""Somebody who asks a server all the time."""

import threading


class Asking:
    """`with Asking(ask) as asking`: asking.statuses grows by what ask() returns, `pause` apart."""

    def __init__(self, ask, pause=0.01, askers=1):
        self.statuses = []
        self._ask, self._pause = ask, pause
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(askers)]

    def _run(self):
        while not self._done.wait(self._pause):
            self.statuses.append(self._ask())

    def __enter__(self):
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for each in self._threads:
            each.join()
