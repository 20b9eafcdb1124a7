"""`generate cortex-m`: programs for an emulated bare Cortex-M4F or M7 (QEMU's MPS2 boards).

The sibling of host.py: what runs on a flight controller, where anyone can run it and count its instructions.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.toolchain import build_once, file_digest, run_tool
from px4_tinyml.emit.write import PACKAGE, render, write_tree
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.host.generate import classifier_files, tflm_values
from px4_tinyml.targets.tflm.generate import Arena

PACKAGES = ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "libstdc++-arm-none-eabi-newlib", "qemu-system-arm")
"""What Debian and Ubuntu call the compiler and the emulator."""

TEMPLATES = Path(__file__).resolve().parent / "templates"
COMPILER = "arm-none-eabi-g++"
FLAGS = (
    "-std=c++14", "-O2", "-mthumb", "-mfloat-abi=hard", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics",
    "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Wdouble-promotion", "-Wfloat-conversion", "-Werror",
)  # fmt: skip
LINK_FLAGS = ("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections")


@dataclass(frozen=True)
class Cpu:
    """An emulated processor: QEMU's machine and the compiler's flags for it."""

    machine: str
    flags: tuple[str, ...]


CPUS = {
    "cortex-m4": Cpu("mps2-an386", ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16")),
    "cortex-m7": Cpu("mps2-an500", ("-mcpu=cortex-m7", "-mfpu=fpv5-d16")),
}


@dataclass(frozen=True)
class Program:
    """One image of a tree: its .cpp files, what is added to the compiler's and to the linker's flags, and libraries."""

    sources: Sequence[str]
    flags: Sequence[str] = ()
    link_flags: Sequence[str] = ()
    libraries: Sequence[Path] = ()


def tool(name: str) -> str:
    """Path of a program of PACKAGES; raises ToolchainError when it is not installed."""
    path = shutil.which(name)
    if path is None:
        raise ToolchainError(f"{name} is not installed: `make toolchain`, or apt-get install {' '.join(PACKAGES)}")
    return path


def frame_files(folder: str = "") -> dict[str, str]:
    """The hand-written files of this target's templates/<folder>, and the binary feed's form, by name."""
    paths = [PACKAGE / "targets/host/templates/FeedRecord.hpp", *sorted((TEMPLATES / folder).iterdir())]
    return {path.name: path.read_text(encoding="utf-8") for path in paths if path.suffix not in ("", ".j2")}


def cortex_m_files(bundle: ModelBundle, tflm: Arena | None = None) -> dict[str, str]:
    """Every file of the project, by relative path. tflm: for TensorFlow Lite Micro, with this arena."""
    values = {"spec": bundle.spec, "cpus": CPUS, "compiler": COMPILER, "packages": PACKAGES}
    values["tflm"] = tflm_values() if tflm else None
    flags = {"flags": FLAGS, "link_flags": LINK_FLAGS}
    return {
        **classifier_files(bundle, tflm),
        **frame_files(),
        "Makefile": render("targets/cortex_m/templates/Makefile.j2", **values, **flags),
        "README.md": render("targets/cortex_m/templates/README.md.j2", **values),
    }


def generate_cortex_m(bundle: ModelBundle, folder: Path, tflm: Arena | None = None) -> list[Path]:
    """Write the project; returns the files that changed."""
    return write_tree(folder, cortex_m_files(bundle, tflm))


def build_cortex_m(bundle: ModelBundle, cpu: str, cache_dir: Path | None = None) -> Path:
    """The image that classifies a feed, for a name of CPUS. Built once and kept in cache_dir.

    Raises ToolchainError with the packages to install or the compiler's words.
    """
    program = Program(("startup.cpp", "classify.cpp", "model/CompiledModel.cpp"))
    files = {**classifier_files(bundle), **frame_files()}
    return build_programs(files, cpu, {"classify": program}, cache_dir) / "classify"


def build_programs(
    files: Mapping[str, str], cpu: str, programs: Mapping[str, Program], cache_dir: Path | None = None
) -> Path:
    """Folder with an ELF image for each program, built from the files of a tree for a name of CPUS."""
    command = [tool(COMPILER), *CPUS[cpu].flags, *FLAGS]
    version = run_tool([command[0], "--version"])

    def make(work: Path) -> Path:
        write_tree(work / "src", files)
        product = work / "product"
        product.mkdir()
        link = [*LINK_FLAGS, "-T", str(work / "src" / "link.ld")]
        for name, program in programs.items():
            sources = [str(work / "src" / source) for source in program.sources]
            libraries = [str(library) for library in program.libraries]
            options = ["-I", str(work / "src"), *program.flags, *sources, *libraries, *link, *program.link_flags]
            run_tool([*command, *options, "-o", str(product / name)])
        return product

    digests = {library: file_digest(library) for program in programs.values() for library in program.libraries}
    return build_once(cpu, (command, LINK_FLAGS, version, sorted(files.items()), programs, digests), make, cache_dir)
