"""Pulls from a real registry: with and without a password, a wrong one, a missing image, a registry
that is down and comes back."""

import base64
import json
import os

import pytest
from helpers.registry import PASSWORD, USER, Registry
from helpers.wait import stays, until

SOURCE = "bigwhite/httpbackendservice:v1.0.0"


@pytest.fixture
def registry(docker, tmp_path):
    """registry(password=...) -> one that runs. Docker forgets what it pulled from there."""
    made = []

    def make(**options):
        made.append(Registry(tmp_path / ("registry%d" % len(made)), **options).start())
        return made[-1]
    yield make
    for one in made:
        if one.process.running():
            one.stop()
        for image in docker.get("/images/json"):
            for name in image["RepoTags"] or []:
                if name.startswith(one.name + "/"):
                    docker.forget_image(name)


@pytest.fixture
def agent(docker, registry, make_agent):
    """agent(config=..., env=...) -> one that runs. HOME holds no Docker config but the test's."""
    def make(config="", env=None, dev=True):
        return make_agent(dev=dev, flags=["-docker-socket", docker.sock], config=config,
                          env={"HOME": "/nonexistent", "DOCKER_CONFIG": "", **(env or {})}).start()
    return make


def job(image, config="", count=1):
    return """
job "pull" {
  datacenters = ["dc1"]
  group "pull" {
    count = %d
    restart {
      attempts = 1
      interval = "10m"
      delay    = "100ms"
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "pull" {
      driver = "docker"
      config {
        image = "%s"
        %s
      }
    }
  }
}
""" % (count, image, config)


def auth(user=USER, password=PASSWORD):
    return 'auth {\n username = "%s"\n password = "%s"\n }' % (user, password)


def run(agent, text):
    agent.run(text, flags=["-detach"])


def events(agent):
    """The messages of the newest allocation's task, oldest first."""
    newest = max(agent.get("/v1/job/pull/allocations"), key=lambda a: a["CreateIndex"])
    state = agent.get("/v1/allocation/" + newest["ID"])["TaskStates"]
    return [e["DisplayMessage"] for e in (state or {"pull": {"Events": []}})["pull"]["Events"]]


def failed(agent):
    """Waits until the only allocation has failed for good."""
    until(lambda: [a["ClientStatus"] for a in agent.get("/v1/job/pull/allocations")] == ["failed"],
          "the allocation fails", 30)


def test_pull_without_a_password(docker, registry, agent):
    image = registry().push(docker, SOURCE, "some/backend:1")
    a = agent()
    run(a, job(image))
    a.wait_running("pull", 1)
    said = events(a)
    assert "Downloading image " + image in said
    assert any(e.startswith("Image %s downloaded in " % image) for e in said), said


def test_many_tasks_share_one_pull(docker, registry, agent):
    server = registry()
    image = server.push(docker, SOURCE, "some/shared:1")
    a = agent()
    run(a, job(image, count=5))
    a.wait_running("pull", 5, 40)
    # Docker asks for the manifest by its tag once a pull.
    asked = [r for r in server.requests("/v2/some/shared/manifests/1")
             if "PUT" not in r and "docker/" in r]
    gets = [r for r in asked if "GET" in r]
    assert len(gets) <= 1 and len(asked) <= 2, asked


def test_pull_with_the_tasks_password(docker, registry, agent):
    image = registry(password=True).push(docker, SOURCE, "some/closed:1")
    a = agent()
    run(a, job(image, auth()))
    a.wait_running("pull", 1)
    assert PASSWORD not in a.err() + a.out()


@pytest.mark.parametrize("given", ["", auth(password="wrong"), auth(user="nobody")],
                         ids=["none", "wrong", "unknown user"])
def test_a_wrong_password_fails_the_task_and_says_so(docker, registry, agent, given):
    image = registry(password=True).push(docker, SOURCE, "some/closed:1")
    a = agent()
    run(a, job(image, given))
    failed(a)
    told = [e for e in events(a) if "pull image " + image in e]
    assert len(told) == 2, events(a)  # the start and its one restart
    assert all("no basic auth credentials" in e or "unauthorized" in e for e in told), told
    assert docker.request("GET", "/images/%s/json" % image)[0] == 404


def test_a_missing_image_fails_the_task_and_says_so(docker, registry, agent):
    server = registry()
    server.push(docker, SOURCE, "some/backend:1")
    a = agent()
    for name in ("some/backend:2", "some/other:1"):
        image = "%s/%s" % (server.name, name)
        run(a, job(image))
        until(lambda: len([e for e in events(a) if "pull image " + image in e]) == 2
              and max(a.get("/v1/job/pull/allocations"),
                      key=lambda x: x["CreateIndex"])["ClientStatus"] == "failed",
              "a start and a restart fail for want of " + name, 30)
        assert all("not found" in e for e in events(a) if "pull image" in e), events(a)


def test_a_registry_that_is_down_is_waited_for(docker, registry, agent):
    server = registry()
    image = server.push(docker, SOURCE, "some/backend:1")
    server.stop()
    a = agent()
    run(a, job(image))
    until(lambda: any("connection refused; trying again" in e for e in events(a)), "it says why")
    stays(lambda: [x["ClientStatus"] for x in a.get("/v1/job/pull/allocations")] == ["pending"],
          "waiting", 4)  # past several tries: no attempt is used up
    assert len([e for e in events(a) if "trying again" in e]) == 1  # said once
    server.start()
    a.wait_running("pull", 1, 40)
    task = a.get("/v1/allocation/" + a.allocs("pull")[0]["ID"])["TaskStates"]["pull"]
    assert (task["Restarts"], task["Failed"]) == (0, False)


@pytest.mark.parametrize("agents_end", ["kill9", "upgrade"])
def test_the_agent_is_replaced_while_the_registry_is_down(docker, registry, agent, agents_end):
    server = registry()
    image = server.push(docker, SOURCE, "some/backend:1")
    server.stop()
    a = agent(dev=False)
    run(a, job(image))
    until(lambda: any("trying again" in e for e in events(a)), "it waits", 20)
    a.replace(agents_end)
    server.start()
    first = a.wait_running("pull", 1, 40)[0]
    assert (first["TaskStates"]["pull"]["Restarts"], first["JobVersion"]) == (0, 0)
    assert len(a.get("/v1/job/pull/allocations")) == 1
    ours = [c for c in docker.containers() if c["Labels"].get("sluice.job_id") == "pull"]
    assert [c["State"] for c in ours] == ["running"]


@pytest.mark.parametrize("agents_end", ["kill9", "upgrade"])
def test_the_registry_comes_back_while_the_agent_is_replaced(docker, registry, agent, agents_end):
    server = registry()
    image = server.push(docker, SOURCE, "some/backend:1")
    server.stop()
    a = agent(dev=False)
    run(a, job(image, count=3))
    until(lambda: any("trying again" in e for e in events(a)), "it waits", 20)
    with a.replaced(agents_end):
        server.start()
    for alloc in a.wait_running("pull", 3, 40):
        state = a.get("/v1/allocation/" + alloc["ID"])["TaskStates"]["pull"]
        assert (state["Restarts"], state["Failed"]) == (0, False)
    ours = [c for c in docker.containers() if c["Labels"].get("sluice.job_id") == "pull"]
    assert [c["State"] for c in ours] == ["running"] * 3


def test_a_job_stopped_while_the_registry_is_down_leaves_nothing(docker, registry, agent):
    server = registry()
    image = server.push(docker, SOURCE, "some/backend:1")
    server.stop()
    a = agent()
    run(a, job(image))
    until(lambda: any("trying again" in e for e in events(a)), "it waits", 20)
    assert a.verb("job", "stop", "pull").code == 0
    until(lambda: [x["ClientStatus"] for x in a.get("/v1/job/pull/allocations")] == ["complete"],
          "it ends", 10)
    server.start()
    stays(lambda: docker.request("GET", "/images/%s/json" % image)[0] == 404, "nothing pulled", 2)


def test_the_config_file(docker, registry, agent, tmp_path):
    server = registry(password=True)
    image = server.push(docker, SOURCE, "some/closed:1")
    folder = tmp_path / "dot-docker"
    folder.mkdir()
    pair = base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {server.name: {"auth": pair}}}))
    a = agent(env={"DOCKER_CONFIG": str(folder)})
    run(a, job(image))
    a.wait_running("pull", 1)


def test_a_credential_helper(docker, registry, agent, tmp_path):
    server = registry(password=True)
    image = server.push(docker, SOURCE, "some/closed:1")
    script = tmp_path / "docker-credential-tests"
    secret = json.dumps({"Username": USER, "Secret": PASSWORD})
    script.write_text("#!/bin/sh\nread name\n[ \"$1 $name\" = 'get %s' ] && echo '%s'\n"
                      % (server.name, secret))
    script.chmod(0o755)
    named = tmp_path / "docker.json"
    named.write_text(json.dumps({"credHelpers": {server.name: "tests"}}))
    path = {"PATH": "%s:%s" % (tmp_path, os.environ["PATH"])}
    a = agent('plugin "docker" {\n config {\n auth {\n config = "%s"\n }\n }\n }\n' % named, path)
    run(a, job(image))
    a.wait_running("pull", 1)


def test_a_helper_that_fails_is_named_and_may_be_soft(docker, registry, agent, tmp_path):
    image = registry().push(docker, SOURCE, "some/backend:1")
    a = agent('plugin "docker" {\n config {\n auth {\n helper = "absent"\n }\n }\n }\n')
    run(a, job(image))
    failed(a)
    assert any("docker-credential-absent" in e for e in events(a)), events(a)
    run(a, job(image, "auth_soft_fail = true"))
    a.wait_running("pull", 1)
    assert any(e.endswith("; going on without credentials") for e in events(a)), events(a)


GC = 'plugin "docker" {\n config {\n gc {\n image_delay = "2s"\n }\n }\n }\n'


def there(docker, image):
    return docker.request("GET", "/images/%s/json" % image)[0] == 200


def test_a_pulled_image_goes_once_nothing_needs_it_also_after_a_crash(docker, registry, agent):
    server = registry()
    image = server.push(docker, SOURCE, "some/backend:1")
    a = agent(GC, dev=False)
    run(a, job(image))
    a.wait_running("pull", 1)
    stays(lambda: there(docker, image), "a container needs it", 4)
    assert a.verb("job", "stop", "pull").code == 0
    until(lambda: not docker.containers(**{"sluice.job_id": "pull"}), "the container goes")
    a.kill()
    assert there(docker, image)
    a.start()
    until(lambda: not there(docker, image), "the image goes", 15)
    assert there(docker, SOURCE)  # the same image under a name that we did not pull
    # It is pulled anew where it is needed again.
    run(a, job(image))
    a.wait_running("pull", 1)
    assert there(docker, image)


def test_an_image_that_others_brought_stays(docker, registry, agent):
    image = registry().push(docker, SOURCE, "some/backend:1")
    docker.ok("POST", "/images/create?fromImage=%s&tag=1" % image.rpartition(":")[0])
    a = agent(GC, dev=False)
    run(a, job(image, "force_pull = true"))
    a.wait_running("pull", 1)
    assert a.verb("job", "stop", "pull").code == 0
    until(lambda: not docker.containers(**{"sluice.job_id": "pull"}), "the container goes")
    stays(lambda: there(docker, image), "the image", 5)
