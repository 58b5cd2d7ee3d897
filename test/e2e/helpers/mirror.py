"""An HTTP/1 upstream that answers each request with the very bytes of it."""

import re
import socket
import threading


class Mirror:
    """`name` goes into the answer's X-Upstream. A websocket handshake is accepted, and what follows
    it comes back."""

    def __init__(self, name):
        self.name = name
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = "http://127.0.0.1:%d/" % self.port
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                file = connection.makefile("rb")
                while self._answer(connection, file):
                    pass
            except OSError:
                pass

    def _answer(self, connection, file):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline()
            if not line:
                return False
            head += line
        if re.search(rb"(?im)^upgrade: *websocket", head):
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                               b"Connection: Upgrade\r\n\r\n")
            while True:
                line = file.readline()
                if not line:
                    return False
                connection.sendall(line)
        body = b""
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        if length:
            body = file.read(int(length[1]))
        elif re.search(rb"(?im)^transfer-encoding: *chunked", head):
            while not body.endswith(b"0\r\n\r\n"):
                body += file.readline()
        text = head + body
        shown = b"" if head.startswith(b"HEAD ") else text
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Upstream: %s\r\nX-Twice: 1\r\nX-Twice: 2\r\n"
                           b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"
                           % (self.name.encode(), len(text), shown))
        return True

    def close(self):
        self.listener.close()
