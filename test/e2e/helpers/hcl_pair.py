"""The same question to our HCL and to the reference implementation, and expressions to ask."""

import json
import random
import re
import subprocess

from . import go_tool, tree

def ask(binary, requests):
    text = "".join(json.dumps(r) + "\n" for r in requests)
    out = subprocess.run([binary], input=text, capture_output=True, encoding="utf-8",
                         errors="replace", timeout=300)
    assert out.returncode == 0, out.stderr[-2000:]
    lines = out.stdout.split("\n")[:-1]  # not at what else ends a line in Unicode
    assert len(lines) == len(requests)
    # Numbers stay text: all their digits are compared.
    return [json.loads(line, parse_int=str, parse_float=str) for line in lines]


def both(requests):
    """(request, ours, theirs) of each."""
    ours = ask(str(tree.build / "test" / "hcl-eval"), requests)
    theirs = ask(go_tool.build("hcl_reference"), requests)
    return list(zip(requests, ours, theirs))


def plain(value):
    """Without negative zeros: ours has none, because nobody means one."""
    return json.loads(re.sub(r'(?<![0-9.eE])-0(?![0-9.])', "0", json.dumps(value)))


def differs(ours, theirs):
    """What is different, or None. Error texts are our own; that there is one must be the same.

    Left out: an arm of a conditional that fails and is not taken (the reference sometimes knows
    the type that it would have had, and holds the other arm to it), infinities (1/0 is an error
    here), and where the reference itself gives up. Nor does the test ask for what differs on
    purpose: text stays as it is written and is not normalised (NFC), sets of lists and objects are
    in the order of their content, powers have more digits, YAML's times of day and `!!timestamp`
    are text or refused, networks are not widened."""
    if ours.get("forgiven") != "0" and "forgiven" in ours:
        return None
    if "panic" in theirs.get("error", ""):
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

    # What each function is mostly given: n a number, N a small one above 0, l a list, m a map, a
    # anything, and texts of a kind: s plain, c and C networks, f formats, d date formats, t times,
    # u durations, j JSON, v CSV, y YAML, r regular expressions, p replacements, i name spaces of
    # UUIDs; *: more of the last.
    FUNCTIONS = {
        "abs": "n", "base64decode": "s", "base64encode": "s", "can": "a", "ceil": "n",
        "chomp": "s", "chunklist": "ln", "cidrhost": "cn", "cidrnetmask": "c",
        "cidrsubnet": "cNN", "cidrsubnets": "CN*", "coalesce": "a*", "coalescelist": "l*",
        "compact": "l", "concat": "l*", "contains": "la", "csvdecode": "v", "distinct": "l",
        "element": "ln", "flatten": "l", "floor": "n", "format": "fa*", "formatdate": "dt",
        "formatlist": "fl*", "indent": "ns", "index": "la", "join": "sl*", "jsondecode": "j",
        "jsonencode": "a", "keys": "m", "length": "l", "lookup": "msa", "lower": "s",
        "max": "n*", "md5": "s", "merge": "m*", "min": "n*", "parseint": "sn", "range": "nN",
        "regex_replace": "srp", "replace": "sss", "reverse": "s", "setintersection": "l*",
        "setproduct": "l*", "setunion": "l*", "sha1": "s", "sha256": "s", "sha512": "s",
        "signum": "n", "slice": "lnn", "sort": "l", "split": "ss", "strlen": "s", "strrev": "s",
        "substr": "snn", "timeadd": "tu", "title": "s", "trim": "ss", "trimprefix": "ss",
        "trimspace": "s", "trimsuffix": "ss", "upper": "s", "urlencode": "s", "uuidv5": "is",
        "values": "m", "yamldecode": "y", "yamlencode": "a", "zipmap": "ll",
    }
    TEXTS = ["", "a", "ab", "abcabc", "Hello, world", "  pad\\t", "x\\ny\\r\\n\\n",
             "é€\U0001f30a", "x\u0301y", "\U0001f468\u200d\U0001f469\u200d\U0001f467!",
             "\U0001f1e9\U0001f1ea", "a-b_c d.e", "<a&b>", "12", "-7", "0x1F", "zz", "YWJj",
             "YQ==", "true", "ß", "straße"]
    SMALL = ["0", "1", "2", "3", "-1", "-2", "5", "10", "16", "1.5", "-0.5", "1e2", "0.1", "100",
             "123456789012345678901234567890", "1e-3", "7"]
    CIDRS = ["10.0.0.0/8", "192.168.1.7/24", "0.0.0.0/0", "1.2.3.4/32", "10.1.2.0/30",
             "fd00::/48", "::/0", "2001:db8::1/64", "1.2.3/8", "1.2.3.4", "1.2.3.4/33",
             "01.2.3.4/8", "fe80::1%a/64", "1::2::3/10", "1.2.3.4/+8",
             "255.255.255.255/32", "1.2.3.4/31", "2001:db8::/127", "10.0.0.0/08", "1.2.3.4/",
             "::/129", "::1.2.3.4/96", "10.0.0.0/ 8"]
    FORMATS = ["%s", "%d", "%v", "%#v", "%q", "%t", "%5d|", "%-5d|", "%05d", "%+d", "% d", "%x",
               "%X", "%#x", "%o", "%b", "%e", "%.2f", "%8.3f|", "%g", "%G", "%.3g", "%5s|",
               "%-5s|", "%.2s", "%05s", "%[1]v %[1]v", "%[2]s %[1]s", "%%", "%s-%s", "a", "%",
               "%z", "%5.1q", "%.0f", "%010.2e", "%.5d", "%+.3e", "%-8g|", "%#o", "%.10g", "%E"]
    DATES = ["YYYY-MM-DD", "EEEE, DD-MMM-YY hh:mm:ss ZZZ", "HH:mm AA", "h 'o''clock' aa", "''",
             "M D", "MMMM EEE Z", "ZZZZ ZZZZZ", "Q", "YYY", "'open", "s m H ss", "hh:mm:ssZ",
             "a", "YYYYY", "MMMMM", "DDD", "EE", "E", "hhh", "A", "'it''s' YY", "é T%/", "1"]
    TIMES = ["2018-01-02T03:04:05Z", "2020-02-29T23:59:59+05:30",
             "1999-12-31T12:00:00.123-08:00", "2021-02-29T00:00:00Z", "2018-01-02 03:04:05Z", "",
             "2018-01-02T03:04:05", "x", "2018-01-02T24:00:00Z", "2018-13-02T00:00:00Z",
             "0001-01-01T00:00:00Z", "2018-01-02t03:04:05z", "2018-1-2T03:04:05Z",
             "2018-01-02T03:04Z", "2018-01-02T03:04:60Z", "1900-02-29T00:00:00Z",
             "2018-01-02T13:00:00+14:00", "2018-01-02T03:04:05+0530", "2018-01-02T03:04:05Zx",
             "12018-01-02T03:04:05Z", "2018-01-02T-3:04:05Z"]
    DURATIONS = ["1h", "-10m", "1h30m15s", "1.5h", "", "10", "1d", "48h", "-0.5s", "1ms", "0",
                 "1us", "1µs", "1μs", "1ns", "1h1", ".5h", "-.5h", "1.h", "+1h", "--1h", "1h-1m",
                 "9223372036854775808ns", "300000h", "1e3s", "1 h", "1H", "00001h"]
    JSONS = ["1", "[]", "{}", "[1,\\\"a\\\",null,true]", "{\\\"b\\\":{\\\"a\\\":1.50}}", "01",
             "[1,]", "{", "\\\"\\\\u00e9\\\\ud83c\\\\udf0a\\\\n\\\"", "1e3", "-0.1", "nul",
             " [ 1 , 2 ] ", "1 2", "\\\"\\\\ud800\\\"", "12345678901234567890.5",
             "{\\\"a\\\":1,\\\"a\\\":2}"]
    CSVS = ["a,b\\n1,2\\n", "a\\n", "", "a,a\\n1,2",
            "a,b\\r\\n\\\"x, \\\"\\\"y\\\"\\\"\\\",2\\n\\n3,", "a,b\\n1", "a\\n\\\"x",
            "a\\nx\\\"y", " a, b\\n 1, 2", "a,b\\n1,2,3", "a\\n\\\"l1\\nl2\\\"\\n"]
    REGEXES = ["a", "b+", "(.)b", "^", "$", "[", "x*", "(?i)A", "\\\\d+", "\\\\p{L}",
               "(?P<n>a)(b)?", ".", "", "\\\\b", "[[:alpha:]]+", "(?s).", "(?m)^.", "a|ab", "[^a]",
               "\\\\pL", "\\\\Qa.b\\\\E", "x{2,3}", "(?U)a+", "a+?", "a{1001}", "(", "*", "a**",
               "(?<n>a)", "\\\\1", "(?=a)", "\\\\z", "\\\\x{1F30A}", "[\\\\d\\\\s]", "[a-\\\\d]",
               "(?i:É)", "\\\\W", "(|a)*", "(a|ab)(c|bcd)", "\\\\C", "\\\\Q\\\\C\\\\E"]
    REPLACEMENTS = ["", "x", "$1", "${1}x", "$1x", "$$", "[$0]", "$n", "${n}", "$", "${", "$9",
                    "${2}"]
    NAMESPACES = ["dns", "url", "oid", "x500", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "", "x"]
    YAMLS = ["", "a: 1", "- 1\\n- two\\n- true", "a: {b: [1, 2.50, ~]}", "x: &a [1]\\ny: *a",
             "a: b: c", "yes", "0x1F", "0o17", "1_000", "2001-02-03", "'1'",
             "\\\"a\\\\u00e9\\\"", "!!str 12", "a:\\n  <<: {b: 1}\\n  c: 2", "--- 1\\n--- 2",
             "|\\n  l1\\n  l2\\n", ">\\n  l1\\n  l2\\n", "*x", "&a [*a]", "[1, 2", "1.5e3", ".5",
             "-1", "+7", "? [a]\\n: 1", "null", "!foo x", "{1: 2, true: 3}", "\\t- x", "!!int x",
             "!!bool yes", "12:30", "1.2.3", "# c\\na: 1 # d", "a: |-\\n  l1\\n",
             "a: |+\\n  l1\\n\\n", "a: >-\\n l1\\n l2", "a: |2\\n    x\\n", "a: .nan", "a: -.inf",
             "a: 0b11", "a: 08", "a: 1E+3", "a: 5.", "a: -0", "? {a: b}\\n: c", "a: &x 1\\nb: *x",
             "<<: [{a: 1}, {b: 2}]", "%YAML 1.1\\n---\\na: 1", "a: 'x\\n  y'", "a: x\\n  y",
             "a: \\\"\\\\x41\\\\0\\\\e\\\\_\\\\N\\\"", "a: @x", "a: `x`", "a: - b", "- - 1\\n  - 2",
             "a: [b, c: d]", "{a, b: c}", "a:\\n b: 1\\n  c: 2", "a: 1\\na: 2", "!!binary aGk=",
             "!!set {a, b}", "-", "a: =", "a: 123456789012345678901234567890", "\\\"\\\"", "y: n"]

    def directive(self):
        """A format of any flags, width and precision."""
        flags = "".join(self.r.sample("-+ #0", self.r.choice([0, 0, 1, 1, 2, 3])))
        return "%s%%%s%s%s%s%s" % (
            self.pick("", "x", "é"), self.pick("", "", "", "[1]", "[2]", "[0]", "[4]"), flags,
            self.pick("", "", "5", "12", "03", "*"), self.pick("", "", ".", ".0", ".3", ".*"),
            self.pick(*"vvssqqdddbodxXeEfFgGtcUTp!"))

    def argument(self, kind):
        quote = '"%s"'.__mod__
        if self.r.random() < 0.06:
            kind = "a"
        lists = {"s": self.TEXTS, "c": self.CIDRS, "C": self.CIDRS[:2],
                 "f": self.FORMATS, "d": self.DATES,
                 "t": self.TIMES, "u": self.DURATIONS, "j": self.JSONS, "v": self.CSVS,
                 "r": self.REGEXES, "y": self.YAMLS, "i": self.NAMESPACES, "p": self.REPLACEMENTS}
        if kind == "f" and self.r.random() < 0.5:
            return quote(self.directive() + self.pick("", self.directive()))
        if kind in lists:
            return quote(self.r.choice(lists[kind]).replace("%{", "%%{").replace("${", "$${"))
        if kind == "n":
            return self.r.choice(self.SMALL)
        if kind == "N":
            return self.pick("1", "2", "3", "5", "8", "40", "0.5", '"2"')
        if kind == "m":
            return self.pick("{}", '{a = 1, b = "x"}', "{a = 1, b = 2}", '{k = [1]}',
                             'convert({a = 1, b = 2}, map(number))', 'convert({}, map(string))',
                             '{a = null}', 'convert({z = "1"}, map(string))')
        if kind == "l":
            return self.pick('["b", "a", "b"]', "[1, 2, 3]", "[]", '["", "x", null]',
                             '[1, "a", true]',
                             "[[1], [2, [3]]]", 'convert(["a", "b"], list(string))',
                             "convert([], list(string))", "convert([1, 2, 2], set(number))",
                             "convert([3, 1], list(number))", "[{a = 1}, {a = 2}]", '["a"]',
                             "[2, 3]",
                             'convert(["x"], set(string))', "[1.5, 0.1]", '["true", false]')
        return self.pick("null", '"a"', "1", "true", "[]", "{}", "[1, 2]", '{a = "x"}', "1.25",
                         '"12"', "[null]", '["x"]', "1e5", "1000000", "0.00001", '"<é>"', "false")

    def call(self):
        name = self.r.choice(sorted(self.FUNCTIONS))
        kinds = self.FUNCTIONS[name]
        if kinds.endswith("*"):
            kinds = kinds[:-1] + kinds[-2] * self.r.randint(0, 2)
        if self.r.random() < 0.04:
            kinds = self.pick(kinds[:-1], kinds + "a")
        return "%s(%s)" % (name, ", ".join(self.argument(k) for k in kinds))
