"""CPU of a proxy's processes, the rounds, and the statistics over them."""

import os
import random
import statistics
import subprocess
import time

from compare import tree

PROXY_CORE, LOAD_CORE = 0, 1
SATURATED = 0.98  # of the proxy's core, else a throughput says what the load could do
PRECISION = 10_000  # resamples of the bootstrap


def descendants(pid):
    """The process and all below it: nginx and HAProxy serve from a child."""
    found = [pid]
    for each in found:
        for task in _listdir("/proc/%d/task" % each):
            try:
                with open("/proc/%d/task/%s/children" % (each, task)) as f:
                    found += [int(child) for child in f.read().split()]
            except OSError:
                pass
    return found


def _listdir(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def cpu_ns(pid):
    """User and system time of all threads, by the scheduler's own clock: nanoseconds, not ticks."""
    total = 0
    for each in descendants(pid):
        for task in _listdir("/proc/%d/task" % each):
            try:
                with open("/proc/%d/task/%s/schedstat" % (each, task)) as f:
                    total += int(f.read().split()[0])
            except OSError:
                pass  # the thread ended; what it used is lost, and none of the peers ends threads
    return total


def resident_kb(pid):
    total = 0
    for each in descendants(pid):
        try:
            with open("/proc/%d/smaps_rollup" % each) as f:
                for line in f:
                    if line.startswith("Pss:"):  # shared pages count once over the processes
                        total += int(line.split()[1])
        except OSError:
            pass
    return total


def idle_ticks(core):
    with open("/proc/stat") as f:
        for line in f:
            if line.startswith("cpu%d " % core):
                values = [int(v) for v in line.split()[1:]]
                return values[3] + values[4], sum(values[:8])
    raise RuntimeError("/proc/stat has no cpu%d" % core)


class Sample:
    """One measurement of one peer."""

    def __init__(self, result, cpu, busy, load_busy):
        self.requests = result["requests"]
        self.seconds = result["seconds"]
        self.rate = self.requests / self.seconds if self.seconds else 0.0
        self.cpu_us = cpu / 1000 / self.requests if self.requests else 0.0
        self.busy, self.load_busy = busy, load_busy
        self.latency = {k: result[k] for k in ("p50_us", "p99_us", "p999_us") if k in result}
        self.errors = result.get("errors", 0) + result.get("bad_status", 0)
        self.resumed = result.get("resumed", 0)

    def as_json(self):
        return {**self.__dict__}


def take(load, port, pid, seconds, rate=None):
    """Runs the load once against `port` and charges what the proxy's processes used to it."""
    before = cpu_ns(pid)
    process = subprocess.Popen(load.command(port, seconds, rate), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    # How busy the cores are is looked at in the middle, away from the load's own start and end.
    time.sleep(seconds * 0.15)
    first = idle_ticks(PROXY_CORE), idle_ticks(LOAD_CORE)
    time.sleep(seconds * 0.7)
    second = idle_ticks(PROXY_CORE), idle_ticks(LOAD_CORE)
    try:
        out, err = process.communicate(timeout=seconds + 20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise LoadFailed("the load did not end within 20 s of its time")
    used = cpu_ns(pid) - before
    if process.returncode != 0:
        raise LoadFailed((err.strip() or out.strip()).splitlines()[-1][:300])
    busy = [1 - (b[0] - a[0]) / max(1, b[1] - a[1]) for a, b in zip(first, second)]
    return Sample(load.parse(out), used, busy[0], busy[1])


class LoadFailed(Exception):
    pass


def printed_by(tool, *arguments, cores=(PROXY_CORE,)):
    """The lines that a benchmark of build/bench prints, which runs on these cores."""
    program = tree.tool(tool)
    if not os.path.exists(program):
        raise LoadFailed("build/bench/%s is not built" % tool)
    out = subprocess.run(["taskset", "-c", ",".join(map(str, cores)), program,
                          *map(str, arguments)], capture_output=True, text=True, timeout=600)
    if out.returncode != 0:
        raise LoadFailed("build/bench/%s: %s" % (tool, out.stderr.strip()[-200:]))
    return out.stdout.splitlines()


def rounds(count, names, one, seed=1):
    """{name: [sample or None, ...]}: every peer once a round, in an order drawn anew each round, so
    that what the machine does meanwhile falls on all alike. A round that fails is None; who fails
    twice is left out, with the reason in the second result."""
    order = random.Random(seed)
    samples, failures, failed = {n: [] for n in names}, {}, {}
    for _ in range(count):
        turn = [n for n in names if n not in failed]
        order.shuffle(turn)
        for name in turn:
            try:
                samples[name].append(one(name))
            except LoadFailed as e:
                samples[name].append(None)
                failures[name] = failures.get(name, 0) + 1
                if failures[name] > 1:
                    failed[name] = str(e)
    for name, taken in samples.items():
        if not any(taken) and name not in failed:
            failed[name] = "its only round failed"
    return {n: s for n, s in samples.items() if n not in failed}, failed


def median(values):
    return statistics.median(values)


def spread(values):
    """Half of the distance between the quartiles: how far a typical round is from the median."""
    if len(values) < 2:
        return 0.0
    quarters = statistics.quantiles(values, n=4, method="inclusive")
    return (quarters[2] - quarters[0]) / 2


def paired_ratio(ours, theirs, seed=1):
    """Median of the rounds' ratios and its 95 % interval (percentile bootstrap over rounds).
    A round that one of the two did not finish is no pair."""
    ratios = [a / b for a, b in zip(ours, theirs) if a and b]
    if not ratios:
        return None
    draw = random.Random(seed)
    medians = sorted(median(draw.choices(ratios, k=len(ratios))) for _ in range(PRECISION))
    return {"ratio": median(ratios), "low": medians[int(PRECISION * 0.025)],
            "high": medians[int(PRECISION * 0.975)], "rounds": len(ratios)}
