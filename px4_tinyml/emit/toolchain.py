"""Build a generated host project with the system's C++ compiler, once: the result is cached by content."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from px4_tinyml.emit.write import write_tree
from px4_tinyml.errors import ToolchainError

FLAGS = ("-std=c++14", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")
COMMAND, LIBRARY = "motion_classify", "libmotion.so"
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
    """Where built commands are kept: $XDG_CACHE_HOME/px4-tinyml or ~/.cache/px4-tinyml."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "px4-tinyml"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hex: what a build depends on beside its sources."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build_tree(
    files: Mapping[str, str],
    cache_dir: Path | None = None,
    flags: Sequence[str] = (),
    libraries: Sequence[Path] = (),
) -> Path:
    """Folder with motion_classify and libmotion.so, built from the files of a host project and static libraries.

    Raises ToolchainError when there is no compiler or it fails.
    """
    cxx = compiler()
    command = [*cxx, *FLAGS, *flags]
    version = run_tool([*cxx, "--version"])

    def make(work: Path) -> Path:
        write_tree(work / "src", files)
        return _compile(command, work, [f for f in sorted(files) if f.endswith(".cpp")], libraries)

    key = (command, version, sorted(files.items()), [file_digest(library) for library in libraries])
    return build_once("host", key, make, cache_dir)


def build_once(kind: str, key: object, make: Callable[[Path], Path], cache_dir: Path | None = None) -> Path:
    """The folder that `make(work folder)` returned, made once for each key and kept in the cache."""
    name = hashlib.sha256(repr(key).encode()).hexdigest()[:32]
    built = (cache_dir or user_cache()) / kind / name
    if built.is_dir():
        return built
    try:
        built.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=built.parent, prefix="build-") as folder:
            product = make(Path(folder))
            # A rename is atomic: whoever builds the same at the same time finds all of it or nothing.
            if not built.is_dir():
                product.rename(built)
    except OSError as error:
        if not built.is_dir():
            raise ToolchainError(f"{built.parent}: cannot build there ({error.strerror})") from error
    return built


def _compile(command: list[str], work: Path, sources: list[str], libraries: Sequence[Path]) -> Path:
    product = work / "product"
    product.mkdir()
    objects = {source: str(work / (source.replace("/", "_") + ".o")) for source in sources}
    for source, made in objects.items():
        run_tool([*command, "-I", str(work / "src"), "-c", str(work / "src" / source), "-o", made])
    library = [made for source, made in objects.items() if source != "main.cpp"]
    linked = [str(path) for path in libraries]
    run_tool([*command, "-shared", *library, *linked, "-o", str(product / LIBRARY)])
    run_tool([*command, *objects.values(), *linked, "-o", str(product / COMMAND)])
    return product


def run_tool(command: Sequence[str], cwd: Path | None = None) -> str:
    """Standard output of a program; raises ToolchainError with its words when it fails."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, errors="replace", check=False, cwd=cwd)
    except OSError as error:
        raise ToolchainError(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise ToolchainError(f"`{' '.join(command)}` failed:\n{done.stderr.strip()}")
    return done.stdout
