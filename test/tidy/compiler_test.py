"""clang's own tools: headers compile alone, clang-format, clang-tidy. What has not changed since it
last passed is not looked at again: the cache is keyed by a file's content and all it includes."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess

import pytest
from rules import ROOT, report

BUILD = ROOT / "build-asan"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
CACHE = CACHE / "sluice" / "tidy"

# Few, and each for a fault that reviews miss; no style by taste, no static analyser (time).
CHECKS = ("-*,bugprone-use-after-move,bugprone-dangling-handle,bugprone-unused-raii,"
          "bugprone-infinite-loop,bugprone-suspicious-memset-usage,bugprone-sizeof-expression,"
          "bugprone-string-constructor,bugprone-undelegated-constructor,"
          "bugprone-unhandled-self-assignment,bugprone-inaccurate-erase,"
          "bugprone-suspicious-semicolon,"
          "modernize-use-override,misc-definitions-in-headers,performance-for-range-copy,"
          "google-runtime-operator,clang-diagnostic-covered-switch-default,"
          "cppcoreguidelines-avoid-capturing-lambda-coroutines")


@pytest.fixture(scope="session")
def commands():
    """source path from the root -> compiler arguments without output and input."""
    found = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
        if not path.startswith("..") and path.endswith(".cc"):
            arguments = shlex.split(entry["command"])
            if os.path.basename(arguments[0]) == "ccache":
                arguments = arguments[1:]
            keep, skip = [], 0
            for a in arguments[1:]:
                if skip:
                    skip -= 1
                elif a in ("-o", "-MF", "-MQ"):
                    skip = 1
                elif a not in ("-c", "-MD") and a != entry["file"]:
                    keep.append(a)
            found[path] = keep
    return found


def text_key(path, seen):
    """The file's own content and that of all headers of ours that it reaches."""
    if path in seen:
        return
    seen[path] = (ROOT / path).read_bytes()
    for name in re.findall(rb'^#include "([^"]+)"', seen[path], re.M):
        name = name.decode()
        if (ROOT / name).is_file():
            text_key(name, seen)


def passed_before(kind, path, arguments):
    seen = {}
    text_key(path, seen)
    key = hashlib.sha256(repr((kind, path, arguments, CHECKS)).encode())
    for name in sorted(seen):
        key.update(name.encode() + b"\0" + seen[name])
    return CACHE / key.hexdigest()


def run_all(kind, jobs):
    """jobs: (path, arguments to run). Runs those that have not passed yet, two at once."""
    CACHE.mkdir(parents=True, exist_ok=True)

    def one(job):
        path, arguments = job
        mark = passed_before(kind, path, [str(a).replace(str(ROOT), "") for a in arguments])
        if mark.exists():
            return None
        out = subprocess.run(arguments, cwd=BUILD, capture_output=True, text=True, timeout=300)
        if out.returncode == 0:
            mark.touch()
            return None
        return "%s:\n%s" % (path, "\n".join((out.stdout + out.stderr).splitlines()[:15]))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        report([r for r in pool.map(one, jobs) if r])


def flags_for(path, commands):
    """Those of a source that includes it, best of one in the same folder; else of one in that
    folder, or of main.cc, which may include everything of ours."""
    def distance(source):
        return ('"%s"' % path not in (ROOT / source).read_text(),
                os.path.dirname(source) != os.path.dirname(path))
    best = min(sorted(commands), key=distance)
    return commands[best if distance(best) != (True, True) else "main.cc"]


def test_headers_compile_alone(cpp, commands):
    run_all("header", [
        (s.path, ["clang++-19", *flags_for(s.path, commands), "-Wno-pragma-once-outside-header",
                  "-Wno-unused-function", "-Wno-unused-const-variable", "-fno-sanitize=all",
                  "-fno-color-diagnostics", "-fsyntax-only", "-x", "c++", str(ROOT / s.path)])
        for s in cpp if s.path.endswith(".h")])


def test_clang_format(cpp):
    out = subprocess.run(["clang-format-19", "--dry-run", *[s.path for s in cpp]], cwd=ROOT,
                         capture_output=True, text=True, check=True).stderr
    wrong = sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: (?:warning|error):", out, re.M)))
    assert not wrong, "clang-format-19 -i " + " ".join(wrong)


def test_clang_tidy(cpp, commands):
    run_all("clang-tidy", [
        (s.path, ["clang-tidy-19", "--quiet", "--checks=" + CHECKS, "--warnings-as-errors=*",
                  str(ROOT / s.path), "--", *commands[s.path], "-fno-sanitize=all", "-Wno-error",
                  "-Wcovered-switch-default"])  # a switch over a state enum has no default
        for s in cpp if s.path in commands and s.folder not in ("test", "bench")])
