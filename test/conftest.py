"""Marks what test/known_failures.txt lists: the tests run, and their failure fails nothing."""

import pathlib

import pytest

HERE = pathlib.Path(__file__).parent


def known_failures():
    for line in (HERE / "known_failures.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, reason = line.split(" | ", 1)
            yield name, reason


def pytest_collection_modifyitems(items):
    known = list(known_failures())
    for item in items:
        for name, reason in known:
            if name in item.nodeid:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
