"""A room imports only rooms above it (docs/architecture.md), and a companion computer needs no TensorFlow."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SITL = "px4_tinyml_sitl"
ROOMS = (
    "errors", "units", "files", "flight_log", "progress", "emit", "signal", "mavlink", "logs", "link", SITL,
    "compiler", "bundle", "dataset", "targets", "training", "quality", "classify", "replay", "bench", "report", "cli",
)  # fmt: skip
"""From the ground up. The package itself ("") holds the version, and the public API, which it imports lazily."""
CONVENTIONAL = {"__init__", "generate", "build", "run", "bench"}
"""File names that may stand more than once: those of a target."""
HEAVY = ("tensorflow", "keras", "matplotlib", "pyarrow", "jsbsim", "sklearn", "mavsdk")


def sources() -> list[Path]:
    return [*sorted((REPOSITORY / "px4_tinyml").rglob("*.py")), *sorted((REPOSITORY / "sitl").rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Rooms that a file imports anywhere ("" for the package itself)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path}: relative import")
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
            if node.module == "px4_tinyml":
                modules = [f"px4_tinyml.{alias.name}" for alias in node.names if not alias.name.startswith("_")]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        names |= {room for room in map(room_of, modules) if room is not None}
    return names


def room_of(module: str) -> str | None:
    """Room of a dotted name, None for other packages."""
    top, *rest = module.split(".")
    if top == SITL:
        return SITL
    return (rest[0] if rest else "") if top == "px4_tinyml" else None


def room(path: Path) -> str:
    relative = path.relative_to(REPOSITORY)
    return SITL if relative.parts[0] == "sitl" else relative.parts[1].removesuffix(".py").replace("__init__", "")


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_a_room_imports_only_rooms_above_it(path: Path) -> None:
    here = room(path)
    above = set(ROOMS) if here == "" else {"", *ROOMS[: ROOMS.index(here) + 1]}
    assert imported(path) <= above


def test_one_file_name_is_one_idea() -> None:
    names = Counter(path.stem for path in sources())
    assert {name for name, count in names.items() if count > 1} <= CONVENTIONAL


def test_one_public_class_name_has_one_meaning() -> None:
    names = Counter(
        node.name
        for path in sources()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_every_module_but_training_imports_without_the_heavy_packages() -> None:
    code = f"""
import importlib, pkgutil, sys
for heavy in {HEAVY}:
    sys.modules[heavy] = None
import px4_tinyml
for info in pkgutil.walk_packages(px4_tinyml.__path__, "px4_tinyml."):
    if not info.name.startswith(("px4_tinyml.training", "px4_tinyml.report", "px4_tinyml._targets")):
        importlib.import_module(info.name)
from px4_tinyml.cli.main import COMMANDS, build_parser
build_parser(*COMMANDS)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
