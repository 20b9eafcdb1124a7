"""Compilers and other programs of this computer, and a cache of their results."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from px4_tinyml.errors import ToolchainError

COMPILERS = ("c++", "g++", "clang++")


def compiler() -> list[str]:
    """The C++ compiler: $CXX (with its options), or the first one found."""
    wanted = os.environ.get("CXX")
    for name, *options in [shlex.split(wanted)] if wanted else [[name] for name in COMPILERS]:
        path = shutil.which(name)
        if path:
            return [path, *options]
    found = f"CXX is {wanted!r}, which does not exist" if wanted else f"none of {', '.join(COMPILERS)} found"
    raise ToolchainError(f"no C++ compiler: {found}; install one (Debian, Ubuntu: `apt-get install g++`)")


def user_cache() -> Path:
    """Folder of built programs: $XDG_CACHE_HOME/px4-tinyml or ~/.cache/px4-tinyml."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "px4-tinyml"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hex, for the key of a build that depends on it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build_once(kind: str, key: object, make: Callable[[Path], Path], cache_dir: Path | None = None) -> Path:
    """The folder that `make(work folder)` returned, built once for each key and kept in the cache."""
    name = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
    built = (cache_dir or user_cache()) / kind / name
    if built.is_dir():
        return built
    try:
        built.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=built.parent, prefix="build-") as folder:
            product = make(Path(folder))
            # A rename is atomic: another process never sees half of it.
            if not built.is_dir():
                product.rename(built)
    except OSError as error:
        if not built.is_dir():
            raise ToolchainError(f"{built.parent}: cannot build there ({error.strerror})") from error
    return built


def run_tool(command: Sequence[str], cwd: Path | None = None) -> str:
    """Standard output of a program; raises ToolchainError with its error output when it fails."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, errors="replace", check=False, cwd=cwd)
    except OSError as error:
        raise ToolchainError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise ToolchainError(f"`{' '.join(command)}` failed:\n{done.stderr.strip()}")
    return done.stdout
