"""A PX4 SITL build with the module, named by an environment variable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from px4_tinyml_sitl.px4.px4_process import Px4Build

VARIABLE = "PX4_TINYML_PX4_BUILD"


@pytest.fixture(scope="session")
def px4_build() -> Px4Build:
    """Skips when the variable is not set; fails when it does not name such a build."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"no PX4: set {VARIABLE} to a PX4 SITL build folder with the module in it (docs/px4_sitl.md)")
    build = Px4Build.open(Path(folder))
    build.require_module()
    return build
