"""Models as the TFLite converter makes them, through all three engines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is the oracle; x86-64 Linux only")
pytest.importorskip("tensorflow", reason="the models are made with Keras")

from px4_tinyml.convert.interpreter import Int8Interpreter
from px4_tinyml.convert.tflite_model import read_model
from px4_tinyml.convert.tflm import TflmInterpreter
from px4_tinyml.errors import ConversionError

from .cpp import Program
from .models import random_inputs

RUNS = ("image", "series", "mean")


def test_converted_models(gxx: None, tmp_path: Path) -> None:
    """One test, so that TensorFlow starts once whatever the number of test processes."""
    script = Path(__file__).with_name("keras_models.py")
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True, timeout=300)
    models = {name: (tmp_path / f"{name}.tflite").read_bytes() for name in (*RUNS, "maximum")}
    with pytest.raises(ConversionError, match=r"REDUCE_MAX is not supported .* --engine tflm"):
        read_model(models["maximum"])
    program = Program([read_model(models[name]) for name in RUNS], tmp_path)
    used: set[str] = set()
    for index, name in enumerate(RUNS):
        interpreter = Int8Interpreter(models[name])
        used.update(interpreter.graph.operator_names)
        x = random_inputs(np.random.default_rng(index), 2000, interpreter.graph.input.size)
        expected = TflmInterpreter(models[name]).invoke(x)
        assert len(np.unique(expected)) > 50, name
        assert np.array_equal(interpreter.invoke(x), expected), name
        assert np.array_equal(program.invoke(index, x), expected), name
    assert len(used) >= 10, used
