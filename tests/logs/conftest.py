"""What the tests of logs share: the folder on the import path, the manifest of the real logs."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # collect_samples and collect_damage


@pytest.fixture(scope="session")
def manifest(shared: Path) -> list[dict[str, str]]:
    """Rows of the manifest: what independent scripts found in each real log."""
    with (shared / "data" / "manifest.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
