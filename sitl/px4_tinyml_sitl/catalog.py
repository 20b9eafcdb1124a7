"""Names that a user chooses from. Imports nothing heavy, so that the command line's help can list them."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any

MISSIONS = {
    "mixed": "hover, climbs, descents, cruise, turns and hard manoeuvres in random order",
    "hover": "hold position, sometimes turning the nose",
    "ladder": "climb, hold, climb or descend, hold, …",
    "cruise": "straight legs and turns at cruising speed",
    "survey": "parallel lanes with half turns, at changing heights",
}
DEFAULT_MISSION = "mixed"


@functools.cache
def airframe_rows() -> dict[str, dict[str, Any]]:
    """airframes.toml: name → fields of Airframe."""
    return tomllib.loads(resources.files(__package__).joinpath("airframes.toml").read_text(encoding="utf-8"))
