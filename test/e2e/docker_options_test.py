"""What a job says of a container is what Docker says of it: every option, by `docker inspect`."""

import pytest
from helpers import tree
from helpers.wait import until

OWNER = """
plugin "docker" {
  config {
    allow_privileged = true
    allow_devices    = true
    allow_caps       = ["all"]
    volumes {
      enabled = true
    }
  }
}
"""


@pytest.fixture(scope="module")
def images(docker):
    docker.build("probe:1", [], tree.probe)


@pytest.fixture
def agent(docker, images, make_agent):
    return make_agent(flags=["-docker-socket", docker.sock], config=OWNER).start()


def inspect(agent, docker, config, group="", task=""):
    """Runs one task with this configuration: what Docker says of its container."""
    agent.run("""
job "one" {
  datacenters = ["dc1"]
  group "one" {
    %s
    task "one" {
      driver = "docker"
      config {
        image = "probe:1"
        %s
      }
      %s
    }
  }
}
""" % (group, config, task), flags=["-detach"])
    alloc = agent.wait_running("one", 1, 30)[0]["ID"]
    found, = docker.containers(**{"sluice.alloc_id": alloc})
    return docker.get("/containers/%s/json" % found["Id"])


def test_every_option(agent, docker, tmp_path):
    (tmp_path / "data").mkdir()
    made = inspect(agent, docker, """
        entrypoint  = ["/task_probe"]
        command     = "stay"
        args        = ["a b", "${NOMAD_TASK_NAME}"]
        work_dir    = "/local"
        hostname    = "box"
        extra_hosts = ["db:10.1.2.3"]
        dns_servers = ["10.1.2.4"]
        dns_search_domains = ["example.test"]
        dns_options = ["ndots:2"]
        labels {
          team = "x"
        }
        port_map {
          http = 8081
        }
        volumes = ["%(data)s:/data:ro", "local/in:/in"]
        mount {
          type   = "tmpfs"
          target = "/scratch"
          tmpfs_options {
            size = 1048576
          }
        }
        mounts = [
          {
            type     = "bind"
            source   = "local"
            target   = "/again"
            readonly = true
          },
          {
            type   = "volume"
            source = "sluice-test-volume"
            target = "/kept"
            volume_options = {
              no_copy = true
              labels = {
                kind = "test"
              }
            }
          },
        ]
        devices = [
          {
            host_path          = "/dev/null"
            container_path     = "/dev/nothing"
            cgroup_permissions = "r"
          },
        ]
        logging {
          type = "json-file"
          config {
            max-size = "1m"
          }
        }
        cap_add      = ["net_admin"]
        cap_drop     = ["mknod"]
        security_opt = ["no-new-privileges"]
        group_add    = ["7"]
        sysctl = {
          "net.core.somaxconn" = "4096"
        }
        ulimit {
          nofile = "1024:2048"
          nproc  = "4242"
        }
        memory_hard_limit  = 128
        shm_size           = 2097152
        pid_mode           = "host"
        ipc_mode           = "private"
        init               = true
        readonly_rootfs    = true
        interactive        = true
        pids_limit         = 100
        cpuset_cpus        = "0"
        oom_score_adj      = 100
        cgroupns           = "host"
""" % {"data": tmp_path / "data"}, task="""
      user = "1000:1000"
      env {
        GREETING = "hello"
      }
      resources {
        cpu    = 200
        memory = 64
        network {
          port "http" {}
        }
      }
""")
    config, host = made["Config"], made["HostConfig"]
    try:
        assert config["Entrypoint"] == ["/task_probe"]
        assert config["Cmd"] == ["stay", "a b", "one"]
        assert (config["WorkingDir"], config["Hostname"], config["User"]) == (
            "/local", "box", "1000:1000")
        assert config["OpenStdin"] and not config["Tty"]
        assert config["Labels"]["team"] == "x" and config["Labels"]["sluice.job_id"] == "one"
        assert "GREETING=hello" in config["Env"]
        assert host["ExtraHosts"] == ["db:10.1.2.3"]
        assert (host["Dns"], host["DnsSearch"], host["DnsOptions"]) == (
            ["10.1.2.4"], ["example.test"], ["ndots:2"])
        port, = host["PortBindings"]["8081/tcp"]
        assert port["HostIp"] == "127.0.0.1" and int(port["HostPort"]) > 0
        assert host["PortBindings"]["8081/udp"] == [port]
        assert made["NetworkSettings"]["Ports"]["8081/tcp"] == [port]
        folder = [m["Source"] for m in made["Mounts"] if m["Destination"] == "/local"][0]
        assert sorted(host["Binds"]) == sorted(["%s:/data:ro" % (tmp_path / "data"),
                                                folder + "/in:/in"])
        there = {m["Destination"]: (m["Type"], m["RW"]) for m in made["Mounts"]}
        assert there["/data"] == ("bind", False) and there["/in"] == ("bind", True)
        assert there["/again"] == ("bind", False) and there["/kept"] == ("volume", True)
        assert there["/alloc"] == there["/local"] == there["/secrets"] == ("bind", True)
        mounts = {m["Target"]: m for m in host["Mounts"]}
        assert mounts["/scratch"]["TmpfsOptions"]["SizeBytes"] == 1048576
        assert mounts["/kept"]["VolumeOptions"] == {"NoCopy": True, "Labels": {"kind": "test"}}
        assert host["Devices"] == [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing",
                                    "CgroupPermissions": "r"}]
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
        assert [c.lower().replace("cap_", "") for c in host["CapAdd"]] == ["net_admin"]
        assert [c.lower().replace("cap_", "") for c in host["CapDrop"]] == ["mknod"]
        assert "no-new-privileges" in host["SecurityOpt"] and host["GroupAdd"] == ["7"]
        assert host["Sysctls"] == {"net.core.somaxconn": "4096"}
        assert {u["Name"]: (u["Soft"], u["Hard"]) for u in host["Ulimits"]} == {
            "nofile": (1024, 2048), "nproc": (4242, 4242)}
        mib = 1 << 20
        assert (host["Memory"], host["MemoryReservation"]) == (128 * mib, 64 * mib)
        assert host["MemorySwap"] == 128 * mib and host["CpuShares"] == 200
        assert (host["ShmSize"], host["PidsLimit"], host["CpusetCpus"]) == (2 * mib, 100, "0")
        assert (host["PidMode"], host["IpcMode"], host["CgroupnsMode"]) == (
            "host", "private", "host")
        assert host["Init"] is True and host["ReadonlyRootfs"] is True
        assert host["OomScoreAdj"] == 100 and not host["Privileged"]
        assert host["RestartPolicy"]["Name"] == "no"
    finally:
        agent.stop_jobs()
        docker.request("DELETE", "/volumes/sluice-test-volume")


def test_a_terminal_and_the_hosts_namespaces(agent, docker):
    made = inspect(agent, docker, """
        tty          = true
        network_mode = "host"
        uts_mode     = "host"
        userns_mode  = "host"
        args         = ["stay"]
""")
    assert made["Config"]["Tty"]
    assert made["HostConfig"]["NetworkMode"] == "host"
    assert made["HostConfig"]["UTSMode"] == made["HostConfig"]["UsernsMode"] == "host"


def test_a_network_of_the_users_own_and_ports_of_the_group(agent, docker):
    docker.ok("POST", "/networks/create", body={
        "Name": "options", "IPAM": {"Config": [{"Subnet": "10.251.77.0/24"}]}})
    try:
        made = inspect(agent, docker, """
        network_mode    = "options"
        network_aliases = ["shop"]
        ipv4_address    = "10.251.77.9"
        mac_address     = "02:42:0a:fb:4d:09"
        ports           = ["admin"]
        args            = ["stay"]
""", group="""
    network {
      port "http" {}
      port "admin" {
        to = 9000
      }
    }
""")
        network = made["NetworkSettings"]["Networks"]["options"]
        assert "shop" in network["Aliases"]
        assert (network["IPAddress"], network["MacAddress"]) == (
            "10.251.77.9", "02:42:0a:fb:4d:09")
        assert sorted(made["HostConfig"]["PortBindings"]) == ["9000/tcp", "9000/udp"]
        agent.stop_jobs()
        until(lambda: not docker.containers(**{"sluice.job_id": "one"}), "the container goes")
    finally:
        docker.request("DELETE", "/networks/options")
