"""Runs the rows: every peer on the same work in the same rounds."""

import json
import os
import subprocess
import time

from compare import measure, peers, tree

# Rates of the constant load, as a share of the slowest peer's capacity in the same row. Those far
# slower than the rest are measured at a rate of their own, with ours again beside them.
FAST_SHARE = SLOW_SHARE = 0.5
SLOW = ("Envoy", "Caddy", "fabio")


STARTED = time.monotonic()


def say(text):
    print("==> [%4ds] %s" % (time.monotonic() - STARTED, text), flush=True)


class Backends:
    """The upstreams, on the load's core, and the certificates of both sides."""

    def __init__(self, directory):
        self.directory, self.processes = directory, []
        http, tls, ws = tree.free_ports(3)
        self.values = {"UPSTREAM_TLS": str(tls)}
        self.ports = {"http": http, "ws": ws}
        for name, key in (("p256", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
                          ("rsa", ["rsa:2048"])):
            self.values[name.upper() + "_PEM"] = self._certificate(name, key)
        self._start([tree.tool("demo-backend"), "-http", "127.0.0.1:%d" % http, "-https",
                     "127.0.0.1:%d" % tls, "-cert-name", tree.HOST])
        self._start([tree.tool("ws-echo"), "127.0.0.1:%d" % ws])
        end = time.monotonic() + 10
        while not all(peers._listens(p) for p in (http, tls, ws)):
            if time.monotonic() > end:
                raise SystemExit("bench: the backends do not listen")
            time.sleep(0.02)

    def _certificate(self, name, key):
        base = os.path.join(self.directory, name)
        subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "30", "-newkey", *key,
                        "-subj", "/CN=" + tree.HOST, "-addext", "subjectAltName=DNS:" + tree.HOST,
                        "-keyout", base + ".key", "-out", base + ".crt"],
                       check=True, capture_output=True)
        with open(base + ".pem", "w") as out:
            for part in (".crt", ".key"):
                with open(base + part) as f:
                    out.write(f.read())
        return base + ".pem"

    def _start(self, words):
        self.processes.append(subprocess.Popen(
            ["taskset", "-c", str(measure.LOAD_CORE), *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def values_for(self, upstream):
        return {**self.values, "UPSTREAM": str(self.ports[upstream])}

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait(5)


def _first_request(row, process):
    """One short run: who cannot do this work says so here, not in a table of zeros."""
    measure.take(_only_one(row.constant), process.ports[row.kind], process.pid, 0.2, 50)


def _only_one(load):
    return type(load)(1, *load.words)


def start_all(row, field, backends, directory):
    running, absent = {}, {}
    for peer in field:
        process = None
        try:
            if peer.version() is None:
                raise peers.Unavailable("not on PATH")
            process = peer.start(row.kind, backends.values_for(row.upstream), directory)
            _first_request(row, process)
            running[peer.name] = process
        except (peers.Unavailable, measure.LoadFailed, OSError) as e:
            absent[peer.name] = str(e)
            if process is not None:
                process.stop()
        except BaseException:
            for each in (*running.values(), *([process] if process else [])):
                each.stop()
            raise
    return running, absent


def _measure(row, running, names, options, rate):
    load = row.constant if rate else row.closed

    def one(name):
        process = running[name]
        return measure.take(load, process.ports[row.kind], process.pid, options.seconds, rate)

    return measure.rounds(options.rounds, names, one, seed=len(row.id))


def run_row(row, field, backends, options, directory):
    """The row's figures, as they go into the results."""
    running, absent = start_all(row, field, backends, directory)
    result = {"id": row.id, "part": row.part, "title": row.title, "unit": row.unit,
              "closed": {}, "constant": {}, "rates": {}, "absent": absent}
    try:
        closed, failed = _measure(row, running, list(running), options, None)
        absent.update(failed)
        result["closed"] = {n: _summary(s, True) for n, s in closed.items()}
        for group, names in _groups(closed).items():
            slowest = min(measure.median([s.rate for s in closed[n] if s]) for n in names)
            rate = max(10, int(slowest * (SLOW_SHARE if group == "slow" else FAST_SHARE)))
            constant, failed = _measure(row, running, names, options, rate)
            absent.update({"%s at %d a second" % (n, rate): why for n, why in failed.items()})
            result["rates"][group] = rate
            result["constant"][group] = {n: _summary(s, False) for n, s in constant.items()}
    finally:
        for process in running.values():
            process.stop()
    return result


def _groups(closed):
    names = list(closed)
    groups = {"fast": [n for n in names if n not in SLOW]}
    if any(n in SLOW for n in names):
        groups["slow"] = [n for n in names if n in SLOW or n == "sluice"]
    return {g: n for g, n in groups.items() if n}


def _summary(taken, closed):
    samples = [s for s in taken if s is not None]
    summary = {
        "cpu_us": measure.median([s.cpu_us for s in samples]),
        "cpu_us_spread": measure.spread([s.cpu_us for s in samples]),
        "cpu_us_rounds": [s and s.cpu_us for s in taken],
        "rate": measure.median([s.rate for s in samples]),
        "busy": measure.median([s.busy for s in samples]),
        "load_busy": measure.median([s.load_busy for s in samples]),
        "errors": sum(s.errors for s in samples),
    }
    if any(s.resumed for s in samples):
        summary["resumed"] = sum(s.resumed for s in samples) / sum(s.requests for s in samples)
    if closed:
        summary["saturated"] = summary["busy"] >= measure.SATURATED
    for key in ("p50_us", "p99_us", "p999_us"):
        values = [s and s.latency.get(key) for s in taken]
        if any(values):
            summary[key] = measure.median([v for v in values if v])
            summary[key + "_rounds"] = values
    return summary


def library_us():
    """{library: {key: us}}: the signature and key exchange of a full handshake, without a proxy."""
    try:
        return {library: json.loads(measure.printed_by("crypto-" + library)[0])
                for library in ("boringssl", "openssl")}
    except measure.LoadFailed as e:
        raise SystemExit("bench: %s" % e) from None


def _above(taken, off):
    """A handshake without the library's own part; None where that is more than was measured."""
    return [s - off if s and s > off else None for s in taken]


def judge(row, result, library):
    """The row's targets: our figure over the best of the others, paired round by round.
    `library`: of library_us()."""
    judged = []
    for target in row.targets:
        verdict = {"most": target.most, "of": list(target.of), "what": target.what}
        group = next((g for g, columns in result["constant"].items()
                      if "sluice" in columns and any(n in columns for n in target.of)), None)
        if group is None:
            there = [n for n in ("sluice", *target.of) if n in result["absent"]]
            verdict["why"] = "; ".join("%s: %s" % (n, result["absent"][n]) for n in there) or \
                "not measured"
            judged.append(verdict)
            continue
        columns = result["constant"][group]
        key = "cpu_us" if target.what == "cpu" else target.what
        best = min((n for n in target.of if n in columns), key=lambda n: columns[n][key])
        mine, theirs = (columns[n][key + "_rounds"] for n in ("sluice", best))
        if target.above:
            verdict["off"] = [library[name][target.above] for name in ("boringssl", "openssl")]
            mine, theirs = map(_above, (mine, theirs), verdict["off"])
        pairs = measure.paired_ratio(mine, theirs)
        if pairs is None:
            verdict["why"] = "no round that both finished"
            judged.append(verdict)
            continue
        verdict.update(pairs, against=best)
        verdict["met"] = verdict["ratio"] <= target.most
        if not target.above:
            verdict["closed"] = _closed_ratio(result["closed"], target)
        judged.append(verdict)
    return judged


def _closed_ratio(columns, target):
    """The same of the load that goes as fast as the answers come; None unless both proxies were
    busy all the time: else they were not asked for all that they can do."""
    full = {n: cell for n, cell in columns.items() if cell["saturated"]}
    others = [n for n in target.of if n in full]
    if target.what != "cpu" or "sluice" not in full or not others:
        return None
    best = min(others, key=lambda n: full[n]["cpu_us"])
    pairs = measure.paired_ratio(full["sluice"]["cpu_us_rounds"], full[best]["cpu_us_rounds"])
    return pairs and {**pairs, "against": best}

