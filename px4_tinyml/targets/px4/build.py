"""Builds the PX4 module for this computer, with a stand-in for PX4 (stand_in/)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from px4_tinyml.emit.toolchain import build_once, compiler, run_tool
from px4_tinyml.emit.write import write_tree
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.programs import compile_objects
from px4_tinyml.targets.px4.stand_in.shim import LINK_OPTIONS, Harness

COMMAND = "px4_host"
PX4_OPTIONS = (
    *("-O2", "-fdata-sections", "-ffunction-sections", "-fomit-frame-pointer"),
    *("-fno-signed-zeros", "-fno-trapping-math", "-freciprocal-math", "-fno-math-errno", "-fno-strict-aliasing"),
    *("-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra"),
)
"""Compiler options of PX4 v1.17 that matter (cmake/px4_add_common_flags.cmake and the boards')."""


def module_options(tree: Mapping[str, str]) -> list[str]:
    """Compiler options that the module's CMakeLists.txt sets for every engine and every version of PX4."""
    text = tree["src/modules/motion_classifier/CMakeLists.txt"]
    flags = re.search(r"COMPILE_FLAGS\n(.*?)\n\tINCLUDES\n", text, re.DOTALL)
    if flags is None:
        raise ToolchainError("CMakeLists.txt of motion_classifier has no COMPILE_FLAGS before INCLUDES")
    words = re.sub(r"#.*", "", flags[1]).split()
    return [word for word in words if word.startswith("-")]


def build_module(harness: Harness, form: str, options: Sequence[str], link_options: Sequence[str]) -> Path:
    """The command that runs a script through the module. form: see shim.MODULE_FORMS. Built once, kept in the cache.

    Raises ToolchainError with the compiler's output.
    """
    program = compiler()
    flags = [*PX4_OPTIONS, *harness.options(form), *options]

    def make(work: Path) -> Path:
        write_tree(work, harness.files)
        product = work / "product"
        product.mkdir()
        objects = compile_objects([*program, *flags], harness.sources, work).values()
        run_tool([*program, *link_options, *objects, *LINK_OPTIONS, "-o", f"product/{COMMAND}"], cwd=work)
        return product

    key = (program, run_tool([*program, "--version"]), flags, sorted(harness.files.items()))
    return build_once("px4-host", key, make) / COMMAND
