"""The agent's log by the API: each stream has a level of its own, and the process's stays."""

import base64
import json
import re
import urllib.request

from helpers import jobs
from helpers.wait import until


class Stream:
    def __init__(self, agent, level, plain=True):
        self.plain, self.raw = plain, b""
        self.answer = urllib.request.urlopen(
            "%s/v1/agent/monitor?log_level=%s%s" % (agent.api, level, "&plain=true" * plain),
            timeout=10)

    def read_until(self, pattern):
        def found():
            self.raw += self.answer.read1()
            return re.search(pattern, self.text())
        until(found, "a line like " + pattern)
        return self.text()

    def text(self):
        if self.plain:
            return self.raw.decode()
        frames, rest, decode = [], self.raw.decode(), json.JSONDecoder()
        while rest:
            frame, end = decode.raw_decode(rest)
            frames.append(base64.b64decode(frame.get("Data", "")).decode())
            rest = rest[end:].lstrip()
        return "".join(frames)


def test_levels_are_of_each_stream(make_agent):
    agent = make_agent()
    agent.config.write_text(agent.config.read_text().replace('"TRACE"', '"INFO"'))
    agent.start()
    debug, info = Stream(agent, "debug"), Stream(agent, "info", plain=False)
    agent.run(jobs.batch("once", ["-lines", "1", "-exit", "0"]))
    eval_id, = [e["ID"][:8] for e in agent.get("/v1/job/once/evaluations")
                if e["TriggeredBy"] == "job-register"]
    alloc_id = agent.get("/v1/job/once/allocations")[0]["ID"][:8]
    text = debug.read_until(r"\[DEBUG\] alloc %s task once: Terminated: Exit Code: 0" % alloc_id)
    for line in (
            r"server: evaluation %s of job once begins: job-register, priority 50" % eval_id,
            r"server: evaluation %s \(job-register\) of job once: 1 placements, 0 stops, 0 "
            r"updates, 0 groups without a place" % eval_id,
            r"server: commits \d+ to \d+: durable",
            r"alloc %s task once: Received: Task received by client" % alloc_id,
            r"alloc %s task once: Started: Task started by client" % alloc_id,
            r"api: PUT /v1/jobs took \d+\.\d{3} ms"):
        assert re.search(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[DEBUG\] %s$" % line, text, re.M), line
    assert "[INFO] server: job once registered, version 0" in text
    shown = info.read_until("server: job once registered, version 0")
    assert "[DEBUG]" not in shown and "[DEBUG]" not in agent.err()
    info.answer.close()
    agent.run(jobs.batch("more", ["-lines", "1", "-exit", "0"]))
    debug.read_until("job more begins")


def test_a_level_that_there_is_not(make_agent, curl):
    agent = make_agent().start()
    answer = curl(agent.api + "/v1/agent/monitor?log_level=loud")
    assert (answer.status, answer.body) == (400, "Unknown log level: loud")
