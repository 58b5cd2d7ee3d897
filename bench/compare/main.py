"""What bench/run starts once everything is built."""

import argparse
import datetime
import os
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from compare import (extras, jobs, measure, network, peers, report, stand,  # noqa: E402
                     tree, work)

ROW_PARTS = tuple(dict.fromkeys(row.part for row in work.ROWS))
EXTRA_PARTS = ("routes", "memory", "jobs", "scheduler", "micro")


def options_of(words):
    parser = argparse.ArgumentParser(
        prog="./bench/run", description="Compares sluice with its peers on this machine; writes "
        "bench/results/.")
    parser.add_argument("parts", nargs="*", help="of: %s; without: all" %
                        ", ".join(ROW_PARTS + EXTRA_PARTS))
    parser.add_argument("--quick", action="store_true",
                        help="two minutes: fewer rows, three short rounds; indicative only")
    parser.add_argument("--rounds", type=int, help="rounds a row (7)")
    parser.add_argument("--seconds", type=float, help="length of each measurement (1.5)")
    parser.add_argument("--rows", help="only rows whose id has this text, and nothing else")
    parser.add_argument("--peers", help="only these beside sluice, by a comma")
    parser.add_argument("--static-proxy", action="store_true",
                        help="measure bench/static-proxy, the data plane alone, as ours")
    options = parser.parse_args(words)
    unknown = [p for p in options.parts if p not in ROW_PARTS + EXTRA_PARTS]
    if unknown:
        parser.error("no such part: %s" % ", ".join(unknown))
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.seconds = options.seconds or (0.3 if options.quick else 1.5)
    return options


def machine():
    with open("/proc/cpuinfo") as f:
        cpu = next((line.split(":")[1].strip() for line in f if line.startswith("model name")),
                   platform.machine())
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(),
            "load_before": os.getloadavg()[0]}


def wanted(options, part):
    return not options.parts or part in options.parts


def allow_descriptors():
    """Every proxy gets the same: what 10,000 connections take, if the system allows it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for wanted_files in (65536, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted_files, max(hard, wanted_files)))
            return
        except (ValueError, OSError):
            pass


def run_rows(options, results, field, directory):
    rows = [row for row in work.ROWS if wanted(options, row.part) and
            (row.quick or not options.quick) and (options.rows or "") in row.id]
    if not rows:
        return
    above = any(target.above for row in rows for target in row.targets)
    library = results["library_us"] = stand.library_us() if above else {}
    backends = stand.Backends(directory)
    try:
        for row in rows:
            stand.say(row.title)
            result = stand.run_row(row, field, backends, options, directory)
            result["targets"] = stand.judge(row, result, library)
            results["rows"].append(result)
            for verdict in result["targets"]:
                if "ratio" in verdict:
                    stand.say("  %.2f of %s (at most %.2f)" %
                              (verdict["ratio"], verdict["against"], verdict["most"]))
            for name, why in result["absent"].items():
                stand.say("  without %s: %s" % (name, why))
    finally:
        backends.stop()


def keep(results, title, make):
    stand.say(title)
    try:
        results["extras"].append(make())
    except (peers.Unavailable, measure.LoadFailed, OSError) as e:
        stand.say("  not measured: %s" % e)
        results["extras"].append({"id": title, "title": title, "head": ["not measured"],
                                  "about": "", "lines": [[str(e)]], "figures": None})


def run_proxy_extras(options, results, ours, directory):
    if wanted(options, "routes") or wanted(options, "memory"):
        backends = stand.Backends(directory)
        try:
            if wanted(options, "routes"):
                keep(results, "1 and 100,000 routes",
                     lambda: extras.routes(backends, options, directory))
                keep(results, "Latency while routes change every 10 ms",
                     lambda: extras.changes(backends, options, directory))
            if wanted(options, "memory"):
                keep(results, "Memory at 10,000 idle connections",
                     lambda: extras.memory(ours, backends, options, directory))
        finally:
            backends.stop()
    if wanted(options, "routes"):
        keep(results, "The table of 100,000 routes", extras.table)


def run_other_extras(options, results, directory):
    if wanted(options, "jobs"):
        for title, make in jobs.parts(options, directory):
            keep(results, title, make)
    if wanted(options, "scheduler"):
        keep(results, "The scheduler", lambda: extras.scheduler(options, directory))
    if wanted(options, "micro"):
        keep(results, "Micro benchmarks", lambda: extras.micro(options))


def run_proxies(options, results, field, directory):
    """What is measured of proxies, in a network of its own where that is allowed."""
    with network.own() as why_not:
        if why_not:
            stand.say("no network of its own (%s): the machine's is used" % why_not)
        results["machine"].update(network="the machine's" if why_not else "their own",
                                  congestion_control=network.congestion_control())
        run_rows(options, results, field, directory)
        if not options.rows:
            run_proxy_extras(options, results, field[0], directory)


def main(words):
    options = options_of(words)
    if os.cpu_count() < 2:
        sys.exit("bench: two cores are needed: one for the proxy, one for the load")
    # This program only waits; what it does, it does beside the load.
    os.sched_setaffinity(0, {measure.LOAD_CORE})
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    allow_descriptors()
    ours = peers.StaticProxy("sluice") if options.static_proxy else peers.Sluice()
    field = [ours, *(p for p in peers.others()
                     if not options.peers or p.name in options.peers.split(","))]
    results = {"date": datetime.date.today().isoformat(),
               "command": " ".join(["./bench/run", *words]), "machine": machine(),
               "versions": peers.versions(field), "rounds": options.rounds,
               "seconds": options.seconds, "quick": options.quick, "rows": [], "extras": []}
    for name, version in results["versions"].items():
        stand.say("%s %s" % (name, version))
    directory = tempfile.mkdtemp(prefix="sluice-bench-")
    os.chmod(directory, 0o755)
    try:
        run_proxies(options, results, field, directory)
        if not options.rows:
            run_other_extras(options, results, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    results["machine"]["load_after"] = os.getloadavg()[0]
    results["took_s"] = round(time.monotonic() - stand.STARTED)
    report.write(results)
    stand.say("results: bench/results/results.md, results.json and the charts beside them")


if __name__ == "__main__":
    main(sys.argv[1:])
