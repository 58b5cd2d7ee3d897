"""Sizes, headers and what must not be in the tree."""

import re

from rules import report

MAX_LINES, MAX_COLUMNS = 450, 100


def test_files_are_short_or_say_why(cpp):
    report(["%s: %d lines, and no `// long: why`" % (s.path, len(s.lines)) for s in cpp
            if len(s.lines) > MAX_LINES + 1 and not re.search(r"^// long: \S", s.text, re.M)])


def test_only_what_is_long_says_why(cpp):
    report(["%s: %d lines need no reason" % (s.path, len(s.lines)) for s in cpp
            if len(s.lines) <= MAX_LINES + 1 and re.search(r"^// long: \S", s.text, re.M)])


def test_lines_have_at_most_100_columns(sources):
    report(["%s:%d: %d columns" % (s.path, n, len(line)) for s in sources
            if s.path.endswith((".h", ".cc", ".py")) and s.folder != "docs"
            for n, line in enumerate(s.lines, 1)
            if len(line) > MAX_COLUMNS and "http" not in line and 'R"' not in s.text])


def test_headers_have_pragma_once_and_say_what_they_are_for(cpp):
    wrong = []
    for s in cpp:
        if not s.path.endswith(".h"):
            continue
        if "#pragma once" not in s.lines:
            wrong.append("%s: no #pragma once" % s.path)
        if not s.text.startswith("//"):
            wrong.append("%s: does not open with a comment" % s.path)
    report(wrong)


def test_own_header_comes_first(cpp):
    paths = {s.path for s in cpp}
    wrong = []
    for s in cpp:
        own = s.path[:-3] + ".h"
        if s.path.endswith(".cc") and own in paths and s.includes[0][1] != own:
            wrong.append("%s: includes %s before its own header" % (s.path, s.includes[0][1]))
    report(wrong)


def test_includes_start_at_the_root(cpp, root):
    report(["%s:%d: %s" % (s.path, n, i) for s in cpp for n, i in s.includes
            if "../" in i or (root / s.path).parent.joinpath(i).exists() and s.folder != i.split(
                "/")[0] and "/" in s.path])


# Put together from parts, so that this file does not hold them.
PATHS = ["/" + "tmp/wt", "/" + "work/", "/" + "home/", "/" + "root/", "." + "/shared/",
         "../" + "shared"]


def test_no_path_of_a_machine(sources):
    report(["%s:%d: %s" % (s.path, n, p) for s in sources for n, line in enumerate(s.lines, 1)
            for p in PATHS if p in line])


def test_no_binaries(sources):
    report(["%s: is binary" % s.path for s in sources
            if not s.is_text and not s.path.startswith("bench/results/")])
