"""The headers by themselves: self-contained, without a runtime, and safe against unsafe options."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from toolchains import need

from px4_tinyml.emit.toolchain import compiler
from px4_tinyml.emit.write import module_sources, write_tree

STRICT = [
    "-std=c++14", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wdouble-promotion", "-Wfloat-conversion",
    "-Wfloat-equal", "-Werror", "-fno-exceptions", "-fno-rtti",
]  # fmt: skip


def source(name: str) -> str:
    return (Path(__file__).parent / f"{name}.cpp").read_text()


def compile_text(folder, text: str, *flags: str) -> subprocess.CompletedProcess[str]:
    file = folder / "test.cpp"
    file.write_text(text)
    command = [*compiler(), *STRICT, "-I", str(folder), *flags, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("header", sorted(module_sources("core")))
def test_each_header_compiles_when_included_first(header, specs, tree, tmp_path) -> None:
    write_tree(tmp_path, tree(specs["default"]))
    done = compile_text(tmp_path, f'#include "{header}"\n#include "{header}"\n', "-fsyntax-only")
    assert done.returncode == 0, done.stderr


def test_the_core_needs_no_heap_no_libm_and_no_constructors_at_start(spec, tree, tmp_path) -> None:
    need("nm")
    write_tree(tmp_path, tree(spec))
    made = tmp_path / "test.o"
    done = compile_text(
        tmp_path, source("instance"), "-Os", "-ffreestanding", "-fno-threadsafe-statics", "-c", "-o", str(made)
    )
    assert done.returncode == 0, done.stderr
    undefined = subprocess.run(["nm", "-u", str(made)], capture_output=True, text=True, check=True).stdout.split()
    assert set(undefined) - {"U"} <= {"memcpy", "memset", "memmove", "__stack_chk_fail"}


@pytest.mark.parametrize("flag", ["-ffast-math", "-funsafe-math-optimizations", "-fassociative-math"])
def test_unsafe_math_is_rejected_with_a_reason(flag, specs, tree, tmp_path) -> None:
    write_tree(tmp_path, tree(specs["default"]))
    extra = ["-fno-signed-zeros", "-fno-trapping-math"] if flag == "-fassociative-math" else []
    done = compile_text(tmp_path, source("instance"), "-O2", flag, *extra, "-fsyntax-only")
    assert done.returncode != 0 and "-fno-unsafe-math-optimizations" in done.stderr


def test_parts_of_different_trainings_do_not_build(specs, tree, tmp_path) -> None:
    files = tree(specs["default"])
    name = "model/CompiledModel.hpp"
    for old, new in (("MotionSpec::hash()", '"0123"'), ("MotionSpec::labels", "3")):
        write_tree(tmp_path, {**files, name: files[name].replace(f"= {old};", f"= {new};")})
        done = compile_text(tmp_path, '#include "motion.cpp"\n', "-fsyntax-only")
        assert done.returncode != 0 and "parts of different trainings" in done.stderr


@pytest.mark.parametrize("flags", [[], ["-DMOTION_INTEGER_ROUNDING"]], ids=["float", "integer"])
def test_rounding_is_that_of_the_c_library_where_that_is_right(flags, specs, tree, tmp_path) -> None:
    write_tree(tmp_path, tree(specs["default"]))
    program = tmp_path / "rounding"
    done = compile_text(tmp_path, source("rounding"), "-O2", *flags, "-Wno-float-equal", "-o", str(program))
    assert done.returncode == 0, done.stderr
    assert subprocess.run([str(program)], check=False).returncode == 0


def test_a_product_of_the_caller_is_rounded_before_it_is_summed(specs, tree, tmp_path) -> None:
    write_tree(tmp_path, tree(specs["default"]))
    reported = []
    for flags in (["-O0"], ["-O3", "-mavx2", "-mfma", "-ffp-contract=fast"]):
        program = tmp_path / f"caller{flags[0]}"
        done = compile_text(tmp_path, source("caller"), *flags, "-o", str(program))
        if done.returncode != 0 and "mfma" in done.stderr:
            pytest.skip("this compiler knows no FMA")
        assert done.returncode == 0, done.stderr
        ran = subprocess.run([str(program)], capture_output=True, text=True, check=False)
        if ran.returncode < 0:
            pytest.skip("this processor has no FMA")
        reported.append(ran.stdout)
    assert reported[0] == reported[1] and len(reported[0].splitlines()) == 198
