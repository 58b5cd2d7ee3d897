"""The real servers that other tests run against come up, and leave nothing behind."""

import os

import pytest
from helpers import docker as docker_helper
from helpers.wait import until


def test_consul_registers_and_tells(consul):
    consul.put("/v1/agent/service/register", {"Name": "shop", "Port": 4711})
    assert [s["Service"]["Port"] for s in consul.services("shop")] == [4711]


def test_consul_comes_back_on_its_ports_without_its_data(consul):
    consul.put("/v1/agent/service/register", {"Name": "shop", "Port": 4711})
    consul.kill()
    consul.start()
    assert consul.services("shop") == []


def test_docker_runs_the_jobs_image_behind_a_published_port(docker, curl, free_port):
    port = free_port()
    name = "slt-demo-%d" % port
    status, raw = docker.request("POST", "/containers/create?name=" + name, {
        "Image": "bigwhite/httpbackendservice:v1.0.0",
        "ExposedPorts": {"8081/tcp": {}},
        "HostConfig": {"PortBindings": {"8081/tcp": [
            {"HostIp": "127.0.0.1", "HostPort": str(port)}]}}})
    assert status == 201, raw
    try:
        assert docker.request("POST", "/containers/%s/start" % name)[0] == 204
        answer = until(lambda: curl("http://127.0.0.1:%d/" % port), "the container answers")
        assert answer.body == "this is httpbackendservice, version: v1.0.0\n"
    finally:
        docker.remove(name)


def test_a_daemon_of_our_own_leaves_nothing():
    with docker_helper.own() as daemon:
        bridge, folder = daemon.bridge.name, daemon.folder
    assert not os.path.exists("/sys/class/net/" + bridge)
    assert not folder.exists()


def test_a_daemon_that_was_killed_or_did_not_come_up_leaves_nothing(monkeypatch):
    with docker_helper.own() as daemon:
        bridge, folder = daemon.bridge.name, daemon.folder
        daemon.crash()
    assert not os.path.exists("/sys/class/net/" + bridge) and not folder.exists()

    def fail(self):
        made.append(self)
        raise RuntimeError("no")
    made = []
    monkeypatch.setattr(docker_helper.Daemon, "start", fail)
    with pytest.raises(RuntimeError):
        with docker_helper.own():
            pass
    assert not os.path.exists("/sys/class/net/" + made[0].bridge.name)
    assert not made[0].folder.exists()
