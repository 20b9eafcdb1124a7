"""What tests need installed: without it they skip with the reason, and fail where everything must be there."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import NoReturn

import pytest

from px4_tinyml.targets.cortex_m.build import COMPILER, PACKAGES
from px4_tinyml.targets.cortex_m.run import EMULATOR

PACKAGE_OF = {
    "arduino-builder": "arduino-builder arduino-core-avr", "avr-g++": "gcc-avr avr-libc", "clang++": "clang",
    "nm": "binutils", **dict.fromkeys((COMPILER, EMULATOR), " ".join(PACKAGES)),
}  # fmt: skip
"""Debian's and Ubuntu's, where it is not called as the program is."""


def missing(reason: str) -> NoReturn:
    """Something is not installed: skipped with the reason, or a failure where it must be there."""
    if os.environ.get("PX4_TINYML_REQUIRE_TOOLCHAINS") == "1":
        pytest.fail(f"{reason} (PX4_TINYML_REQUIRE_TOOLCHAINS=1)")
    pytest.skip(reason, allow_module_level=True)


def need(*programs: str) -> None:
    """All of these programs."""
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        packages = dict.fromkeys(PACKAGE_OF.get(program, program) for program in absent)
        missing(f"{', '.join(absent)} not installed: apt-get install {' '.join(packages)}")


def need_cortex_m() -> None:
    """The compiler for Cortex-M and the emulator."""
    need(COMPILER, EMULATOR)


def need_wheel(module: str, what_for: str) -> None:
    """A Python package."""
    if importlib.util.find_spec(module) is None:
        missing(f"{module} not installed, and {what_for}")
