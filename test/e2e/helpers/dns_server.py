"""A DNS server on loopback, UDP and TCP (RFC 1035), that says what the test says."""

import collections
import ipaddress
import socket
import struct
import threading

from .ports import free_port

A, CNAME, AAAA = 1, 5, 28
NXDOMAIN, SERVFAIL = 3, 2


def _encode(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def _decode(packet, at):
    parts = []
    while packet[at]:
        parts.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(parts).lower(), at + 1


def _is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class DnsServer:
    """`records[name]` is a list of (ttl, address), (ttl, "another.name") for an alias, or a code
    such as SERVFAIL; other names do not exist. `asked` counts the questions by (name, type).
    `truncate`: UDP answers hold nothing but the word to ask by TCP. `silent`: no answers."""

    def __init__(self):
        self.records = {}
        self.asked = collections.Counter()
        self.by_tcp = 0
        self.truncate = self.silent = False
        self.port = free_port()
        self.address = "127.0.0.1:%d" % self.port
        self._sockets = []

    def start(self):
        udp = socket.socket(type=socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        tcp = socket.create_server(("127.0.0.1", self.port))
        self._sockets = [udp, tcp]
        for target, one in ((self._serve_udp, udp), (self._serve_tcp, tcp)):
            threading.Thread(target=target, args=(one,), daemon=True).start()
        return self

    def stop(self):
        for one in self._sockets:
            # A thread that waits in accept() or recvfrom() keeps a socket that is only closed.
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
        self._sockets = []

    def questions(self, name):
        return sum(count for (asked, _), count in self.asked.items() if asked == name)

    def _answer(self, packet, truncate):
        number, = struct.unpack(">H", packet[:2])
        name, end = _decode(packet, 12)
        kind, = struct.unpack(">H", packet[end:end + 2])
        self.asked[name, kind] += 1
        question = packet[12:end + 4]
        code, found = 0, []
        known = self.records.get(name, NXDOMAIN)
        if isinstance(known, int):
            code, known = known, []
        owner = name
        while known and not _is_address(known[0][1]):
            ttl, alias = known[0]
            found.append((owner, CNAME, ttl, _encode(alias)))
            owner, known = alias, self.records.get(alias, [])
        for ttl, address in known:
            ip = ipaddress.ip_address(address)
            if kind == (A if ip.version == 4 else AAAA):
                found.append((owner, kind, ttl, ip.packed))
        if truncate:
            found = []
        flags = 0x8180 | code | (0x0200 if truncate else 0)
        out = struct.pack(">HHHHHH", number, flags, 1, len(found), 0, 0) + question
        for owner, kind, ttl, data in found:
            out += _encode(owner) + struct.pack(">HHIH", kind, 1, ttl, len(data)) + data
        return out

    def _serve_udp(self, udp):
        while True:
            try:
                packet, client = udp.recvfrom(4096)
            except OSError:
                return
            if not packet:
                return  # shut down
            if not self.silent:
                udp.sendto(self._answer(packet, self.truncate), client)

    def _serve_tcp(self, tcp):
        while True:
            try:
                client, _ = tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client):
        with client, client.makefile("rb") as stream:
            while True:
                size = stream.read(2)
                if len(size) < 2:
                    return
                self.by_tcp += 1
                answer = self._answer(stream.read(struct.unpack(">H", size)[0]), False)
                client.sendall(struct.pack(">H", len(answer)) + answer)
