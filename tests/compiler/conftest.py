"""What the engine's tests need from the machine."""

from __future__ import annotations

import pytest
from toolchains import need, need_cortex_m


@pytest.fixture(scope="session")
def gxx() -> None:
    """The compiler that hosts and PX4's own builds have."""
    need("g++")


@pytest.fixture()
def toolchain(request: pytest.FixtureRequest) -> None:
    """What the `target` of a test (one of cpp.TARGETS) is built and run with."""
    if request.getfixturevalue("target").startswith("cortex"):
        need_cortex_m()
    else:
        need("g++")
