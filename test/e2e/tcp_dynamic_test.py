"""A proto=tcp-dynamic listener opens the ports that routes name, and closes them again."""

import socket

import pytest
from helpers.ports import free_port
from helpers.wait import until


def test_ports_come_and_go_with_their_routes(lb, backend, tmp_path, curl):
    one, two = backend("-name", "one"), backend("-name", "two")
    ports = [free_port() for _ in range(4)]
    taken = socket.create_server(("127.0.0.1", ports[3]))
    file = tmp_path / "routes"

    def write(*lines):
        file.write_text("\n".join(lines))
    by_port = "route add one :%d tcp://127.0.0.1:%d" % (ports[0], one.https_port)
    by_address = "route add two 127.0.0.1:%d/ tcp://127.0.0.1:%d" % (ports[1], two.https_port)
    not_tcp = "route add web :%d %s" % (ports[2], one.http_url)
    in_use = "route add one :%d tcp://127.0.0.1:%d" % (ports[3], one.https_port)
    write(by_port, not_tcp, in_use)
    balancer = lb(listeners="127.0.0.1:0;proto=tcp-dynamic;refresh=50ms", registry_backend="file",
                  registry_file_path=file).start()

    def body(port):
        return curl("-k", "https://127.0.0.1:%d/" % port).body
    until(lambda: "this is one" in body(ports[0]), "the first port is open")
    balancer.process.wait_for("tcp-dynamic: .*127.0.0.1:%d.*in use" % ports[3])
    write(by_port, by_address, not_tcp, in_use)
    until(lambda: "this is two" in body(ports[1]), "the second port is open")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[2]), timeout=5)
    # A tunnel outlives its route; the port does not.
    with socket.create_connection(("127.0.0.1", ports[0]), timeout=5) as open_one:
        open_one.sendall(b"\x16")
        until(lambda: balancer.get("/api/routes"), "there are routes")
        write(by_address)
        balancer.process.wait_for("traffic no longer on 127.0.0.1:%d" % ports[0])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", ports[0]), timeout=5)
        open_one.settimeout(0.3)
        with pytest.raises(TimeoutError):
            open_one.recv(1)
    # Back again, and the port that was taken is free now.
    taken.close()
    write(by_port, by_address, in_use)
    until(lambda: "this is one" in body(ports[0]), "the first port is open again")
    until(lambda: "this is one" in body(ports[3]), "the freed port is open")
    assert balancer.process.end() == 0
