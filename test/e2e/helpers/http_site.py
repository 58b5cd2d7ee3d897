"""Small HTTP servers in the test's own process, on IPv4 or IPv6."""

import http.server
import socket
import threading


class _V6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve(address, port, say):
    """A running server that answers each GET with the text that say(handler) gives; end it with
    shutdown() and server_close()."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = say(self).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    kind = _V6 if ":" in address else http.server.ThreadingHTTPServer
    server = kind((address, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
