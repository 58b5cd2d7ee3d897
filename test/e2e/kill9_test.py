"""`kill -9` of the agent at random points while jobs are run, changed, stopped and purged: nothing
that was acknowledged is lost, no task runs twice, and nothing is left over once it has settled.

SLUICE_KILLS is how often (50 by default), SLUICE_SEED repeats the choices of a run."""

import contextlib
import json
import os
import pathlib
import random
import signal
import threading
import time

from helpers import jobs
from helpers.agent import ApiError
from helpers.wait import until

KILLS = int(os.environ.get("SLUICE_KILLS", "50"))
SEED = int(os.environ.get("SLUICE_SEED", random.SystemRandom().randrange(1 << 32)))
NAMES = ["a", "b", "c", "web"]
GONE = ("gone", 0, 0)  # stopped, purged or never there


class Workload:
    """Says changes to the agent one after the other and remembers what was acknowledged."""

    def __init__(self, agent, folder, rng):
        self.agent, self.folder, self.rng = agent, folder, rng
        self.serial = 0
        self.known = dict.fromkeys(NAMES, GONE)  # by job: what was acknowledged last
        self.doubtful = {}  # by job: what was said and not answered
        self.once = {}  # by job that runs once: whether it was acknowledged
        self.acknowledged = 0
        self.templates = {name: self.template(name) for name in NAMES + ["once"]}

    def template(self, name):
        if name == "web":
            text = jobs.http("web", host="web.test", group=jobs.AT_ONCE)
        elif name == "once":
            text = jobs.batch("once", [])
        else:
            text = jobs.http(name, check=False, group=jobs.AT_ONCE)
        path = self.folder / (name + ".nomad")
        path.write_text(text)
        result = self.agent.verb("job", "run", "-output", path)
        assert result.code == 0, result
        job = json.loads(result.out)["Job"]
        task = job["TaskGroups"][0]["Tasks"][0]
        if name in ("a", "b", "c"):
            task["Config"] = {"command": "/bin/sleep", "args": ["100000"]}
            task["Services"] = None
        return job

    def register(self, name, serial, count):
        job = json.loads(json.dumps(self.templates[name]))
        job["Meta"] = {"serial": str(serial)}
        job["TaskGroups"][0]["Count"] = count
        self.agent.put("/v1/jobs", {"Job": job})

    def run_once(self, serial):
        job = json.loads(json.dumps(self.templates["once"]))
        name = job["ID"] = job["Name"] = "once-%d" % serial
        task = job["TaskGroups"][0]["Tasks"][0]
        line = "echo $NOMAD_ALLOC_ID >> %s; exec sleep 0.%d" % (self.folder / name, serial % 4)
        task["Config"] = {"command": "/bin/sh", "args": ["-c", line]}
        self.once[name] = False
        self.agent.put("/v1/jobs", {"Job": job})
        self.once[name] = True

    def step(self):
        """One change. False: the agent is not there."""
        self.serial += 1
        name, choice = self.rng.choice(NAMES), self.rng.random()
        try:
            if choice < 0.25:
                self.run_once(self.serial)
            elif choice < 0.45:
                self.said(name, GONE, lambda: self.agent.call(
                    "DELETE", "/v1/job/%s%s" % (name, "?purge=true" if choice < 0.3 else "")))
            else:
                count = self.rng.randint(1, 3)
                self.said(name, ("there", self.serial, count),
                          lambda: self.register(name, self.serial, count))
        except ApiError as e:
            if e.status != 404:
                raise
        except OSError:
            return False
        self.acknowledged += 1
        return True

    def said(self, name, state, call):
        self.doubtful[name] = state
        try:
            call()
        except ApiError:
            del self.doubtful[name]  # an answer: it was refused
            raise
        self.known[name] = state
        del self.doubtful[name]

    def check(self):
        """What the agent has now is what was acknowledged last, or said after that."""
        for name, before in self.known.items():
            now = self.state(name)
            allowed = {before, self.doubtful.pop(name, before)}
            assert now in allowed, (name, now, allowed)
            self.known[name] = now
        there = {job["ID"] for job in self.agent.get("/v1/jobs")}
        lost = [name for name, acknowledged in self.once.items()
                if acknowledged and name not in there]
        assert not lost, lost

    def state(self, name):
        try:
            job = self.agent.get("/v1/job/" + name)
        except ApiError as e:
            assert e.status == 404, e
            return GONE
        if job["Stop"]:
            return GONE
        return "there", int(job["Meta"]["serial"]), job["TaskGroups"][0]["Count"]

    def settled(self):
        """Every job has what it should, and the machine has the processes of that and no other."""
        running = {}
        for name, (_, serial, count) in self.known.items():
            allocs = self.agent.get("/v1/allocations", prefix="", task_states="true")
            live = [a for a in allocs if a["JobID"] == name and a["ClientStatus"] in
                    ("running", "pending")]
            assert len(live) == count, (name, count, live)
            for alloc in live:
                assert alloc["ClientStatus"] == "running" and alloc["DesiredStatus"] == "run"
                full = self.agent.get("/v1/allocation/" + alloc["ID"])
                assert full["Job"]["Meta"]["serial"] == str(serial), (name, serial)
                running[alloc["ID"]] = full
        assert sorted(self.agent.task_pids().values()) == sorted(running)
        return running

    def check_once(self):
        """Each job that runs once did so exactly once, and its end is known."""
        for name, acknowledged in self.once.items():
            path = self.folder / name
            lines = path.read_text().splitlines() if path.exists() else []
            try:
                allocs = self.agent.get("/v1/job/%s/allocations" % name)
            except ApiError as e:
                assert e.status == 404 and not acknowledged
                allocs = []
            assert acknowledged is False or len(allocs) == 1, (name, allocs)
            assert lines == [a["ID"] for a in allocs], (name, lines, allocs)
            for alloc in allocs:
                assert alloc["ClientStatus"] == "complete", (name, alloc)
                ends = [e for e in alloc["TaskStates"]["once"]["Events"]
                        if e["Type"] == "Terminated"]
                assert [e["ExitCode"] for e in ends] == [0], (name, ends)
        return True


def no_task_twice(agent):
    """At most one process an allocation. A pid that goes away while we look is no second one."""
    found = {}
    for pid, alloc in agent.task_pids().items():
        found.setdefault(alloc, []).append(pid)
    for alloc, pids in found.items():
        if len(pids) > 1:
            alive = [p for p in pids if pathlib.Path("/proc", str(p), "environ").exists()
                     and "Z" not in pathlib.Path("/proc", str(p), "stat").read_text()]
            assert len(alive) <= 1, (alloc, pids)


def kill_supervisor(agent):
    with contextlib.suppress(LookupError, ProcessLookupError):  # none started yet
        os.kill(agent.supervisor_pid(), signal.SIGKILL)


def test_kill_9_at_random_points(make_agent, tmp_path):
    print("SLUICE_SEED=%d SLUICE_KILLS=%d" % (SEED, KILLS))
    rng = random.Random(SEED)
    agent = make_agent(dev=False).start()
    work = Workload(agent, tmp_path, random.Random(rng.random()))
    for kill in range(KILLS):
        over = threading.Event()
        failures = []

        def go_on():
            try:
                while not over.is_set() and work.step():
                    pass
            except Exception as e:  # shown by the main thread
                failures.append(e)
        worker = threading.Thread(target=go_on)
        worker.start()
        time.sleep(rng.choice([0.02, 0.2, 1.0]) * rng.random())
        if rng.random() < 0.2:  # and what holds its tasks
            kill_supervisor(agent)
        agent.kill()
        over.set()
        worker.join()
        assert not failures, (kill, failures)
        no_task_twice(agent)
        for _ in range(rng.choice([0, 0, 1, 2])):  # in the middle of starting, too
            agent.launch()
            time.sleep(rng.random() * 0.3)
            agent.kill()
            no_task_twice(agent)
        agent.launch()
        until(lambda: agent.get("/v1/status/leader"), "the agent answers", 20)
        work.check()
    until(work.settled, "everything is as acknowledged, and nothing else runs", 90, every=0.2)
    until(work.check_once, "what runs once has run once", 30, every=0.2)
    running = work.settled()
    assert {t["Restarts"] for a in running.values() for t in a["TaskStates"].values()} <= {0}
    print("%d changes acknowledged, %d of them jobs that run once; %d tasks run at the end"
          % (work.acknowledged, sum(work.once.values()), len(running)))
    assert work.acknowledged > 0  # how many is the speed of the machine
