"""What is asked of a proxy: one command line for wrk or bench/load, and how its output is read."""

import json
import re

from compare import measure, tree


class Wrk:
    """As fast as the answers come, over so many connections."""

    def __init__(self, connections, path="/", headers=()):
        self.connections, self.path, self.headers = connections, path, headers

    def command(self, port, seconds, rate):
        assert rate is None, "wrk has no constant rate"
        # wrk takes whole seconds.
        words = ["taskset", "-c", str(measure.LOAD_CORE), "wrk", "-t1", "-c%d" % self.connections,
                 "-d%ds" % max(1, round(seconds)), "--timeout", "10s", "--latency"]
        for header in ("Host: %s" % tree.HOST, *self.headers):
            words += ["-H", header]
        return words + ["http://127.0.0.1:%d%s" % (port, self.path)]

    def parse(self, text):
        total = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", text)
        if not total:
            raise measure.LoadFailed("wrk said: " + text[-200:])
        result = {"requests": int(total[1]),
                  "seconds": float(total[2]) * {"ms": 1e-3, "s": 1, "m": 60}[total[3]]}
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)",
                           text)
        result["errors"] = sum(int(n) for n in errors.groups()) if errors else 0
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        result["bad_status"] = int(bad[1]) if bad else 0
        if result["requests"] == 0 or result["errors"] + result["bad_status"] > 0:
            raise measure.LoadFailed("wrk: %d requests, %d errors, %d bad answers" %
                                     (result["requests"], result["errors"], result["bad_status"]))
        for name, quantile in (("p50_us", "50%"), ("p99_us", "99%")):
            found = re.search(quantile + r"\s+([\d.]+)(us|ms|s)", text)
            if found:
                result[name] = float(found[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[found[2]]
        return result


class Load:
    """bench/load: see its usage."""

    def __init__(self, connections, *words):
        self.connections, self.words = connections, words

    def command(self, port, seconds, rate):
        words = ["taskset", "-c", str(measure.LOAD_CORE), tree.tool("load"), "run",
                 "-to", "127.0.0.1:%d" % port, "-connections", str(self.connections),
                 "-seconds", str(seconds), "-host", tree.HOST, *self.words]
        return words + (["-rate", str(int(rate))] if rate else [])

    def parse(self, text):
        result = json.loads(text.strip().splitlines()[-1])
        if result["requests"] == 0:
            raise measure.LoadFailed("no request was answered")
        return result
