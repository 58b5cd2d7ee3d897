#!/usr/bin/env python3
"""What ./run does once build/sluice is there. Standard library only."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
BUILD = os.environ.get("SLUICE_BUILD") or os.path.join(ROOT, "build")
SLUICE = os.path.join(BUILD, "sluice")
BACKEND = os.path.join(BUILD, "bench", "demo-backend")
EXAMPLES = os.path.join(ROOT, "orchestrator", "examples")
# Others than the usual ones for the tests of this script.
API, TRAFFIC, ROUTES = map(int, os.environ.get("SLUICE_RUN_PORTS", "4646 9999 9998").split())
HOST = "mysite.com:9999"
ANSWER = "this is httpbackendservice, version: v1.0.0\n"
STARTED = time.monotonic()


class Failed(Exception):
    """A part that does not do what it should; its text names the part."""


def step(text):
    print("==> [%3ds] %s" % (time.monotonic() - STARTED, text), flush=True)


def get(port, path, **headers):
    """(status, text) of a GET on loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def wait_until(part, condition, timeout, agent):
    """condition()'s first true value; a part that does not come is a failure that names it."""
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        if agent.process.poll() is not None:
            raise Failed("%s: the agent ended with exit code %d\n%s"
                         % (part, agent.process.returncode, agent.tail()))
        try:
            last = condition()
            if last:
                return last
        except (OSError, ValueError, http.client.HTTPException) as e:
            last = e
        time.sleep(0.05)
    raise Failed("%s: not within %d s (last: %s)\n%s" % (part, timeout, last, agent.tail()))


class Agent:
    """`sluice agent -dev`; its lines are kept, and shown once it is live."""

    def __init__(self, *flags):
        self.lines = []
        self.live = False
        self.process = subprocess.Popen(
            [SLUICE, "agent", "-dev", "-http-port=%d" % API, "-proxy.addr=:%d" % TRAFFIC,
             "-ui.addr=127.0.0.1:%d" % ROUTES, "-log.level=TRACE", "-log.access.target=stdout",
             *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if self.live:
                print(line, end="", flush=True)

    def find(self, pattern, since=0):
        return [line for line in self.lines[since:] if re.search(pattern, line)]

    def tail(self):
        return "the agent's last lines:\n  " + "\n  ".join(self.lines[-25:])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("stop: the agent did not end within 30 s of SIGTERM\n" + self.tail())
        self.reader.join(5)
        return code


def sluice(*arguments):
    """(exit code, output) of a verb."""
    out = subprocess.run([SLUICE, *arguments], capture_output=True, text=True, timeout=120,
                         env={**os.environ, "SLUICE_ADDR": "http://127.0.0.1:%d" % API})
    return out.returncode, out.stdout + out.stderr


def show(title, text):
    print("\n# %s" % title)
    print(text.rstrip("\n") + "\n", flush=True)


def port_is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def prepare_docker():
    """Docker's socket, which DOCKER_HOST may name; the images that the job names are made from the
    demo backend where they are not there."""
    from helpers import docker as helper
    docker = helper.running()
    if not docker:
        raise Failed("docker: no Docker daemon answers on its socket "
                     "(/var/run/docker.sock, or what DOCKER_HOST names)")
    for name, arguments in helper.IMAGES.items():
        status, _ = docker.request("GET", "/images/%s/json" % name)
        if status == 404:
            step("building the image %s from the demo backend" % name)
            docker.build(name, arguments)
    return docker.sock


def routes():
    """The targets that the balancer has for the job's host."""
    status, text = get(ROUTES, "/api/routes")
    if status != 200:
        raise ValueError("GET /api/routes: %d" % status)
    return [r for r in json.loads(text) if r["host"] == HOST and r["healthy"]]


def bring_up(agent, job_file):
    code, text = sluice("version")
    if code != 0:
        raise Failed("version: exit code %d: %s" % (code, text))
    step("starting `sluice agent -dev`")
    wait_until("agent", lambda: get(API, "/v1/status/leader")[0] == 200, 20, agent)
    wait_until("balancer", lambda: get(ROUTES, "/health")[0] == 200, 20, agent)

    step("submitting %s" % os.path.relpath(job_file, ROOT))
    variables = ["-var", "backend=" + BACKEND] if job_file.endswith("demo.nomad") else []
    code, text = sluice("job", "run", *variables, job_file)
    show("sluice job run " + os.path.basename(job_file), text)
    if code != 0:
        raise Failed("job run: exit code %d\n%s" % (code, agent.tail()))
    step("waiting until both instances pass their check and are routed to")
    wait_until("service", lambda: len(routes()) == 2, 60, agent)


def send_request(agent):
    """The request through the balancer, and what it left in the logs."""
    since = len(agent.lines)
    status, body = get(TRAFFIC, "/", Host=HOST, Trace="abc")
    wait_until("access log", lambda: agent.find(r'"GET / HTTP/1.1" \d+ \d+$', since), 10, agent)
    wait_until("trace", lambda: agent.find(r"\[TRACE\] abc Routing to", since), 10, agent)
    return status, body, agent.find(r"\[TRACE\] abc |\"GET / HTTP/1.1\"", since)


def check_request(status, body, lines):
    if (status, body) != (200, ANSWER):
        raise Failed("request: answered %s %r" % (status, body))
    stamp = r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[TRACE\] abc "
    wanted = [stamp + r"Tracing mysite\.com:9999/$",
              stamp + r"Matching hosts: \[mysite\.com:9999\]$",
              stamp + r"Match mysite\.com:9999/$",
              stamp + r"Routing to service httpbackend on http://127\.0\.0\.1:\d+/$"]
    traces = [line for line in lines if "[TRACE]" in line]
    if len(traces) != 4 or not all(re.search(w, t) for w, t in zip(wanted, traces)):
        raise Failed("trace: " + "\n".join(traces))
    access = [line for line in lines if "[TRACE]" not in line]
    pattern = (r'^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
               r'"GET / HTTP/1\.1" 200 44$')
    if len(access) != 1 or not re.search(pattern, access[0]):
        raise Failed("access log: " + "\n".join(access))
    step("ok: the answer, its four trace lines and its access line")


def check_rest(agent):
    status, _ = get(TRAFFIC, "/", Host="nobody.example")
    if status != 404:
        raise Failed("unknown host: %d instead of 404" % status)
    step("ok: an unknown host gets 404")
    for port, path in ((API, "/"), (ROUTES, "/")):
        status, body = get(port, path)
        if status in (301, 302, 307):
            status, body = get(port, path + ("ui/" if port == API else "routes"))
        if status != 200 or "<html" not in body.lower():
            raise Failed("page on port %d: %d" % (port, status))
    step("ok: both pages")
    targets = {r["dst"] for r in routes()}
    seen = set()
    for _ in range(200):
        seen.add(get(TRAFFIC, "/env/NOMAD_ALLOC_INDEX", Host=HOST)[1])
    if len(targets) != 2 or len(seen) != 2:
        raise Failed("balancing: targets %s, answered by %s" % (targets, seen))
    step("ok: both instances answer")


def stop_agent(agent):
    """In -dev the agent ends its tasks, too."""
    code = agent.stop()
    if code != 0:
        raise Failed("stop: the agent exited %d on SIGTERM\n%s" % (code, agent.tail()))
    taken = [p for p in (API, TRAFFIC, ROUTES) if not port_is_free(p)]
    if taken:
        raise Failed("stop: ports still taken: %s" % taken)


def take_down(agent):
    backends = [int(r["dst"].rstrip("/").rpartition(":")[2]) for r in routes()]
    code, text = sluice("job", "stop", "httpbackend")
    if code != 0:
        raise Failed("job stop: exit code %d: %s" % (code, text))
    wait_until("job stop", lambda: not routes() and all(map(port_is_free, backends)), 40, agent)
    # Until the last instance is gone its place says 503.
    wait_until("job stop: no route", lambda: get(TRAFFIC, "/", Host=HOST)[0] == 404, 10, agent)
    step("ok: stopping the job ends its tasks and takes its route away")
    stop_agent(agent)
    step("ok: the agent ends on SIGTERM, its ports are free")


def check_ports():
    names = {API: "jobs API", TRAFFIC: "traffic", ROUTES: "routes page"}
    taken = [p for p in names if not port_is_free(p)]
    if taken:
        raise Failed("ports: in use already: %s (`ss -ltnp` says by whom)"
                     % ", ".join("%d (%s)" % (p, names[p]) for p in taken))


def interrupt(*_):
    raise KeyboardInterrupt


def main(arguments):
    check, docker = "--check" in arguments, "--docker" in arguments
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)  # also where the caller had it ignored
    agent = None
    try:
        check_ports()
        if docker:
            agent = Agent("-docker-socket", prepare_docker())
        else:
            agent = Agent()
        bring_up(agent, os.path.join(EXAMPLES, "httpbackend-2.nomad" if docker else "demo.nomad"))
        status, body, lines = send_request(agent)
        show("sluice job status httpbackend", sluice("job", "status", "httpbackend")[1])
        show("curl -H 'Host: %s' -H 'Trace: abc' http://127.0.0.1:%d/" % (HOST, TRAFFIC), body)
        show("the agent's log of it", "\n".join(lines))
        if check:
            check_request(status, body, lines)
            check_rest(agent)
            take_down(agent)
            step("all parts work")
            return 0
        for name, port in (("Jobs", API), ("Routes", ROUTES), ("Traffic", TRAFFIC)):
            print("%-8s http://127.0.0.1:%d/" % (name, port))
        print("\nThe agent's log follows. Ctrl-C stops everything.", flush=True)
        agent.live = True
        agent.process.wait()
        raise Failed("the agent ended with exit code %d" % agent.process.returncode)
    except KeyboardInterrupt:
        # Once is enough: what follows takes at most half a minute.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print()
        if not agent:
            return 130
        step("stopping the tasks and the agent")
        agent.live = False
        try:
            stop_agent(agent)
        except Failed as e:
            print("run: %s" % e, file=sys.stderr)
            return 1
        return 130 if check else 0
    except (Failed, OSError, http.client.HTTPException, subprocess.TimeoutExpired) as e:
        print("run: failed: %s" % e, file=sys.stderr)
        return 1
    finally:
        if agent and agent.process.poll() is None:
            agent.process.send_signal(signal.SIGTERM)
            try:
                agent.process.wait(30)
            except subprocess.TimeoutExpired:
                agent.process.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
