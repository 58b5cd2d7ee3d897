"""What the tidy rules share: the files that git tracks, and their code without comments."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def code_only(text):
    """The text without comments and with empty literals; the lines keep their numbers. Digit
    separators are taken out first, or 10'000 would open a character literal."""
    text = re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", "", text)

    def blank(match):
        token = match.group(0)
        kept = "" if token.startswith("/") else token[-1] * 2
        return kept + "\n" * token.count("\n")
    # Includes are literals too, and wanted.
    lines = {n: line for n, line in enumerate(text.split("\n")) if line.startswith("#include")}
    out = _TOKEN.sub(blank, text).split("\n")
    for n, line in lines.items():
        out[n] = line
    return "\n".join(out)


class Source:
    def __init__(self, path):
        self.path = path  # from the root, with slashes
        self.raw = (ROOT / path).read_bytes()
        self.is_text = b"\0" not in self.raw
        self.text = self.raw.decode("utf-8", "replace") if self.is_text else ""
        self.lines = self.text.split("\n")
        self.is_cpp = path.endswith((".h", ".cc"))
        self._code = None

    @property
    def folder(self):
        return self.path.split("/")[0]

    @property
    def code(self):
        if self._code is None:
            self._code = code_only(self.text)
        return self._code

    @property
    def includes(self):
        return [(n, m.group(1)) for n, line in enumerate(self.lines, 1)
                if (m := re.match(r'#include [<"]([^>"]+)[>"]', line))]


def tracked():
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         cwd=ROOT, capture_output=True, check=True).stdout
    return sorted(p for p in out.decode().split("\0") if p and (ROOT / p).is_file())


def report(wrong):
    """One line a finding; the assertion shows them all."""
    assert not wrong, "\n" + "\n".join(wrong)
