"""The style rules, each a failing test."""

import pytest
from rules import ROOT, Source, tracked


@pytest.fixture(scope="session")
def sources():
    return [Source(p) for p in tracked()]


@pytest.fixture(scope="session")
def cpp(sources):
    return [s for s in sources if s.is_cpp]


@pytest.fixture(scope="session")
def root():
    return ROOT
