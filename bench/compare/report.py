"""The table and the charts of one run, from its figures alone: nothing is edited by hand."""

import json
import os

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from compare import tree  # noqa: E402

COLOURS = {"sluice": "#1b6ca8", "HAProxy": "#8aa61e", "nginx": "#2f9e62", "Envoy": "#b04fb0",
           "Caddy": "#d98c2b", "fabio": "#c2504a", "raw copy": "#9a9a9a", "raw splice": "#5d5d5d"}


def _us(value):
    return "%.1f" % value if value < 1000 else "{:,.0f}".format(value)


def _columns(results):
    seen = []
    for row in results["rows"]:
        for columns in (row["closed"], *row["constant"].values()):
            seen += [n for n in columns if n not in seen]
        seen += [n for n in row["absent"] if n not in seen and " at " not in n]
    order = list(COLOURS)
    return sorted(seen, key=lambda n: order.index(n) if n in order else len(order))


def _table(head, lines):
    text = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(text + ["| " + " | ".join(line) + " |" for line in lines]) + "\n"


def _constant_lines(results, names):
    for row in results["rows"]:
        for group, columns in row["constant"].items():
            line = [row["title"], "{:,}".format(row["rates"][group])]
            for name in names:
                cell = columns.get(name)
                line.append("%s ±%s" % (_us(cell["cpu_us"]), _us(cell["cpu_us_spread"]))
                            if cell else "")
            yield line
        if not row["constant"]:
            yield [row["title"], "", *["" for _ in names]]


def _tail_lines(results, names):
    for row in results["rows"]:
        for group, columns in row["constant"].items():
            yield [row["title"], "{:,}".format(row["rates"][group])] + [
                "%s / %s" % (_us(columns[n]["p99_us"]), _us(columns[n]["p999_us"]))
                if n in columns and "p999_us" in columns[n] else "" for n in names]


def _closed_lines(results, names):
    for row in results["rows"]:
        line = [row["title"]]
        for name in names:
            cell = row["closed"].get(name)
            if cell is None:
                line.append("")
            elif cell["saturated"]:
                line.append("%s us, %s/s" % (_us(cell["cpu_us"]), "{:,.0f}".format(cell["rate"])))
            else:
                line.append("%s us, load-bound (%.0f %%)" % (_us(cell["cpu_us"]),
                                                             cell["busy"] * 100))
        yield line


def _target_lines(results):
    for row in results["rows"]:
        for t in row["targets"]:
            what = "CPU" if t["what"] == "cpu" else t["what"]
            if "off" in t:
                what += " above BoringSSL's %.0f us and OpenSSL's %.0f us" % tuple(t["off"])
            line = [row["title"], "%s at most %.2f of %s" % (what, t["most"],
                                                             " or ".join(t["of"]))]
            if "ratio" in t:
                line += [_ratio(t), "yes" if t["met"] else "no"]
                if "closed" in t:
                    line.append(_ratio(t["closed"]) if t["closed"] else "load-bound")
                else:
                    line.append("")
            else:
                line += ["not measured: " + t["why"], "", ""]
            yield line


def _ratio(t):
    return "%.2f (%.2f to %.2f) of %s" % (t["ratio"], t["low"], t["high"], t["against"])


def _absent_lines(results):
    for row in results["rows"]:
        for name, why in row["absent"].items():
            yield [row["title"], name, why.replace("|", "\\|")]


def markdown(results):
    names = _columns(results)
    m = results["machine"]
    text = ["# The comparison of %s\n" % results["date"],
            "Written by `%s`; edited by nobody. %s, %d cores, Linux %s; the proxies in %s "
            "network, congestion control %s; load average at the start %.1f, at the end %.1f.\n"
            % (results["command"], m["cpu"], m["cores"], m["kernel"], m["network"],
               m["congestion_control"], m["load_before"], m["load_after"]),
            "Versions: " + ", ".join("%s %s" % v for v in results["versions"].items()) + ".\n",
            "Each figure is the median of %d interleaved rounds of %g s; ± is half of the distance "
            "between the quartiles. One proxy thread on core 0; load and backend on core 1. Only "
            "ratios within a row mean anything: the machine is shared.\n"
            % (results["rounds"], results["seconds"])]
    if results["rows"]:
        text += ["## Targets\n", "The median of the rounds' ratios at equal constant rates, with "
                 "its 95 % interval: that is what is judged. Beside it the same as fast as the "
                 "answers come, where both proxies' core was at least 98 % busy.\n",
                 _table(["work", "target", "ratio", "met", "as fast as it goes"],
                        _target_lines(results)),
                 "## CPU of the proxy at equal constant rates\n",
                 "Microseconds of user and system time of all its threads, a request, connection "
                 "or message. Half of what the slowest of the row can do is offered.\n",
                 _table(["work", "a second", *names], _constant_lines(results, names)),
                 "## Latency at those rates\n", "p99 / p99.9 in microseconds, from when each "
                 "request was due.\n",
                 _table(["work", "a second", *names], _tail_lines(results, names)),
                 "## As fast as the answers come\n",
                 "CPU a request, and the throughput where the proxy's core was at least 98 % "
                 "busy.\n", _table(["work", *names], _closed_lines(results, names))]
        absent = list(_absent_lines(results))
        if absent:
            text += ["## Not measured\n", _table(["work", "proxy", "why"], absent)]
    for extra in results["extras"]:
        text += ["## %s\n" % extra["title"], extra["about"] + "\n",
                 _table(extra["head"], extra["lines"])]
    return "\n".join(text)


def _bars(rows, title, path):
    names = [n for n in COLOURS if any(n in row["cells"] for row in rows)]
    figure, axis = plt.subplots(figsize=(11, 0.9 + 0.55 * len(rows) * max(2, len(names)) / 3))
    height = 0.8 / max(1, len(names))
    for i, row in enumerate(rows):
        ours = row["cells"].get("sluice")
        for k, name in enumerate(names):
            cell = row["cells"].get(name)
            if cell is None:
                continue
            scale = ours["cpu_us"] if ours else min(c["cpu_us"] for c in row["cells"].values())
            value = cell["cpu_us"] / scale
            axis.barh(i + (k - len(names) / 2 + 0.5) * height, value, height * 0.92,
                      xerr=cell["cpu_us_spread"] / scale, color=COLOURS[name],
                      error_kw={"lw": 0.8}, label=name if name not in
                      axis.get_legend_handles_labels()[1] else None)
            axis.text(value + 0.03, i + (k - len(names) / 2 + 0.5) * height,
                      " %s us" % _us(cell["cpu_us"]), va="center", fontsize=7)
    axis.axvline(1, color="black", lw=0.6)
    axis.set_yticks(range(len(rows)), [row["title"] for row in rows], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("CPU a request at equal rates, sluice = 1 (shorter is better)")
    axis.set_title(title, fontsize=10)
    axis.margins(x=0.12)
    axis.legend(fontsize=8, loc="lower right")
    axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    for ending in ("png", "svg"):
        figure.savefig("%s.%s" % (path, ending), dpi=130)
    plt.close(figure)


def charts(results, directory):
    for part in dict.fromkeys(row["part"] for row in results["rows"]):
        for group, label in (("fast", ""), ("slow", "-slow")):
            rows = [{"title": "%s\n%s a second" % (row["title"],
                                                   "{:,}".format(row["rates"][group])),
                     "cells": row["constant"][group]}
                    for row in results["rows"]
                    if row["part"] == part and group in row["constant"]]
            if rows:
                _bars(rows, "%s, %s" % (part, results["date"]),
                      os.path.join(directory, part + label))


def write(results):
    os.makedirs(tree.RESULTS, exist_ok=True)
    matplotlib.rcParams["svg.hashsalt"] = "sluice"  # the same figures, the same file
    with open(os.path.join(tree.RESULTS, "results.json"), "w") as f:
        json.dump(results, f, indent=1)
        f.write("\n")
    with open(os.path.join(tree.RESULTS, "results.md"), "w") as f:
        f.write(markdown(results))
    charts(results, tree.RESULTS)
