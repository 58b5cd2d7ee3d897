"""The real curl, with the answer in pieces."""

import json
import os
import subprocess
import tempfile

from .wait import until


class Answer:
    def __init__(self, status, headers, raw, info):
        self.status = status
        self.headers = headers  # lower-case names; of several equal ones the last
        self.raw = raw
        self.info = info

    @property
    def body(self):
        return self.raw.decode(errors="replace")

    def json(self):
        return json.loads(self.raw)

    def __repr__(self):
        return "<%s %r>" % (self.status, self.raw[:200])


class CurlFailed(OSError):
    """curl's own failure: refused, reset, time out. `code` is its exit code."""

    def __init__(self, code, text):
        super().__init__("curl exited %d: %s" % (code, text.strip()))
        self.code = code


class _Running:
    def __init__(self, args):
        self._folder = tempfile.TemporaryDirectory()
        head, body = (os.path.join(self._folder.name, n) for n in ("head", "body"))
        self._paths = head, body
        self._popen = subprocess.Popen(
            ["curl", "-sS", "--noproxy", "*", "--max-time", "60", "-D", head, "-o", body,
             "-w", "%{json}", *map(str, args)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)

    def result(self):
        out, err = self._popen.communicate(timeout=90)
        try:
            if self._popen.returncode != 0:
                raise CurlFailed(self._popen.returncode, err.decode(errors="replace"))
            head, body = self._paths
            raw = open(body, "rb").read() if os.path.exists(body) else b""
            blocks = open(head, "rb").read().decode("latin-1").split("\r\n\r\n")
            last = [b for b in blocks if b.startswith("HTTP/")][-1]
            headers = {}
            for line in last.split("\r\n")[1:]:
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            info = json.loads(out)
            return Answer(info["http_code"], headers, raw, info)
        finally:
            self._folder.cleanup()


class Curl:
    until = staticmethod(until)

    def start(self, *args):
        """In the background; result() waits for it."""
        return _Running(args)

    def __call__(self, *args):
        return self.start(*args).result()
