"""What the engine's tests need from the machine."""

from __future__ import annotations

import os
import shutil

import pytest


def _need(found: bool, what: str) -> None:
    if not found:
        if os.environ.get("PX4_TINYML_REQUIRE_TOOLCHAINS") == "1":
            pytest.fail(f"{what} is missing and PX4_TINYML_REQUIRE_TOOLCHAINS=1")
        pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def gxx() -> None:
    """A C++ compiler."""
    _need(shutil.which("g++") is not None, "g++")


@pytest.fixture()
def toolchain(request: pytest.FixtureRequest) -> None:
    """What the `target` of a test (one of cpp.TARGETS) is built and run with."""
    arm = ("arm-none-eabi-g++", "qemu-system-arm")
    for tool in arm if request.getfixturevalue("target").startswith("cortex") else ("g++",):
        _need(shutil.which(tool) is not None, tool)
