"""Where the C++ trees that ship with the package are."""

from __future__ import annotations

import logging
from pathlib import Path

from px4_tinyml.errors import ToolchainError


def target_root(name: str) -> Path:
    """Folder of "px4_module" or "firmware": inside an installed package first, else in the repository."""
    package = Path(__file__).resolve().parents[1]
    for root in (package / "_targets" / name, package.parent / name):
        if root.is_dir():
            return root
    raise ToolchainError(f"{name}/ was not found beside {package}: reinstall px4-tinyml")


PRETRAINED, PRETRAINED_50HZ, PRETRAINED_BANDS = SHIPPED = ("pretrained", "pretrained-50hz", "pretrained-bands")
"""Bundles that ship with the package. The first two are trained on simulated quadrotors (`make pretrained-samples`),
the second for links that carry only 50 IMU samples a second; the third on recordings too (`make pretrained`)."""
BANDS_INSTEAD = "one bundle of preset bands works at every IMU rate from 25 Hz up (docs/live.md)"
"""What replaces that second bundle, preset link50 and `dataset --thinned`."""

log = logging.getLogger(__name__)


def bundle_argument(text: str) -> Path:
    """A bundle on the command line: `pretrained` stays a name, `./pretrained` and `pretrained/` are a folder's path."""
    path = Path(text)
    return path.absolute() if _is_name(path) and text != str(path) else path


def bundle_folder(name: Path) -> Path:
    """Where a bundle is. The name of one that ships with the package means that one, with or without such a folder."""
    if not _is_name(name):
        return name
    if str(name) == PRETRAINED_50HZ:
        log.warning("bundle %s is deprecated: %s", name, BANDS_INSTEAD)
    if name.is_dir():
        log.warning("%s is the bundle that ships with px4-tinyml; the folder of that name here is ./%s", name, name)
    return pretrained_bundle(str(name))


def _is_name(path: Path) -> bool:
    return str(path) in SHIPPED


def pretrained_bundle(name: str = PRETRAINED) -> Path:
    """Folder of a bundle that ships with the package."""
    return Path(__file__).resolve().parents[1] / name.replace("-", "_")
