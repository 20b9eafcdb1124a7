"""Programs built from a source tree with a compiler, once: the result is cached by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.emit.toolchain import build_once, file_digest, run_tool
from px4_tinyml.emit.write import write_tree


@dataclass(frozen=True)
class Program:
    """One program of a tree: its source files, additional flags of compiler and linker, and static libraries."""

    sources: Sequence[str]
    flags: Sequence[str] = ()
    link_flags: Sequence[str] = ()
    libraries: Sequence[Path] = ()


def build_programs(
    kind: str, compiler: Sequence[str], flags: Sequence[str], files: Mapping[str, str],
    programs: Mapping[str, Program], cache_dir: Path | None = None,
) -> Path:  # fmt: skip
    """Folder with a program for each name, built from the files (by relative path) of a tree.

    kind: name of a folder in the cache. Raises ToolchainError with the compiler's output.
    """
    version = run_tool([*compiler, "--version"])

    def make(work: Path) -> Path:
        write_tree(work / "src", files)
        product = work / "product"
        product.mkdir()
        for name, program in programs.items():
            libraries = [str(library) for library in program.libraries]
            options = ["-I", ".", *program.flags, *program.sources, *libraries, *program.link_flags]
            run_tool([*compiler, *flags, *options, "-o", str(product / name)], cwd=work / "src")
        return product

    digests = {library: file_digest(library) for program in programs.values() for library in program.libraries}
    key = (compiler, version, flags, sorted(files.items()), programs, digests)
    return build_once(kind, key, make, cache_dir)


def compile_objects(command: Sequence[str], sources: Sequence[str], work: Path) -> dict[str, str]:
    """Compile each source (relative to the folder work) there; object file by source."""
    objects = {source: source.replace("/", "_") + ".o" for source in sources}
    for source, compiled in objects.items():
        run_tool([*command, "-c", source, "-o", compiled], cwd=work)
    return objects
