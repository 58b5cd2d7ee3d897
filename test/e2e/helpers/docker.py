"""A real dockerd: the running one, or Debian's with folders, socket and bridge of its own."""

import contextlib
import fcntl
import io
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tarfile
import urllib.parse

from . import tree, unix_http
from .process import Process
from .wait import until

# What the users' jobs name, and how the demo backend stands in for each.
IMAGES = {
    "bigwhite/httpbackendservice:v1.0.0": ["-http", ":8081", "-https", "off"],
    "bigwhite/httpsbackendservice:v1.0.0": ["-http", "off", "-https", ":7777"],
    "bigwhite/httpsbackendservice:v1.0.1":
        ["-http", "off", "-https", ":7777", "-version", "v1.0.1"],
}

_SIOCBRADDBR, _SIOCBRDELBR = 0x89A0, 0x89A1
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_SIOCSIFHWADDR, _ARPHRD_ETHER = 0x8924, 1
_IFF_UP = 1


class Bridge:
    """A bridge of our own, so that two daemons do not share docker0. By ioctl: without iproute2.

    Its hardware address is set, as Docker sets docker0's: else it is the lowest of its containers',
    changes as they come and go, and what another container then answers goes to an address that
    nobody has. A request that is under way there, with nothing behind it, was seen to hang for
    over 100 s."""

    def __init__(self):
        self.name = "slt%06x" % random.randrange(1 << 24)
        self.address = "10.%d.%d.1" % (random.randrange(200, 240), random.randrange(256))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, _SIOCBRADDBR, self.name.encode() + b"\0")
            for request, address in ((_SIOCSIFADDR, self.address),
                                     (_SIOCSIFNETMASK, "255.255.255.0")):
                fcntl.ioctl(s, request, struct.pack(
                    "16sHH4s8x", self.name.encode(), socket.AF_INET, 0, socket.inet_aton(address)))
            hardware = bytes([0x02, 0x42, *random.randbytes(4)])
            fcntl.ioctl(s, _SIOCSIFHWADDR, struct.pack(
                "16sH6s8x", self.name.encode(), _ARPHRD_ETHER, hardware))
            self._flags(s, _IFF_UP, 0)

    def _flags(self, s, add, remove):
        have = struct.unpack("16sh14x", fcntl.ioctl(
            s, _SIOCGIFFLAGS, struct.pack("16sh14x", self.name.encode(), 0)))[1]
        fcntl.ioctl(s, _SIOCSIFFLAGS, struct.pack(
            "16sh14x", self.name.encode(), have & ~remove | add))

    def remove(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            self._flags(s, 0, _IFF_UP)
            fcntl.ioctl(s, _SIOCBRDELBR, self.name.encode() + b"\0")


def libraries(program):
    """The shared libraries of a program, its loader among them, each by the path it is asked by."""
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", shown)


class Docker:
    """The Engine API behind one socket."""

    def __init__(self, sock):
        self.sock = str(sock)

    def request(self, method, target, body=None, content_type="application/json", timeout=60,
                headers=None):
        return unix_http.request(self.sock, method, target, body, content_type, timeout, headers)

    def ok(self, method, target, **options):
        """The raw body of an answer that must be a success."""
        status, raw = self.request(method, target, **options)
        if not 200 <= status < 300:
            raise LookupError("%s %s: %d %s" % (method, target, status, raw[:500]))
        return raw

    def get(self, target):
        return json.loads(self.ok("GET", target))

    def answers(self):
        try:
            return self.request("GET", "/_ping", timeout=5)[0] == 200
        except OSError:
            return False

    def containers(self, **labels):
        """All of them, stopped ones too, that carry the labels."""
        filters = {"label": ["%s=%s" % l for l in labels.items()]} if labels else {}
        return self.get("/containers/json?all=true&filters="
                        + urllib.parse.quote(json.dumps(filters)))

    def kill(self, container):
        self.request("POST", "/containers/%s/kill" % container)

    def remove(self, container):
        self.request("DELETE", "/containers/%s?force=true" % container)

    def empty(self):
        """Removes every container: for a daemon of the tests' own, after a test that failed."""
        for container in self.containers():
            self.remove(container["Id"])

    def forget_image(self, name):
        """The name goes, and with its last name the image."""
        self.request("DELETE", "/images/%s?force=true" % name)

    def build(self, name, arguments, program=None, more=""):
        """FROM scratch, the program (the demo backend) with what it is linked with and these
        arguments, and `more` lines of the Dockerfile; no registry is asked."""
        program = pathlib.Path(program or tree.backend)
        dockerfile = "FROM scratch\nCOPY root /\nENTRYPOINT %s\n%s\n" % (
            json.dumps(["/" + program.name, *arguments]), more)
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w", dereference=True) as tar:
            info = tarfile.TarInfo("Dockerfile")
            info.size = len(dockerfile)
            tar.addfile(info, io.BytesIO(dockerfile.encode()))
            tar.add(program, "root/" + program.name)
            for library in libraries(program):
                tar.add(library, "root" + library)
        status, raw = self.request("POST", "/build?rm=true&t=" + urllib.parse.quote(name),
                                   context.getvalue(), "application/x-tar", 300)
        lines = [json.loads(line) for line in raw.splitlines() if line.strip()]
        errors = [line["error"] for line in lines if "error" in line]
        if status != 200 or errors:
            raise RuntimeError("build of %s: %d %s" % (name, status, errors or raw[:500]))

    def build_images(self):
        for name, arguments in IMAGES.items():
            self.build(name, arguments)


class Daemon(Docker):
    """A dockerd of our own. It ends by SIGTERM: after SIGKILL its shims and mounts would stay."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)  # short: a Unix socket's path has 108 bytes
        super().__init__(self.folder / "docker.sock")
        self.bridge = Bridge()
        self.process = None
        self.crashed = False

    def start(self):
        f = self.folder
        self.process = Process(
            ["dockerd", "--data-root", f / "data", "--exec-root", f / "exec",
             "--pidfile", f / "docker.pid", "--host", "unix://" + self.sock,
             "--bridge", self.bridge.name, "--iptables=false", "--ip-masq=false",
             "--ip-forward=false", "--live-restore=false", "--log-level", "warn"], f, "dockerd")

        def ready():
            if not self.process.running():
                raise RuntimeError("dockerd ended: " + self.process.tail())
            return self.answers()
        until(ready, "dockerd answers on its socket", 60, every=0.05)
        return self

    def stop(self):
        if self.process:
            self.process.end(60)

    def crash(self):
        """SIGKILL to dockerd; its containers stay. Its containerd goes too, a moment later: a new
        dockerd that still sees it would take it over and then wait for it in vain."""
        containerd = (self.folder / "exec" / "containerd" / "containerd.pid").read_text().strip()
        self.process.kill()
        self.crashed = True
        until(lambda: not os.path.exists("/proc/" + containerd),
              "the killed dockerd's containerd is gone, and not a zombie", 20)

    def close(self):
        """Ends it, and leaves nothing, whatever became of it; a mount that it left is an error."""
        try:
            if self.process and self.process.popen.poll() == -signal.SIGKILL:
                self.start()  # takes over and ends what a killed one left
            self.stop()
        finally:
            with open("/proc/self/mounts") as mounts:
                left = [line.split()[1] for line in mounts if str(self.folder) in line.split()[1]]
            for mount in reversed(left):
                subprocess.run(["umount", mount], check=False)
            self.bridge.remove()
            shutil.rmtree(self.folder, ignore_errors=True)
        # Of the host's network it keeps a handle, which it never lets go.
        left = [mount for mount in left if not mount.endswith("/netns/default")]
        if self.crashed:  # the killed one could not take its own away
            left = [mount for mount in left if mount != str(self.folder / "data")]
        assert not left, "dockerd left mounts: %s" % left


@contextlib.contextmanager
def own():
    """A dockerd of our own that runs on entry; nothing of it is left, also where it did not come
    up."""
    daemon = Daemon(tree.server_folder())
    try:
        yield daemon.start()
    finally:
        daemon.close()


def running():
    """The daemon that the machine has, if its socket answers."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if host.startswith("unix://"):
        found = Docker(host[len("unix://"):])
        if found.answers():
            return found
    return None
