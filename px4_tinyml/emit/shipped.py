"""Where the C++ trees that ship with the package are."""

from __future__ import annotations

from pathlib import Path

from px4_tinyml.errors import ToolchainError


def target_root(name: str) -> Path:
    """Folder of "px4_module" or "firmware": inside an installed package first, else in the repository."""
    package = Path(__file__).resolve().parents[1]
    for root in (package / "_targets" / name, package.parent / name):
        if root.is_dir():
            return root
    raise ToolchainError(f"{name}/ was not found beside {package}: reinstall px4-tinyml")


PRETRAINED, PRETRAINED_50HZ = "pretrained", "pretrained-50hz"
"""Bundles that ship with the package, trained on simulated quadrotors (`make pretrained`); the second one for links
that carry only 50 IMU samples a second."""


def bundle_folder(name: Path) -> Path:
    """Where a bundle is: the name of one that ships with the package means that one, unless there is such a folder."""
    return pretrained_bundle(str(name)) if str(name) in (PRETRAINED, PRETRAINED_50HZ) and not name.exists() else name


def pretrained_bundle(name: str = PRETRAINED) -> Path:
    """Folder of a bundle that ships with the package."""
    return Path(__file__).resolve().parents[1] / name.replace("-", "_")
