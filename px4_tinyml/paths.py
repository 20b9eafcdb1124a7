"""Where the C++ trees that ship with the package are."""

from __future__ import annotations

from pathlib import Path

from px4_tinyml.errors import ToolchainError


def target_root(name: str) -> Path:
    """Folder of "px4_module" or "firmware": inside an installed package first, else in the repository."""
    package = Path(__file__).resolve().parent
    for root in (package / "_targets" / name, package.parent / name):
        if root.is_dir():
            return root
    raise ToolchainError(f"{name}/ was not found beside {package}: reinstall px4-tinyml")


def bundle_folder(name: Path) -> Path:
    """Where a bundle is: "pretrained", unless there is such a folder, is the one that ships with the package."""
    return pretrained_bundle() if name == Path("pretrained") and not name.exists() else name


def pretrained_bundle() -> Path:
    """Folder of the bundle that ships with the package: trained on simulated quadrotors (`make pretrained`)."""
    return Path(__file__).resolve().parent / "pretrained"
