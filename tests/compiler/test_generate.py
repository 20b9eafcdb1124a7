"""The generated C++: reproducible, with readable constants, without compiler warnings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from reference_models import MODELS
from toolchains import need

from px4_tinyml.compiler.cpp_model import compile_model
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.errors import ConversionError

from .cpp import FLAGS, MODULE


@pytest.fixture(scope="module")
def conv() -> dict[str, str]:
    return compile_model(read_model((MODELS / "conv.tflite").read_bytes()), "0123abcd")


def test_the_text_is_reproducible(conv: dict[str, str]) -> None:
    again = compile_model(read_model((MODELS / "conv.tflite").read_bytes()), "0123abcd")
    assert again == conv and list(conv) == ["CompiledModel.hpp", "CompiledModel.cpp"]
    assert all(text.isascii() and text.endswith("\n") and " \n" not in text for text in conv.values())


def test_constants(conv: dict[str, str]) -> None:
    header = conv["CompiledModel.hpp"]
    for line in (
        "int kInputSize = 768;", "int kOutputSize = 4;", "int kArenaBytes = 792;", "int32_t kMacs = 33504;",
        "float kInputScale = 0.00784298778f;", "float kOutputScale = 0.00390625f;", "int kInputZeroPoint = 0;",
        "int kOutputZeroPoint = -128;", 'const char *kSpecHash = "0123abcd";',
    ):  # fmt: skip
        assert f"\tstatic constexpr {line}\n" in header


def test_a_hash_that_is_not_hexadecimal_is_rejected() -> None:
    with pytest.raises(ConversionError, match="hexadecimal"):
        compile_model(read_model((MODELS / "conv.tflite").read_bytes()), '";')


@pytest.mark.parametrize("standard", ["c++14", "c++17"])
def test_the_source_compiles_in_the_modules_layout(conv: dict[str, str], tmp_path: Path, standard: str) -> None:
    need("g++", "nm")
    folder = tmp_path / "model"
    folder.mkdir()
    for name, text in conv.items():
        (folder / name).write_text(text, encoding="utf-8")
    source = folder / "CompiledModel.cpp"
    command = ["g++", *FLAGS, f"-std={standard}", "-Os", "-c", f"-I{tmp_path}", f"-I{MODULE}", str(source)]
    subprocess.run([*command, "-o", str(tmp_path / "model.o")], check=True, timeout=60)
    # It uses nothing of the C or C++ library.
    symbols = subprocess.run(["nm", "-u", str(tmp_path / "model.o")], check=True, capture_output=True, text=True)
    assert {line.split()[-1] for line in symbols.stdout.splitlines()} <= {"memcpy", "memset", "__stack_chk_fail"}


@pytest.mark.parametrize("header", sorted(p.relative_to(MODULE).as_posix() for p in MODULE.glob("engine/**/*.hpp")))
def test_every_header_compiles_first(header: str) -> None:
    need("g++")
    code = f'#include "{header}"\n'
    command = ["g++", *FLAGS, "-Wshadow", "-fsyntax-only", f"-I{MODULE}", "-x", "c++", "-"]
    subprocess.run(command, input=code, text=True, check=True, timeout=60)
