"""Models of the TFLite converter in all three engines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toolchains import need_wheel

from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.compiler.oracle import TflmInterpreter
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.errors import ConversionError
from px4_tinyml.targets.cortex_m.build import CPUS

from .cpp import Program
from .models import random_inputs

RUNS = ("image", "series", "mean")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Converted once: TensorFlow is slow to start."""
    need_wheel("tensorflow", "the models are built with Keras")
    folder = tmp_path_factory.mktemp("keras")
    script = Path(__file__).with_name("keras_models.py")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True, timeout=300)
    return {name: (folder / f"{name}.tflite").read_bytes() for name in (*RUNS, "maximum")}


def test_an_unsupported_operator_is_named(models: dict[str, bytes]) -> None:
    with pytest.raises(ConversionError, match=r"REDUCE_MAX is not supported .* --engine tflm"):
        read_model(models["maximum"])


@pytest.mark.parametrize("target", ["plain", *CPUS])
def test_converted_models(models: dict[str, bytes], toolchain: None, tmp_path: Path, target: str) -> None:
    program = Program([read_model(models[name]) for name in RUNS], tmp_path, target)
    used: set[str] = set()
    inputs, expected = [], []
    for index, name in enumerate(RUNS):
        interpreter = Int8Interpreter(models[name])
        used.update(interpreter.graph.operator_names)
        inputs.append(random_inputs(np.random.default_rng(index), 2000, interpreter.graph.input.size))
        expected.append(TflmInterpreter(models[name]).invoke(inputs[-1]))
        assert len(np.unique(expected[-1])) > 50, name
        assert np.array_equal(interpreter.invoke(inputs[-1]), expected[-1]), name
    for name, want, got in zip(RUNS, expected, program.run(inputs), strict=True):
        assert np.array_equal(got, want), name
    assert len(used) >= 10, used
