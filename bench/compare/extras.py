"""What is not a row of the comparison: routes, route changes, memory, micro benchmarks."""

import json
import os
import subprocess

from compare import measure, peers, stand, tree
from compare.loads import Load
from compare.work import Row

MANY = 100_000
IDLE = 10_000


def _extra(id, title, about, head, lines, figures):
    return {"id": id, "title": title, "about": about, "head": head, "lines": lines,
            "figures": figures}


def _row(id, title, load, upstream="http"):
    return Row(id, "routes", title, "http", load, load, upstream=upstream)


def _pair(running, load, options, rate, seconds):
    def one(name):
        process = running[name]
        return measure.take(load, process.ports["http"], process.pid, seconds, rate)

    return measure.rounds(options.rounds, list(running), one)


def _start(field, row, backends, directory):
    running, absent = stand.start_all(row, field, backends, directory)
    if absent:
        for process in running.values():
            process.stop()
        raise peers.Unavailable("; ".join("%s: %s" % item for item in absent.items()))
    return running


def _capacity(load, running, options):
    samples, failed = _pair(running, load, _Once(options), None, options.seconds)
    if failed:
        raise peers.Unavailable(str(failed))
    return min(s[0].rate for s in samples.values())


class _Once:
    rounds = 1

    def __init__(self, options):
        self.seconds = options.seconds


def routes(backends, options, directory):
    """1 and 100,000 routes: the same load, which asks for one host, then for hosts at random."""
    upstream = "127.0.0.1:" + backends.values_for("http")["UPSTREAM"]
    field = [peers.StaticProxy("1 route"),
             peers.StaticProxy("100,000 routes", "-routes", str(MANY), "-routes-to", upstream)]
    lines, figures = [], {}
    for title, load in (("one host asked for", Load(64)),
                        ("100,000 hosts at random", Load(64, "-hosts", str(MANY)))):
        running = _start(field, _row("routes", title, load), backends, directory)
        try:
            rate = int(_capacity(load, running, options) * stand.FAST_SHARE)
            samples, failed = _pair(running, load, options, rate, options.seconds)
        finally:
            for process in running.values():
                process.stop()
        if failed:
            raise peers.Unavailable(str(failed))
        one, many = ([s and s.cpu_us for s in samples[p.name]] for p in field)
        ratio = measure.paired_ratio(many, one)
        figures[title] = {"rate": rate, "one": one, "many": many, **ratio}
        lines.append([title, "{:,}".format(rate), "%.1f" % measure.median(list(filter(None, one))),
                      "%.1f" % measure.median(list(filter(None, many))), "%.3f (%.3f to %.3f)" %
                      (ratio["ratio"], ratio["low"], ratio["high"]),
                      "yes" if ratio["ratio"] <= 1.03 else "no"])
    return _extra("routes", "1 and 100,000 routes",
                  "CPU a request of the data plane (bench/static-proxy) in paired rounds; at most "
                  "1.03 is wanted.",
                  ["load", "a second", "1 route, us", "100,000 routes, us", "ratio", "met"], lines,
                  figures)


def table():
    """build/bench/route-bench: what it prints of each shape of a cluster, as it is."""
    lines = []
    for line in measure.printed_by("route-bench", MANY):
        if line.startswith("  "):
            lines[-1].append(line.strip())
        else:
            lines.append([line.rsplit(",", 1)[0]])
    return _extra("route-table", "The table of 100,000 routes",
                  "Wanted: built under 1 s, an edit under 1 ms, a lookup under 300 ns, under 300 "
                  "bytes a route beside its strings in the usual cluster (services of several "
                  "instances).", ["cluster", "build", "memory", "lookup", "edit"], lines,
                  {line[0]: line[1:] for line in lines})


def changes(backends, options, directory):
    """Latency at a constant rate while the routes change, and HAProxy's and nginx's without."""
    field = [peers.StaticProxy("sluice, a change each 10 ms", "-routes", "1000", "-change-ms",
                               "10"),
             peers.StaticProxy("sluice, no change", "-routes", "1000"), peers.Haproxy(),
             peers.Nginx()]
    load = Load(64)
    seconds = options.seconds * 2
    running = _start(field, _row("changes", "route changes", load), backends, directory)
    try:
        rate = int(_capacity(load, running, options) * stand.FAST_SHARE)
        samples, failed = _pair(running, load, options, rate, seconds)
    finally:
        for process in running.values():
            process.stop()
    if failed:
        raise peers.Unavailable(str(failed))
    lines, figures = [], {"rate": rate}
    for name, taken in samples.items():
        done = [s for s in taken if s]
        figures[name] = {k: [s and s.latency[k] for s in taken] for k in done[0].latency}
        lines.append([name])
        for values in figures[name].values():
            values = list(filter(None, values))
            lines[-1].append("%.0f ±%.0f" % (measure.median(values), measure.spread(values)))
        lines[-1].append("%.1f" % measure.median([s.cpu_us for s in done]))
    ratio = measure.paired_ratio(figures[field[0].name]["p999_us"], figures["HAProxy"]["p999_us"])
    figures["ratio"] = ratio
    lines.append(["p99.9 with changes over HAProxy's without", "", "",
                  "%.2f (%.2f to %.2f)" % (ratio["ratio"], ratio["low"], ratio["high"]),
                  "met" if ratio["ratio"] <= 1 else "not met"])
    return _extra("changes", "Latency while routes change every 10 ms",
                  "Microseconds at %s requests a second, constant, 64 connections, 1,000 routes; "
                  "each change is a new table on every reactor." % "{:,}".format(rate),
                  ["proxy", "p50", "p99", "p99.9", "CPU us"], lines, figures)


def memory(ours, backends, options, directory):
    """What 10,000 connections cost that have had a request and are idle."""
    lines, figures = [], {}
    for peer in [ours, *peers.others()]:
        if isinstance(peer, peers.Limit):
            continue  # two descriptors a connection, and nothing to compare
        try:
            if peer.version() is None:
                raise peers.Unavailable("not on PATH")
            before, after = _idle(peer, backends, directory)
        except (peers.Unavailable, measure.LoadFailed, OSError) as e:
            lines.append([peer.name, "not measured: %s" % e, "", ""])
            continue
        figures[peer.name] = {"before_kb": before, "after_kb": after}
        lines.append([peer.name, "%.1f" % (before / 1024), "%.1f" % (after / 1024),
                      "%.2f" % ((after - before) / IDLE)])
    return _extra("memory", "Memory at 10,000 idle connections",
                  "Proportional set size of all processes, in MiB, after one request on each "
                  "connection.", ["proxy", "before", "after", "KiB a connection"], lines, figures)


def _idle(peer, backends, directory):
    process = peer.start("http", backends.values_for("http"), directory)
    load = None
    try:
        before = measure.resident_kb(process.pid)
        load = subprocess.Popen(
            ["taskset", "-c", str(measure.LOAD_CORE), tree.tool("load"), "idle", "-to",
             "127.0.0.1:%d" % process.ports["http"], "-connections", str(IDLE)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = load.stdout.readline()
        if line != "open %d\n" % IDLE:
            load.kill()
            raise measure.LoadFailed(load.communicate()[1].strip()[-200:] or line)
        after = measure.resident_kb(process.pid)
        out, _ = load.communicate("", timeout=20)
        if out != "still open %d\n" % IDLE:
            raise measure.LoadFailed("it closed some: " + out.strip())
        return before, after
    finally:
        if load is not None and load.poll() is None:
            load.kill()
            load.wait()
        process.stop()


def scheduler(options, directory):
    """build/bench/schedule-bench on the sizes of the two published runs, and store-bench on the
    first; a tenth of each with --quick."""
    least = 10 if options.quick else 1
    store = os.path.join(directory, "store")
    one_core, all_cores = [measure.PROXY_CORE], range(os.cpu_count())
    runs = [("in-process", 1_000_000, 5_000, one_core, ["schedule-bench"]),
            ("in-process", 2_000_000, 6_100, one_core, ["schedule-bench"]),
            ("through SQLite", 1_000_000, 5_000, all_cores, ["store-bench", store])]
    lines = []
    for name, containers, nodes, cores, words in runs:
        said = measure.printed_by(*words, containers // least, nodes // least, cores=cores)
        lines.append([name, *(line.strip() for line in said[-3:])])
    return _extra("scheduler", "The scheduler",
                  "Jobs of a thousand containers, each plan committed before the next job is "
                  "looked at. In-process: one core, no store; wanted for 1,000,000 on 5,000 nodes: "
                  "under 30 s and 4 GiB. Through SQLite: each container placed and then told of "
                  "three times by its node, every commit durable; wanted: under 120 s.",
                  ["how", "placed", "time", "memory"], lines, {"lines": lines})


def micro(options):
    """build/bench/micro: one JSON object a line."""
    figures = [json.loads(line) for line in
               measure.printed_by("micro", *(["-quick"] if options.quick else []))]
    lines = [[f["name"], "%.4g ns" % f["ns"] if f["ns"] < 1e5 else "%.4g ms" % (f["ns"] / 1e6),
              "%.1f %%" % f["spread_percent"]] for f in figures]
    return _extra("micro", "Micro benchmarks", "CPU of one call, the median of repeated runs on "
                  "one core.", ["what", "a call", "spread"], lines, figures)
