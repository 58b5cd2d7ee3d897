"""A steady load in the background that counts what is not answered as it should."""

import collections
import http.client
import threading
import time


class Clients:
    """Threads that each run `_run` of a subclass until `_stop` is set, and count together."""

    def __init__(self, clients):
        self.answered = 0
        self.failures = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for t in self._threads:
            t.join(30)

    def wait_answered(self, more, timeout=30):
        """Until so many more requests have been answered."""
        goal, end = self.answered + more, time.monotonic() + timeout
        while self.answered < goal:
            assert time.monotonic() < end, "the load stands still: %s" % self.failures[-3:]
            time.sleep(0.01)

    def _run(self):
        raise NotImplementedError


class Load(Clients):
    """Clients with keep-alive, each sending as fast as answers come but at most `rate` in all.
    A connection that the server closed between two requests is opened again, as clients do."""

    def __init__(self, port, host, path="/", clients=4, rate=400, expect=200):
        super().__init__(clients)
        self.port, self.host, self.path = port, host, path
        self.gap, self.expect = clients / rate, expect
        self.bodies = collections.Counter()

    def _run(self):
        connection = None
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                    connection.connect()
                connection.request("GET", self.path, headers={"Host": self.host})
                answer = connection.getresponse()
                body = answer.read()
                with self._lock:
                    self.bodies[body] += 1
                    if answer.status == self.expect:
                        self.answered += 1
                    else:
                        self.failures.append("%.3f: %d %r" % (started, answer.status, body[:80]))
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as e:
                with self._lock:
                    self.failures.append("%.3f: %r" % (started, e))
                connection = None
            self._stop.wait(max(0, self.gap - (time.monotonic() - started)))
