"""What every test may use: the shared flight logs, and the package's own command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with `data/` (real flight logs, not part of this repository) and `reference/` (int8 models)."""
    root = Path(os.environ.get("PX4_TINYML_SHARED", REPOSITORY.parent / "shared"))
    if not (root / "data" / "manifest.csv").is_file():
        pytest.skip("real flight logs are not here: set PX4_TINYML_SHARED to the folder that holds data/")
    return root
