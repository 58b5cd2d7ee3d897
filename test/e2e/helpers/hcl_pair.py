"""The same question to our HCL and to the reference implementation, and expressions to ask."""

import fcntl
import json
import os
import random
import re
import shutil
import subprocess

from . import tree
from .consul import GO

REFERENCE = tree.root / "test" / "tools" / "hcl_reference"


def reference_binary():
    """Built once a machine and version of its sources, by Debian's Go, into the cache."""
    newest = max(f.stat().st_mtime for f in REFERENCE.iterdir())
    built = tree.cache / "hcl-reference"
    tree.cache.mkdir(parents=True, exist_ok=True)
    with open(tree.cache / "hcl-reference.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists() or built.stat().st_mtime < newest:
            go = GO if os.path.exists(GO) else shutil.which("go")
            env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly",
                   "CGO_ENABLED": "0"}
            out = subprocess.run([go, "build", "-p", "2", "-trimpath", "-buildvcs=false", "-o",
                                  str(built), "."], cwd=REFERENCE, env=env,
                                 capture_output=True, text=True)
            if out.returncode != 0:
                raise RuntimeError("hcl_reference did not build:\n" + out.stderr[-4000:])
            os.utime(built)
    return str(built)


def ask(binary, requests):
    text = "".join(json.dumps(r) + "\n" for r in requests)
    out = subprocess.run([binary], input=text, capture_output=True, text=True, timeout=300)
    assert out.returncode == 0, out.stderr[-2000:]
    lines = out.stdout.splitlines()
    assert len(lines) == len(requests)
    # Numbers stay text: all their digits are compared.
    return [json.loads(line, parse_int=str, parse_float=str) for line in lines]


def both(requests):
    """(request, ours, theirs) of each."""
    ours = ask(str(tree.build / "test" / "hcl-eval"), requests)
    theirs = ask(reference_binary(), requests)
    return list(zip(requests, ours, theirs))


def plain(value):
    """Without negative zeros: ours has none, because nobody means one."""
    return json.loads(re.sub(r'(?<![0-9.eE])-0(?![0-9.])', "0", json.dumps(value)))


def differs(ours, theirs):
    """What is different, or None. Error texts are our own; that there is one must be the same.

    Left out: an arm of a conditional that fails and is not taken (the reference sometimes knows
    the type that it would have had, and holds the other arm to it), infinities (1/0 is an error
    here), and where the reference itself gives up."""
    if ours.get("forgiven") != "0" and "forgiven" in ours:
        return None
    if "panic:" in theirs.get("error", ""):
        return None
    if "(infinite)" in json.dumps(theirs) or "(unknown)" in json.dumps(theirs):
        return None
    if "division by zero" in ours.get("error", ""):
        return None
    if ours["ok"] != theirs["ok"]:
        return "ours %s, theirs %s" % tuple(
            "is %s" % a["value"] if a["ok"] else "fails: %s" % a["error"] for a in (ours, theirs))
    if not ours["ok"]:
        return None
    if plain(ours["type"]) != plain(theirs["type"]):
        return "our type %s, theirs %s" % (ours["type"], theirs["type"])
    if plain(ours["value"]) != plain(theirs["value"]):
        return "ours %r, theirs %r" % (ours["value"], theirs["value"])
    return None


class Generator:
    """Random expressions, of the same seed always the same."""

    NAMES = ["a", "b", "k", "v", "x", "y-z", "é"]
    STRINGS = ["", "a", "b c", "true", "false", "1", "-2.5", "é€", "a,b", "  pad ", "$", "%",
               "x\\ny", "\\t", "\\\"q\\\"", "$${n}", "%%{n}", "\\u00e9", "0", "10", "A", "null"]
    NUMBERS = ["0", "1", "2", "3", "7", "10", "0.1", "0.2", "1.5", "1e3", "2.50", "1e-2",
               "9007199254740993", "123456789012345678901234567890", "0.000001", "3.0"]
    OPERATORS = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||"]

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.names = []

    def pick(self, *options):
        return self.r.choice(options)

    def string(self, depth):
        parts = [self.r.choice(self.STRINGS) for _ in range(self.r.randint(0, 2))]
        if depth > 0 and self.r.random() < 0.4:
            tilde = self.r.random() < 0.2
            parts.append("${%s%s%s}" % ("~" if tilde else "", self.any(depth - 1),
                                        "~" if tilde else ""))
        if depth > 0 and self.r.random() < 0.1:
            parts.append("%%{ if %s }%s%%{ else }%s%%{ endif }" % (
                self.boolean(depth - 1), self.r.choice(self.STRINGS), self.r.choice(self.STRINGS)))
        self.r.shuffle(parts)
        return '"%s"' % "".join(parts)

    def number(self, depth):
        if depth > 0 and self.r.random() < 0.4:
            return "%s %s %s" % (self.number(depth - 1), self.pick("+", "-", "*", "/", "%"),
                                 self.number(depth - 1))
        number = self.r.choice(self.NUMBERS)
        return number if number == "0" else self.pick("", "", "-") + number

    def boolean(self, depth):
        if depth > 0 and self.r.random() < 0.5:
            return "%s %s %s" % (self.number(depth - 1), self.pick("<", ">=", "==", "!="),
                                 self.number(depth - 1))
        return self.pick("true", "false", "!true", '"true"')

    def tuple(self, depth):
        return "[%s]" % ", ".join(self.any(depth - 1) for _ in range(self.r.randint(0, 3)))

    def object(self, depth):
        members = []
        for _ in range(self.r.randint(0, 3)):
            key = self.pick(self.r.choice(self.NAMES), '"%s"' % self.r.choice(self.NAMES),
                            "(%s)" % self.string(0), "1")
            members.append("%s %s %s" % (key, self.pick("=", ":"), self.any(depth - 1)))
        return "{%s}" % self.pick(", ", "\n").join(members)

    def collection(self, depth):
        return self.pick(self.tuple, self.object)(depth)

    def loop(self, depth):
        names = self.r.sample(["i", "e", "w"], 2)
        source = self.collection(depth - 1) if depth > 1 else self.tuple(1)
        self.names += names
        test = " if %s" % self.boolean(depth - 1) if self.r.random() < 0.3 else ""
        if self.r.random() < 0.5:
            out = "[for %s in %s : %s%s]" % (", ".join(names), source, self.any(depth - 1), test)
        else:
            group = self.pick("", "...")
            out = "{for %s in %s : \"${%s}\" => %s%s%s}" % (
                ", ".join(names), source, self.pick(names[0], names[1]), self.any(depth - 1), group,
                test)
        del self.names[-2:]
        return out

    def step(self, depth):
        base = "(%s)" % self.any(depth - 1) if self.r.random() < 0.3 else self.collection(depth)
        for _ in range(self.r.randint(1, 2)):
            base += self.pick(".a", ".k", "[0]", "[1]", '["a"]', '["1"]', ".0", "[*]", ".*",
                              "[*].a", ".*.k", "[-1]", "[\"b\"]", "[0.5]")
        return base

    def conditional(self, depth):
        return "(%s ? %s : %s)" % (self.boolean(depth - 1), self.any(depth - 1),
                                   self.any(depth - 1))

    def operation(self, depth):
        return "(%s %s %s)" % (self.any(depth - 1), self.r.choice(self.OPERATORS),
                               self.any(depth - 1))

    def heredoc(self, depth):
        lines = [" " * self.r.randint(0, 4) +
                 self.pick("x", "y z", "", "${%s}" % self.any(depth - 1), "%{ if true ~}",
                           "%{ endif }", "\\n")
                 for _ in range(self.r.randint(0, 4))]
        return "(<<%sEOT\n%s  EOT\n)" % (self.pick("", "-"), "".join(line + "\n" for line in lines))

    def any(self, depth):
        if self.names and self.r.random() < 0.4:
            return self.r.choice(self.names)
        if depth <= 0:
            return self.pick(self.string(0), self.number(0), self.boolean(0), "null", "[]", "{}")
        kind = self.r.choices(
            [self.string, self.number, self.boolean, self.collection, self.loop, self.step,
             self.conditional, self.operation, self.heredoc],
            [4, 3, 2, 4, 3, 4, 4, 3, 1])[0]
        return kind(depth)

    def damaged(self, depth):
        """With one character taken out, doubled or put in: mostly no longer HCL."""
        text = self.any(depth)
        at = self.r.randrange(len(text) + 1)
        return self.pick(text[:at] + text[at + 1:],
                         text[:at] + self.pick(*"\"{}[](),.:=~$%?*<\n \\") + text[at:])
