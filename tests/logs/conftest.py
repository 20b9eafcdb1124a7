"""Small logs made here, byte by byte, so that these tests run without any real recording."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # collect_samples and collect_damage
