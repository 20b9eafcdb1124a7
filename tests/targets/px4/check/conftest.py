"""Made-up checkouts, made-up compilers, and a module tree to change."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from px4_tinyml.emit.shipped import target_root

sys.path.insert(0, str(Path(__file__).parent))  # px4_check_samples
from px4_check_samples import make_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Callable[..., Path]:
    """A new made-up checkout of PX4 v1.<minor>."""
    return lambda minor=17, tag=None, name="px4": make_checkout(tmp_path / name, minor, tag)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH with git and made-up compilers only; remove one to miss it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    found = shutil.which("git")
    assert found
    (folder / "git").symlink_to(found)
    for name in ("arm-none-eabi-g++", "c++", "cmake", "make"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the module tree, to be changed."""
    return Path(shutil.copytree(target_root("px4_module"), tmp_path / "tree"))
