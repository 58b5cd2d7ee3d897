"""Bad input: a clear message, a non-zero exit, and nothing changed."""

import socket

import pytest
from helpers import jobs, tree
from helpers.wait import until


def refused(agent, text, *words):
    """`job run` of the text fails, says all the words, and registers nothing."""
    path = agent.folder / "bad.nomad"
    path.write_text(text)
    result = agent.verb("job", "run", path)
    assert result.code not in (0, None), result
    for word in words:
        assert word in result.all, (word, result)
    assert agent.get("/v1/jobs") == []
    return result


def test_broken_hcl(agent):
    text = 'job "x" {\n  group "g" {\n    count = = 2\n  }\n}\n'
    result = refused(agent, text, "bad.nomad:3:", "count = = 2", "^")
    assert "expected" in result.all.lower()


def test_unclosed_block(agent):
    refused(agent, 'job "x" {\n  group "g" {\n', "bad.nomad:")


def test_unknown_driver(agent):
    refused(agent, jobs.http().replace('driver = "raw_exec"', 'driver = "quantum"'), "quantum")


def test_count_below_zero(agent):
    refused(agent, jobs.http().replace("count = 1", "count = -1"), "count")


def test_unknown_key_of_a_driver(agent):
    refused(agent, jobs.http().replace("args = [", 'comand = "x"\n args = ['), "comand")


def test_what_consul_would_not_take(agent):
    for passing in (0, 65536):
        refused(agent, jobs.http(service="weights {\n passing = %d\n }" % passing),
                "weights: passing must be 1 to 65535, warning 0 to 65535")
    late = 'check {\n type = "tcp"\n interval = "1s"\n timeout = "1s"\n%s = "59s"\n }'
    name = "deregister_critical_service_after"
    refused(agent, jobs.http(service=late % name), name + " must be at least 1m")


def test_no_such_file(agent):
    result = agent.verb("job", "run", "nowhere.nomad")
    assert result.code != 0 and "nowhere.nomad" in result.all


def test_a_static_port_taken_twice(agent, free_port):
    port = 'port "http" { static = %d }' % free_port()
    text = jobs.http(count=2).replace('port "http" {}', port)
    path = agent.folder / "twice.nomad"
    path.write_text(text)
    plan = agent.verb("job", "plan", path)
    assert "port" in plan.all.lower() and "exhausted" in plan.all.lower(), plan
    result = agent.verb("job", "run", path)
    assert result.code == 2, result  # placed in part
    agent.wait_running("shop", 1)
    assert len(agent.task_pids()) == 1


def test_a_listeners_port_is_reserved(agent):
    """The balancer's own port: the plan names the conflict."""
    text = jobs.http().replace('port "http" {}', 'port "http" { static = %d }' % agent.proxy_port)
    path = agent.folder / "reserved.nomad"
    path.write_text(text)
    plan = agent.verb("job", "plan", path)
    assert "port" in plan.all.lower() and str(agent.proxy_port) in plan.all, plan


@pytest.mark.parametrize("which", ["proxy_port", "api_port", "ui_port"])
def test_a_listeners_port_in_use(make_agent, which):
    agent = make_agent(dev=False)
    with socket.socket() as taken:
        # The other side shares its port: without a probe the agent would join it in silence.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", getattr(agent, which)))
        taken.listen()
        agent.launch()
        assert agent.process.wait(20) != 0
        assert str(getattr(agent, which)) in agent.process.err()
        assert "in use" in agent.process.err()
        assert not (agent.folder / "data" / "server").exists()  # no state was opened


def test_a_second_agent_on_the_same_ports(agent, make_agent):
    second = make_agent("second")
    second.config.write_text(second.config.read_text()
                             .replace(str(second.proxy_port), str(agent.proxy_port)))
    second.launch()
    assert second.process.wait(20) != 0
    assert "in use" in second.process.err()
    assert agent.get("/v1/status/leader")


def test_a_second_agent_on_the_same_data(make_agent):
    first = make_agent(dev=False).start()
    second = make_agent("second", dev=False)
    second.config.write_text(second.config.read_text()
                             .replace(str(second.folder / "data"), str(first.folder / "data")))
    second.launch()
    assert second.process.wait(20) != 0
    assert str(first.folder / "data") in second.process.err()


def test_a_broken_agent_configuration(make_agent):
    agent = make_agent(config="server {\n  enabled = maybe\n")
    agent.launch()
    assert agent.process.wait(20) != 0
    assert "agent.hcl:" in agent.process.err()


def test_no_agent_to_talk_to(make_agent):
    agent = make_agent()  # not started
    result = agent.verb("job", "status")
    assert result.code != 0 and str(agent.api_port) in result.all


def test_an_unknown_verb_and_an_unknown_job(agent):
    assert agent.verb("jobb").code != 0
    result = agent.verb("job", "status", "nothere")
    assert result.code != 0 and "nothere" in result.all


def test_a_missing_command_is_the_tasks_error(agent):
    agent.run(jobs.http(restart='attempts = 0\n mode = "fail"')
              .replace(str(tree.backend), "no-such-program"))

    def told():
        result = agent.verb("alloc", "status", agent.get("/v1/job/shop/allocations")[0]["ID"])
        return "no-such-program" in result.all
    until(told, "alloc status names the program")
