"""TOML files that users write: specs and column maps."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from px4_tinyml.errors import SpecError


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises SpecError when it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not valid TOML: {error}") from error
