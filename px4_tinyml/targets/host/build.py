"""Builds programs for this computer with its C++ compiler: the generated project, and single programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.toolchain import build_once, compiler, file_digest, run_tool
from px4_tinyml.emit.write import write_tree
from px4_tinyml.targets.host.generate import host_files
from px4_tinyml.targets.programs import Program, build_programs, compile_objects

COMMAND, LIBRARY = "motion_classify", "libmotion.so"
_PROJECT_FLAGS = ("-std=c++14", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")
_PROGRAM_FLAGS = ("-std=c++14", "-O2", "-Wall", "-Wextra", "-fno-exceptions", "-fno-rtti")


def build_host(bundle: ModelBundle, cache_dir: Path | None = None) -> Path:
    """Path of the command motion_classify for a bundle; libmotion.so is beside it.

    Built once and kept in cache_dir (default: the user's cache). Raises ToolchainError with the compiler's output.
    """
    return build_tree(host_files(bundle), cache_dir) / COMMAND


def build_tree(
    files: Mapping[str, str], cache_dir: Path | None = None, flags: Sequence[str] = (), libraries: Sequence[Path] = ()
) -> Path:
    """Folder with motion_classify and libmotion.so, built from the files of a host project and static libraries.

    Raises ToolchainError without a compiler, or with its output.
    """
    cxx = compiler()
    command = [*cxx, *_PROJECT_FLAGS, *flags]

    def make(work: Path) -> Path:
        write_tree(work, files)
        product = work / "product"
        product.mkdir()
        sources = [name for name in sorted(files) if name.endswith(".cpp")]
        objects = compile_objects([*command, "-I", "."], sources, work)
        library = [compiled for source, compiled in objects.items() if source != "main.cpp"]
        linked = [str(path) for path in libraries]
        run_tool([*command, "-shared", *library, *linked, "-o", str(product / LIBRARY)], cwd=work)
        run_tool([*command, *objects.values(), *linked, "-o", str(product / COMMAND)], cwd=work)
        return product

    digests = [file_digest(library) for library in libraries]
    key = (command, run_tool([*cxx, "--version"]), sorted(files.items()), digests)
    return build_once("host", key, make, cache_dir)


def build_host_programs(files: Mapping[str, str], programs: Mapping[str, Program]) -> Path:
    """Folder with a program for each name, built from the files of a tree. Raises ToolchainError."""
    return build_programs("host-programs", compiler(), _PROGRAM_FLAGS, files, programs)
