"""Toolchains that the compiler's tests need."""

from __future__ import annotations

import pytest
from toolchains import need, need_cortex_m


@pytest.fixture()
def toolchain(request: pytest.FixtureRequest) -> None:
    """The tools to build and run the `target` of a test (one of cpp.TARGETS)."""
    if request.getfixturevalue("target").startswith("cortex"):
        need_cortex_m()
    else:
        need("g++")
