#!/usr/bin/env python3
"""Two builds of bench/static-proxy against each other, in paired rounds: does a change pay?

    bench/compare/ab.py OLD NEW [--rounds 9] [--seconds 1] [--rows new]

Prints new over old, the CPU a request, with its 95 % interval; below 1 the new one is cheaper.
"""

import argparse
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from compare import measure, network, peers, stand, work  # noqa: E402


class Build(peers.StaticProxy):
    def __init__(self, name, binary):
        super().__init__(name)
        self.binary = binary

    def command(self, config, values, kind):
        return [self.binary, *super().command(config, values, kind)[1:]]


def compare(options):
    field = [Build("old", options.old), Build("new", options.new)]
    directory = tempfile.mkdtemp(prefix="sluice-ab-")
    os.chmod(directory, 0o755)
    backends = stand.Backends(directory)
    try:
        for row in work.ROWS:
            if options.rows not in row.id or row.kind.startswith("tls"):
                continue
            result = stand.run_row(row, field, backends, options, directory)
            if result["absent"]:
                print(row.id, result["absent"])
                continue
            columns = {"closed": result["closed"], "%d a second" % result["rates"]["fast"]:
                       result["constant"]["fast"]}
            for name, cells in columns.items():
                ratio = measure.paired_ratio(cells["new"]["cpu_us_rounds"],
                                             cells["old"]["cpu_us_rounds"])
                print("%-16s %-16s %.3f (%.3f to %.3f)   %.1f -> %.1f us" %
                      (row.id, name, ratio["ratio"], ratio["low"], ratio["high"],
                       cells["old"]["cpu_us"], cells["new"]["cpu_us"]), flush=True)
    finally:
        backends.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--rows", default="", help="only rows whose id has this text")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.sched_setaffinity(0, {measure.LOAD_CORE})
    with network.own() as why_not:
        if why_not:
            print("no network of its own (%s): the machine's is used" % why_not)
        compare(options)


if __name__ == "__main__":
    main()
