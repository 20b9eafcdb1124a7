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
