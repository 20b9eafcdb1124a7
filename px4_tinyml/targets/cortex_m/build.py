"""Builds programs for an emulated bare Cortex-M4F or M7 (QEMU's MPS2 boards)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.write import text_files
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.programs import Program, build_programs
from px4_tinyml.targets.sources import classifier_files

PACKAGES = ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "libstdc++-arm-none-eabi-newlib", "qemu-system-arm")
"""Names of compiler and emulator in Debian and Ubuntu."""

TEMPLATES = Path(__file__).resolve().parent / "templates"
COMPILER = "arm-none-eabi-g++"
FLAGS = (
    "-std=c++14", "-O2", "-mthumb", "-mfloat-abi=hard", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics",
    "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Wdouble-promotion", "-Wfloat-conversion", "-Werror",
)  # fmt: skip
RUN = ("startup.cpp", "probe.S")
"""Sources of every program that measures."""
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


def tool(name: str) -> str:
    """Path of a program of PACKAGES; raises ToolchainError when it is not installed."""
    path = shutil.which(name)
    if path is None:
        raise ToolchainError(f"{name} is not installed: `make toolchain`, or apt-get install {' '.join(PACKAGES)}")
    return path


def frame_files() -> dict[str, str]:
    """Hand-written files around a classifier, by name; the form of a binary feed is that of the host project."""
    record = TEMPLATES.parents[1] / "host/templates/FeedRecord.hpp"
    return {record.name: record.read_text(encoding="utf-8"), **text_files(TEMPLATES)}


def bench_files() -> dict[str, str]:
    """Hand-written files of the programs that measure, by name."""
    return {**frame_files(), **text_files(TEMPLATES / "bench")}


def build_cortex_m(bundle: ModelBundle, cpu: str, cache_dir: Path | None = None) -> Path:
    """The image that classifies a feed, for a name of CPUS. Built once and kept in cache_dir.

    Raises ToolchainError with the packages to install or the compiler's output.
    """
    program = Program(("startup.cpp", "classify.cpp", "model/CompiledModel.cpp"))
    files = {**classifier_files(bundle), **frame_files()}
    return build_images(files, cpu, {"classify": program}, cache_dir) / "classify"


def build_images(
    files: Mapping[str, str], cpu: str, programs: Mapping[str, Program], cache_dir: Path | None = None
) -> Path:
    """Folder with an ELF image for each program, built from the files of a tree for a name of CPUS."""
    flags = (*CPUS[cpu].flags, *FLAGS)
    link = (*LINK_FLAGS, "-T", "link.ld")
    linked = {name: replace(p, link_flags=(*link, *p.link_flags)) for name, p in programs.items()}
    return build_programs(cpu, [tool(COMPILER)], flags, files, linked, cache_dir)
