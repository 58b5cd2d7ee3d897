#!/usr/bin/env python3
"""Writes pages as a C++ source: embed.py OUT.cc NAME=PAGE.html ..."""

import sys

out, *pages = sys.argv[1:]
with open(out, "w", encoding="utf-8") as f:
    f.write('#include "orchestrator/ui/pages.h"\n\nnamespace sluice::orchestrator {\n\n')
    for page in pages:
        name, path = page.split("=", 1)
        with open(path, "rb") as source:
            data = source.read()
        f.write("static const char %sBytes[] = {%s};\n" % (name, ",".join(
            str(b if b < 128 else b - 256) for b in data)))
        f.write("const std::string_view %s(%sBytes, sizeof %sBytes);\n\n" % (name, name, name))
    f.write("}  // namespace sluice::orchestrator\n")
