"""A stand-in for Vault's HTTP API: KV secrets of version 1 or 2, token look-up, renewal,
unwrapping.
Its answers have the shape of Vault's documentation."""

import http.server
import json
import threading


class Vault:
    def __init__(self, version, token="root", tls=None):
        self.version, self.token = version, token
        self.secrets = {}  # path below secret/ -> fields
        self.wraps = {}  # wrapping token -> token
        self.ttl = 3600
        self.renewals = []
        self.status = None  # answers everything with it
        vault = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, body=None):
                data = json.dumps(body or {"errors": []}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def handle_any(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size) or b"{}")
                self.reply(*vault.answer(self.command, self.path,
                                         self.headers.get("X-Vault-Token"), body))
            do_GET = do_PUT = handle_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, method, target, token, body):
        path, _, query = target.partition("?")
        if self.status:
            return (self.status,)
        if path == "/v1/sys/wrapping/unwrap":
            inner = self.wraps.pop(token, None)
            return (200, {"auth": {"client_token": inner}}) if inner else (400,)
        if token != self.token:
            return (403,)
        if path == "/v1/auth/token/lookup-self":
            return (200, {"data": {"ttl": self.ttl, "creation_ttl": 3600, "renewable": True}})
        if path == "/v1/auth/token/renew-self" and method == "PUT":
            self.renewals.append(body["increment"])
            return (200, {"auth": {"client_token": token}})
        if path.startswith("/v1/sys/internal/ui/mounts/secret/"):
            options = {"version": "2"} if self.version == 2 else None
            return (200, {"data": {"path": "secret/", "type": "kv", "options": options}})
        listing = query == "list=true"
        root = "/v1/secret/"
        if self.version == 2:
            root += "metadata/" if listing else "data/"
        if not path.startswith(root):
            return (404,)
        rest = path[len(root):]
        if listing:
            keys = sorted(p[len(rest) + 1:] for p in self.secrets if p.startswith(rest + "/"))
            return (200, {"data": {"keys": keys}}) if keys else (404,)
        if rest not in self.secrets:
            return (404,)
        fields = self.secrets[rest]
        return (200, {"data": {"data": fields} if self.version == 2 else fields})

    def put(self, path, pair):
        self.secrets[path] = {"cert": pair.cert.read_text(), "key": pair.key.read_text()}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
