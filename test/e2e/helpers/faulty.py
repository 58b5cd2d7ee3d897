"""An HTTP proxy in front of a real server that can spoil what passes: for faults on demand."""

import http.client
import http.server
import threading


class Faulty:
    """`spoil(path, status, headers, body)` returns what the client gets instead."""

    def __init__(self, upstream):
        self.upstream = upstream  # host:port
        self.spoil = None
        self.paths = []
        self.most_open = self.open = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                with outer.lock:
                    outer.open += 1
                    outer.most_open = max(outer.most_open, outer.open)

            def finish(self):
                with outer.lock:
                    outer.open -= 1
                super().finish()

            def forward(self):
                outer.paths.append(self.path)
                size = int(self.headers.get("Content-Length", 0))
                connection = http.client.HTTPConnection(outer.upstream, timeout=120)
                try:
                    connection.request(self.command, self.path, self.rfile.read(size) or None)
                    answer = connection.getresponse()
                    status, body = answer.status, answer.read()
                    headers = {k: v for k, v in answer.getheaders()
                               if k.startswith("X-Consul") or k == "Content-Type"}
                except OSError:
                    self.close_connection = True
                    return
                finally:
                    connection.close()
                if outer.spoil:
                    status, headers, body = outer.spoil(self.path, status, headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = forward

            def log_message(self, *arguments):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = "127.0.0.1:%d" % self.server.server_port

    def asked(self, begin):
        return sum(p.startswith(begin) for p in list(self.paths))

    def close(self):
        self.server.shutdown()
        self.server.server_close()
