"""What the verbs print: the layout that users of Nomad know."""

import json
import re
import subprocess

import pytest
from helpers import jobs, tree
from helpers.wait import until

ID = "[0-9a-f]{8}"


@pytest.fixture
def job_file(agent):
    path = agent.folder / "httpbackend.nomad"
    path.write_text(jobs.http("httpbackend", count=2, host="mysite.com:9999"))
    return path


def test_plan_of_a_new_job(agent, job_file):
    result = agent.verb("job", "plan", job_file)
    assert result.code == 1, result  # there are changes
    assert result.out.startswith("""+ Job: "httpbackend"
+ Task Group: "httpbackend" (2 create)
  + Task: "httpbackend" (forces create)

Scheduler dry-run:
- All tasks successfully allocated.

Job Modify Index: 0
To submit the job with version verification run:

sluice job run -check-index 0 %s
""" % job_file), result
    assert agent.get("/v1/jobs") == []


def test_run_monitors_the_evaluation(agent, job_file):
    result = agent.verb("job", "run", job_file)
    assert result.code == 0, result
    evaluation = re.match(r'==> Monitoring evaluation "(%s)"\n' % ID, result.out).group(1)
    assert '    Evaluation triggered by job "httpbackend"\n' in result.out
    created = re.findall(r'^    Allocation "(%s)" created: node "(%s)", group "httpbackend"$'
                         % (ID, ID), result.out, re.M)
    assert len(created) == 2
    assert '    Evaluation status changed: "pending" -> "complete"\n' in result.out
    assert result.out.endswith('==> Evaluation "%s" finished with status "complete"\n'
                               % evaluation)


def test_status_of_a_job(agent, job_file):
    agent.verb("job", "run", job_file)
    agent.wait_running("httpbackend", 2)
    result = agent.verb("job", "status", "httpbackend")
    assert result.code == 0, result
    head, _, rest = result.out.partition("\nSummary\n")
    lines = [line for line in head.splitlines() if line]
    assert [re.split(r"\s+= ", line)[0] for line in lines] == [
        "ID", "Name", "Submit Date", "Type", "Priority", "Datacenters", "Status", "Periodic",
        "Parameterized"], result
    values = dict(re.split(r"\s+= ", line) for line in lines)
    assert values["ID"] == values["Name"] == "httpbackend"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)", values["Submit Date"])
    assert (values["Type"], values["Priority"], values["Datacenters"], values["Status"],
            values["Periodic"]) == ("service", "50", "dc1", "running", "false")
    summary, _, allocations = rest.partition("\nAllocations\n")
    assert re.search(r"^Task Group +Queued +Starting +Running +Failed +Complete +Lost", summary)
    assert re.search(r"^httpbackend +0 +0 +2 +0 +0 +0", summary, re.M)
    rows = allocations.splitlines()
    assert re.split(r"  +", rows[0].strip()) == [
        "ID", "Node ID", "Task Group", "Version", "Desired", "Status", "Created", "Modified"]
    for row in rows[1:3]:
        assert re.fullmatch(r"%s  %s  httpbackend  0        run      running  \d+s ago +\d+s ago"
                            % (ID, ID), row.rstrip()), row


def test_list_of_jobs(agent, job_file):
    assert agent.verb("job", "status").out.strip() == "No running jobs"
    agent.verb("job", "run", job_file)
    rows = agent.verb("job", "status").out.splitlines()
    assert re.split(r"  +", rows[0].strip())[:4] == ["ID", "Type", "Priority", "Status"]
    assert re.match(r"httpbackend +service +50 +(running|pending) ", rows[1])


def test_check_index(agent, job_file):
    assert agent.verb("job", "run", "-check-index", "0", job_file).code == 0
    index = agent.get("/v1/job/httpbackend")["JobModifyIndex"]
    result = agent.verb("job", "run", "-check-index", "0", job_file)
    assert result.code != 0 and "Enforcing job modify index 0: job already exists" in result.all
    result = agent.verb("job", "run", "-check-index", index + 1000, job_file)
    assert "Enforcing job modify index %d: job exists with conflicting job modify index: %d" % (
        index + 1000, index) in result.all
    assert agent.verb("job", "run", "-check-index", index, job_file).code == 0


def test_detach_prints_the_evaluation_and_returns(agent, job_file):
    result = agent.verb("job", "run", "-detach", job_file)
    assert result.code == 0 and re.search(r"Evaluation ID: [0-9a-f-]{36}", result.out), result


def test_output_prints_the_json_and_sends_nothing(agent, job_file):
    result = agent.verb("job", "run", "-output", job_file)
    assert result.code == 0 and json.loads(result.out)["Job"]["ID"] == "httpbackend"
    assert agent.get("/v1/jobs") == []


def test_plan_of_an_unchanged_job(agent, job_file):
    agent.verb("job", "run", job_file)
    agent.wait_running("httpbackend", 2)
    result = agent.verb("job", "plan", job_file)
    assert result.code == 0, result
    assert 'Job: "httpbackend"\nTask Group: "httpbackend" (2 ignore)' in result.out


def test_nodes(agent):
    for verb in (("node", "status"), ("node-status",)):
        rows = agent.verb(*verb).out.splitlines()
        assert re.split(r"  +", rows[0].strip())[0] == "ID" and "Status" in rows[0]
        assert re.match(ID, rows[1]) and "ready" in rows[1]


def test_alloc_status_and_logs(agent):
    agent.run(jobs.batch("count", ["-lines", "3", "-exit", "0"]))
    alloc = until(lambda: agent.allocs("count", "complete"), "the task completes")[0]["ID"]
    status = agent.verb("alloc", "status", alloc[:8])
    assert status.code == 0 and alloc[:8] in status.out and "complete" in status.out
    assert agent.verb("alloc", "logs", alloc[:8]).out == "line 1\nline 2\nline 3\n"
    assert agent.verb("alloc", "logs", alloc[:8], "count").out == "line 1\nline 2\nline 3\n"
    assert agent.verb("alloc", "logs", "-stderr", alloc[:8]).out == ""


def test_templates_of_answers(agent, job_file):
    agent.verb("job", "run", job_file)
    agent.wait_running("httpbackend", 2)
    ids = sorted(each["ID"] for each in agent.allocs("httpbackend"))
    result = agent.verb("job", "allocs", "-t", r'{{range .}}{{.ID}} {{.ClientStatus | printf "%q"}}'
                        r'{{"\n"}}{{end}}', "httpbackend")
    assert sorted(result.out.split()) == sorted(ids + ['"running"'] * 2), result
    result = agent.verb("job", "status", "-t", "{{.Nope}}", "httpbackend")
    assert result.code == 1 and "Nope" in result.err, result
    result = agent.verb("job", "status", "-t", "{{.ID", "httpbackend")
    assert result.code == 1 and "Error parsing template" in result.err, result


def test_files_of_an_allocation(agent):
    agent.run(jobs.batch("count", ["-lines", "30", "-exit", "0"]))
    alloc = until(lambda: agent.allocs("count", "complete"), "the task completes")[0]["ID"]
    log = "alloc/logs/count.stdout.0"
    lines = ["line %d" % n for n in range(1, 31)]
    rows = [re.split("  +", row) for row in agent.verb("alloc", "fs", alloc).out.splitlines()]
    assert rows[0] == ["Mode", "Size", "Modified Time", "Name"]
    assert [row[3] for row in rows[1:]] == ["alloc/", "count/"], rows
    assert agent.verb("alloc", "fs", alloc, log).out.splitlines() == lines
    assert agent.verb("fs", "-job", "count", log).out.splitlines() == lines
    assert agent.verb("alloc", "fs", "-tail", alloc, log).out.splitlines() == lines[-10:]
    assert agent.verb("alloc", "fs", "-n", 3, alloc, log).out.splitlines() == lines[-3:]
    assert agent.verb("alloc", "fs", "-c", 8, alloc, log).out == "line 30\n"
    size = sum(len(line) + 1 for line in lines)
    entry = agent.verb("alloc", "fs", "-stat", "-H", alloc, log).out.splitlines()[1].split()
    assert entry[1] == str(size) and entry[3] == "count.stdout.0", entry
    missing = agent.verb("alloc", "fs", alloc, "alloc/nothing")
    assert missing.code == 1 and "alloc/nothing: No such file" in missing.err, missing
    outside = agent.verb("alloc", "fs", alloc, "../../../../etc/passwd")
    assert outside.code == 1 and "root:" not in outside.out, outside


def test_checks_of_an_allocation(agent):
    agent.run(jobs.http("web", host="web.test"))
    agent.wait_routes("web.test", 1)
    alloc = agent.wait_running("web", 1)[0]["ID"]
    checks = agent.get("/v1/client/allocation/%s/checks" % alloc)
    assert [(c["Service"], c["Status"]) for c in checks.values()] == [("web", "success")]
    out = agent.verb("alloc", "checks", alloc).out
    assert "Status of 1 Service Checks" in out and re.search(r"Status +=? *= success", out), out
    assert "200 OK" in out
    agent.run(jobs.http("ill", host="ill.test").replace('"/health"', '"/status/500"'))
    ill = agent.wait_running("ill", 1)[0]["ID"]

    def failed():
        found = agent.get("/v1/client/allocation/%s/checks" % ill)
        return [c for c in found.values() if c["Status"] == "failure"]
    until(failed, "the check of a server that answers 500 is a failure")


def test_completion(agent, job_file):
    """bash itself asks, by the script that a user sources."""
    agent.verb("job", "run", job_file)
    alloc = agent.wait_running("httpbackend", 2)[0]["ID"]

    def offered(line, api=agent.api):
        asked = subprocess.run(
            ["bash", "--norc", "-c", "source <(sluice completion bash); COMP_LINE=$1;"
             "COMP_POINT=${#COMP_LINE}; _sluice; printf '%s\\n' \"${COMPREPLY[@]}\"", "bash", line],
            capture_output=True, text=True, check=True, timeout=20,
            env={"PATH": "%s:/usr/bin:/bin" % tree.sluice.parent, "SLUICE_ADDR": api})
        return asked.stdout.split()
    assert offered("sluice job re") == ["restart", "revert"]
    assert offered("sluice operator raft ") == ["list-peers"]
    assert "agent" in offered("sluice ") and "status" in offered("sluice ")
    assert offered("sluice job run -var") == ["-var", "-var-file"]
    assert offered("sluice job stop htt") == ["httpbackend"]
    assert offered("sluice alloc logs -f " + alloc[:6]) == [alloc]
    assert offered("sluice alloc logs %s " % alloc) == []
    assert len(offered("sluice node status ")) == 1
    assert offered("sluice nonsense ") == []
    # Without an agent there are no ids, and no error on the screen.
    assert offered("sluice job stop ", "http://127.0.0.1:9") == []
    wrong = agent.verb("completion", "tcsh")
    assert wrong.code == 1 and "bash, zsh and fish" in wrong.err


@pytest.mark.parametrize("name", sorted(p.name for p in tree.examples.glob("*backend*.nomad")))
def test_the_users_jobs_validate(agent, name):
    result = agent.verb("job", "validate", tree.examples / name)
    assert result.code == 0, result


def test_version():
    out = subprocess.run([str(tree.sluice), "version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"sluice v?\d+\.\d+\.\d+.*\n", out.stdout)


def test_the_first_job_file_runs_as_it_stands(agent, curl):
    """`job init`, with comments and without: the same job."""
    folder = agent.folder
    assert agent.verb("job", "init", cwd=folder).out == (
        "Example job file written to example.nomad.hcl\n")
    again = agent.verb("init", cwd=folder)
    assert (again.code, again.err) == (1, "Job 'example.nomad.hcl' already exists\n")
    assert agent.verb("job", "init", "-short", "short.nomad", cwd=folder).code == 0
    long, short = ((folder / name).read_text() for name in ("example.nomad.hcl", "short.nomad"))
    assert "#" in long and "#" not in short
    outputs = [json.loads(agent.verb("job", "run", "-output", folder / name).out)
               for name in ("example.nomad.hcl", "short.nomad")]
    assert outputs[0] == outputs[1]

    assert agent.verb("job", "run", "-detach", folder / "example.nomad.hcl").code == 0
    agent.wait_routes("example.localhost:9999", 2)
    pages = {curl(agent.traffic, "-H", "Host: example.localhost:9999").body for _ in range(30)}
    assert sorted(re.match(r"instance (\d) on port \d+$", page.strip()).group(1)
                  for page in pages) == ["0", "1"]
