"""A real registry on loopback: Debian's docker-registry, with a password or open to all."""

import base64
import json
import pathlib
import socket
import subprocess
import sys
import urllib.parse

from .ports import free_port
from .process import Process
from .wait import until

USER, PASSWORD = "carol", "s3cret-of-carol"


def _htpasswd(user, password):
    """A line with bcrypt, the only kind that the registry reads. crypt(3) by Debian's Python; in a
    process of its own, because importing it warns."""
    script = ("import crypt, sys; "
              "print(crypt.crypt(sys.argv[1], crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))")
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", script, password],
                         capture_output=True, text=True, check=True)
    return "%s:%s\n" % (user, out.stdout.strip())


class Registry:
    """The same object starts again on the same port, with what was pushed."""

    def __init__(self, folder, password=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.password = password
        self.name = "127.0.0.1:%d" % free_port()
        auth = ""
        if password:
            users = self.folder / "htpasswd"
            users.write_text(_htpasswd(USER, PASSWORD))
            auth = "auth:\n  htpasswd:\n    realm: tests\n    path: %s\n" % users
        self.config = self.folder / "config.yml"
        self.config.write_text(
            "version: 0.1\nlog:\n  level: warn\n  accesslog:\n    disabled: false\n"
            "storage:\n  filesystem:\n    rootdirectory: %s\nhttp:\n  addr: %s\n%s"
            % (self.folder / "data", self.name, auth))
        self.process = None

    def start(self):
        self.process = Process(["docker-registry", "serve", self.config], self.folder, "registry")

        def answers():
            if not self.process.running():
                raise RuntimeError("the registry ended: " + self.process.tail())
            host, port = self.name.split(":")
            socket.create_connection((host, int(port)), 1).close()
            return True
        until(answers, "the registry answers", 20)
        return self

    def stop(self):
        self.process.end(20)

    def push(self, docker, source, image):
        """Puts Docker's image `source` here as `image` (NAME:TAG) and takes the new name from
        Docker again: the full name to pull."""
        full = "%s/%s" % (self.name, image)
        repository, tag = full.rsplit(":", 1)
        docker.ok("POST", "/images/%s/tag?repo=%s&tag=%s"
                  % (source, urllib.parse.quote(repository, safe=""), tag))
        auth = {"username": USER, "password": PASSWORD, "serveraddress": self.name}
        raw = docker.ok("POST", "/images/%s/push?tag=%s" % (repository, tag), headers={
            "X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()})
        errors = [line for line in map(json.loads, raw.splitlines()) if "error" in line]
        assert not errors, errors
        docker.forget_image(full)
        return full

    def requests(self, pattern):
        """The lines of the access log that hold the text."""
        return [line for line in (self.process.out() + self.process.err()).splitlines()
                if pattern in line]
