"""Imports run one way, and a companion computer needs no TensorFlow."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = ("collect", "link", "dataset", "train", "convert", "generate", "classify", "replay", "bench", "report", "cli")
FOUNDATION = {"spec", "types", "units", "errors", "paths", "progress", "bands"}
FOUNDATION_MAY_USE = {*FOUNDATION, ""}
SITL_MAY_USE = {*FOUNDATION_MAY_USE, "collect", "link"}
MAY_USE_SITL = {"replay", "cli"}


def sources() -> list[Path]:
    return [*sorted((REPOSITORY / "px4_tinyml").rglob("*.py")), *sorted((REPOSITORY / "sitl").rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """First module below px4_tinyml of every import anywhere in a file ("" for the package itself)."""
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
        for module in modules:
            if module == "px4_tinyml" or module.startswith("px4_tinyml."):
                names.add([*module.split("."), ""][1])
    return names


def room(path: Path) -> str:
    relative = path.relative_to(REPOSITORY)
    return "sitl" if relative.parts[0] == "sitl" else relative.parts[1].removesuffix(".py")


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_imports_run_one_way(path: Path) -> None:
    here = room(path)
    if here in FOUNDATION | {"__init__"}:
        allowed = FOUNDATION_MAY_USE
    elif here == "sitl":
        allowed = {*SITL_MAY_USE, "sitl"}
    else:
        allowed = {*FOUNDATION_MAY_USE, *ROOMS[: ROOMS.index(here) + 1]}
        if here in MAY_USE_SITL:
            allowed |= {"sitl"}
    assert imported(path) <= allowed


def test_every_module_imports_without_tensorflow() -> None:
    """Importing everything a companion computer uses must not load (or need) the heavy packages."""
    code = """
import importlib, pkgutil, sys
for heavy in ("tensorflow", "keras", "matplotlib", "pyarrow", "jsbsim", "sklearn", "mavsdk"):
    sys.modules[heavy] = None
import px4_tinyml
for name in ("spec", "collect", "dataset", "generate", "classify", "replay", "bench", "cli"):
    module = importlib.import_module(f"px4_tinyml.{name}")
    for info in pkgutil.walk_packages(getattr(module, "__path__", []), f"px4_tinyml.{name}."):
        if info.name != "px4_tinyml.cli.workflow":
            importlib.import_module(info.name)
from px4_tinyml.cli.main import build_parser
build_parser()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
