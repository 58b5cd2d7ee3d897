"""A program under test: its output goes to files, which a failing test shows."""

import os
import re
import signal
import subprocess

from .wait import until

started = []  # of the running test; conftest ends them and shows their output


class Process:
    def __init__(self, args, folder, name=None, env=None, cwd=None):
        self.args = [str(a) for a in args]
        self.name = name or os.path.basename(self.args[0])
        os.makedirs(folder, exist_ok=True)
        number = len([f for f in os.listdir(folder)
                      if f.startswith(self.name) and f.endswith(".out")])
        base = os.path.join(folder, "%s%s" % (self.name, number or ""))
        self.out_path, self.err_path = base + ".out", base + ".err"
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.popen = subprocess.Popen(
                self.args, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd,
                env={**os.environ, **(env or {})}, start_new_session=True)
        # Held open: a failing test shows them also where their folder is gone by then.
        self._out = open(self.out_path, errors="replace")
        self._err = open(self.err_path, errors="replace")
        started.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def out(self):
        return self._read(self._out)

    def err(self):
        return self._read(self._err)

    @staticmethod
    def _read(file):
        file.seek(0)
        return file.read()

    def running(self):
        return self.popen.poll() is None

    def wait_for(self, pattern, where="err", timeout=15):
        """The first match of the pattern in what it printed."""
        def found():
            match = re.search(pattern, self.out() if where == "out" else self.err(), re.M)
            if not match and not self.running():
                raise RuntimeError("%s ended with %s before printing %r\n%s"
                                   % (self.name, self.popen.returncode, pattern, self.tail()))
            return match
        return until(found, "%s prints %r" % (self.name, pattern), timeout)

    def terminate(self):
        if self.running():
            self.popen.send_signal(signal.SIGTERM)

    def kill(self):
        if self.running():
            self.popen.kill()
        self.popen.wait()

    def wait(self, timeout=15):
        return self.popen.wait(timeout)

    def end(self, timeout=15):
        """SIGTERM, and SIGKILL to it alone if that does not do. Returns the exit code."""
        self.terminate()
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError("%s did not end within %g s of SIGTERM\n%s"
                                 % (self.name, timeout, self.tail())) from None

    def tail(self, lines=60):
        text = ""
        for title, content in (("standard output", self.out()), ("standard error", self.err())):
            if content:
                text += "--- %s, %s, last lines\n" % (self.name, title)
                text += "\n".join(content.splitlines()[-lines:]) + "\n"
        return text
