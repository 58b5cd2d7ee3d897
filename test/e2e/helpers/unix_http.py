"""HTTP over a Unix socket, for the Engine API."""

import http.client
import json
import socket


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def request(path, method, target, body=None, content_type="application/json", timeout=60,
            headers=None):
    """(status, raw body)."""
    connection = _Connection(path, timeout)
    try:
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        fields = {"Content-Type": content_type} if body else {}
        connection.request(method, target, body, {**fields, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
