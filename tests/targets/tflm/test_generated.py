"""Code for TensorFlow Lite Micro, tested without it: text, the engine with a double, and errors."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from reference_models import MODELS

from px4_tinyml.compiler.ops import OPERATORS
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.emit.write import module_sources, write_tree
from px4_tinyml.errors import ToolchainError
from px4_tinyml.targets.tflm.build import DIR_VARIABLE, INTERPRETER, LIB_VARIABLE, TflmTree
from px4_tinyml.targets.tflm.generate import Arena, tflm_model

HERE = Path(__file__).resolve().parent
STRICT = (
    "-std=c++14", "-Wall", "-Wextra", "-Wshadow", "-Wdouble-promotion", "-Wfloat-conversion", "-Wfloat-equal",
    "-Werror", "-fno-exceptions", "-fno-rtti",
)  # fmt: skip


def generated(name: str) -> dict[str, str]:
    model = (MODELS / f"{name}.tflite").read_bytes()
    return tflm_model(model, read_model(model), "0123abcd", Arena(4096, "a test's"))


@pytest.mark.parametrize("name", ["dense", "conv"])
def test_resolver_has_the_models_operators_and_no_other(name: str) -> None:
    files = generated(name)
    assert files == generated(name)
    call = r"resolver\.(\w+)\(MOTION_(?:GENERAL_)?REGISTRATION\((\d+), tflite::(\w+)\(\)\)\)"
    added = re.findall(call, files["TflmModel.cpp"])
    graph = read_model((MODELS / f"{name}.tflite").read_bytes())
    assert [(method, registration) for method, _, registration in added] == [
        (OPERATORS[name].resolver_method, OPERATORS[name].registration) for name in graph.operator_names
    ]
    assert [int(position) for _, position, _ in added] == list(range(len(added)))
    assert f"int kOperators = {len(added)};" in files["TflmModel.hpp"]


def test_registrations_are_those_for_int8() -> None:
    dense = generated("dense")["TflmModel.cpp"]
    assert "AddFullyConnected" in dense and "Register_FULLY_CONNECTED_INT8()" in dense and "AddConv2D" not in dense


def test_model_bytes_and_constants() -> None:
    files = generated("conv")
    array = re.search(r"alignas\(16\) const uint8_t kModel\[\] = \{(.*?)\};", files["TflmModel.cpp"], re.DOTALL)
    assert (
        array
        and bytes(map(int, array[1].replace("\n", " ").strip().rstrip(",").split(",")))
        == (MODELS / "conv.tflite").read_bytes()
    )
    for line in ("int kInputSize = 768;", "int kOutputSize = 4;", "int kArenaBytes = 4096;"):
        assert f"static constexpr {line}" in files["TflmModel.hpp"]
    assert "kInputShape, 3, 0.00784298778f, 0}" in files["TflmModel.cpp"]
    assert "kOutputShape, 2, 0.00390625f, -128}" in files["TflmModel.cpp"]
    assert all(text.isascii() and " \n" not in text and text.endswith("\n") for text in files.values())


def test_estimated_arena_is_a_quarter_more() -> None:
    arena = Arena.estimated(4096)
    assert arena.size == 5120 and "estimated" in arena.origin and Arena.estimated(3009).size == 3776


def test_the_engine_names_every_problem(cxx: list[str], tmp_path: Path) -> None:
    """With a double of TFLite Micro: what the engine checks, and that it is harmless after a failure."""
    include = '#include "tensorflow/lite/micro/micro_interpreter.h"\n'
    headers = ("micro/micro_mutable_op_resolver.h", "schema/schema_generated.h")
    write_tree(tmp_path, {**module_sources("engine"), **{f"tensorflow/lite/{name}": include for name in headers}})
    command = [*cxx, *STRICT, "-DMOTION_ENGINE_TFLM", "-I", str(tmp_path), "-isystem", str(HERE / "double")]
    program = tmp_path / "problems"
    subprocess.run([*command, str(HERE / "problems.cpp"), "-o", str(program)], check=True, timeout=60)
    assert subprocess.run([str(program)], check=False, timeout=10).returncode == 0


def test_where_a_tree_must_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DIR_VARIABLE, raising=False)
    monkeypatch.delenv(LIB_VARIABLE, raising=False)
    assert TflmTree.find("host") is None
    monkeypatch.setenv(DIR_VARIABLE, str(tmp_path))
    with pytest.raises(ToolchainError, match=f"{LIB_VARIABLE} is not set"):
        TflmTree.find("host")
    monkeypatch.setenv(LIB_VARIABLE, str(tmp_path / "{target}" / "lib.a"))
    with pytest.raises(ToolchainError, match="is not in it"):
        TflmTree.find("host")
    (tmp_path / INTERPRETER).parent.mkdir(parents=True)
    (tmp_path / INTERPRETER).touch()
    with pytest.raises(ToolchainError, match=r"cortex-m7/lib\.a does not exist"):
        TflmTree.find("cortex-m7")
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "lib.a").touch()
    found = TflmTree.find("host")
    assert found == TflmTree(tmp_path, tmp_path / "host" / "lib.a")


def test_generate_without_a_tree(
    project: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The project is written with an estimated arena; building it then asks for the tree."""
    monkeypatch.delenv(DIR_VARIABLE, raising=False)
    monkeypatch.delenv(LIB_VARIABLE, raising=False)
    for target in ("host", "cortex-m"):
        out = project(target)
        assert "arena: 5120 bytes (estimated" in capsys.readouterr().out
        assert (out / "model" / "TflmModel.cpp").is_file() and not (out / "model" / "CompiledModel.cpp").exists()
        assert DIR_VARIABLE in (out / "README.md").read_text(encoding="utf-8")
    built = subprocess.run(["make", "-C", str(out)], capture_output=True, text=True, check=False)
    assert built.returncode != 0 and f"set {DIR_VARIABLE}" in built.stderr
