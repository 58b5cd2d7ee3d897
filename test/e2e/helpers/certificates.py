"""Certificates made by the `openssl` command when a test asks for them; none is kept."""

import pathlib
import subprocess


def openssl(*args, data=None):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True,
                          input=data).stdout


class Pair:
    def __init__(self, cert, key):
        self.cert, self.key = pathlib.Path(cert), pathlib.Path(key)

    def pem(self):
        return self.cert.read_text() + self.key.read_text()


class Authority:
    """A CA in a folder of its own."""

    def __init__(self, folder, name="test CA"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pair = Pair(self.folder / "ca.pem", self.folder / "ca.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "2", "-subj", "/CN=" + name, "-keyout", self.pair.key,
                "-out", self.pair.cert, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.count = 0

    @property
    def file(self):
        return self.pair.cert

    def issue(self, names, cert=None, key=None, rsa=False, days=1):
        """A certificate for DNS names or IP addresses; the first is the common name too. Of
        negative days one that has expired."""
        self.count += 1
        cert = cert or self.folder / ("%d-cert.pem" % self.count)
        key = key or self.folder / ("%d-key.pem" % self.count)
        request, extensions = self.folder / "request.pem", self.folder / "extensions"
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("req", "-new", "-newkey", *kind, "-nodes", "-subj", "/CN=" + names[0],
                "-keyout", key, "-out", request)
        extensions.write_text("subjectAltName=" + ",".join(
            ("IP:" if n.replace(".", "").isdigit() or ":" in n else "DNS:") + n for n in names))
        openssl("x509", "-req", "-in", request, "-CA", self.pair.cert, "-CAkey", self.pair.key,
                "-days", days, "-set_serial", 1000 + self.count, "-extfile", extensions,
                "-out", cert)
        return Pair(cert, key)
