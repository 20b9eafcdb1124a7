"""NumPy interpreter and compiled C++ against TensorFlow Lite Micro: every byte is equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from px4_tinyml.compiler import fixed_point as fp
from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.compiler.oracle import TflmInterpreter
from px4_tinyml.compiler.reader import read_model

from .cpp import TARGETS, check_engines
from .models import OPERATORS, Builder, extreme_dense, random_inputs, random_model, sensor_model

REFERENCE = ("dense", "dense_per_tensor", "conv", "conv2d")


@pytest.mark.parametrize("target", TARGETS)
def test_reference_models(shared: Path, toolchain: None, tmp_path: Path, target: str) -> None:
    models = {name: (shared / "reference" / f"{name}.tflite").read_bytes() for name in REFERENCE}
    recorded = [np.load(shared / "reference" / f"{name}.npz") for name in REFERENCE]
    given = [file["inputs"].reshape(len(file["inputs"]), -1) for file in recorded]
    inputs = [np.concatenate([x, random_inputs(np.random.default_rng(9), 2000, x.shape[1])]) for x in given]
    outputs = check_engines(models, inputs, tmp_path, target)
    for name, x, got, file in zip(REFERENCE, given, outputs, recorded, strict=True):
        assert np.array_equal(got[: len(x)], file["outputs"].reshape(len(x), -1)), name


@pytest.mark.parametrize("part", range(4))
def test_random_models_in_numpy(part: int) -> None:
    seen: set[str] = set()
    for seed in range(300 * part, 300 * part + 300):
        data = random_model(seed)
        interpreter = Int8Interpreter(data)
        seen.update(interpreter.graph.operator_names)
        x = random_inputs(np.random.default_rng(seed), 32, interpreter.graph.input.size)
        assert np.array_equal(interpreter.invoke(x), TflmInterpreter(data).invoke(x)), f"seed {seed}"
    assert seen == set(OPERATORS) - {"ADD_CONSTANT"}


@pytest.mark.parametrize("target", TARGETS)
def test_random_models_in_cpp(toolchain: None, tmp_path: Path, target: str) -> None:
    models = [random_model(seed) for seed in range(5 * len(OPERATORS))]
    models += [extreme_dense(seed) for seed in range(12)] + [sensor_model(seed) for seed in range(20)]
    sizes = [read_model(data).input.size for data in models]
    inputs = [random_inputs(np.random.default_rng(seed), 256, size) for seed, size in enumerate(sizes)]
    check_engines({f"model {i}": data for i, data in enumerate(models)}, inputs, tmp_path, target)


def test_relu_divides_its_scales_in_double() -> None:
    """Versions of TFLite Micro before autumn 2026 divide float32 by float32: one output byte differs."""
    source, target = np.float32(0.05509359), np.float32(0.08379504)
    x = np.arange(-128, 128)
    double, single = (
        fp.multiply(x, *fp.quantize_multiplier(ratio))[128:]
        for ratio in (float(source) / float(target), float(source / target))
    )
    assert not np.array_equal(double, single)
    b = Builder()
    first, last = b.tensor((1, 256), float(source), 0), b.tensor((1, 256), float(target), 0)
    data = b.finish(first, b.operator("RELU", [first], last))
    for engine in (Int8Interpreter(data), TflmInterpreter(data)):
        assert np.array_equal(engine.invoke(x.astype(np.int8)[None])[0, 128:], double)


def test_dense_multiplies_its_one_filter_scale_in_double() -> None:
    """As above, for a FULLY_CONNECTED with one scale for all channels; the biases are chosen so that a byte differs."""
    source, weight, target = np.float32(0.013), np.float32(0.0071), np.float32(0.9)
    ratios = (float(source) * float(weight) / float(target), float(source * weight) / float(target))
    bias = np.arange(-1_000_000, 1_000_000)
    double, single = (fp.multiply(bias, *fp.quantize_multiplier(ratio)) for ratio in ratios)
    differ = np.flatnonzero((double != single) & (np.abs(double) < 127))
    assert len(differ) > 0
    b = Builder()
    first, last = b.tensor((1, 1), float(source), 0), b.tensor((1, len(differ)), float(target), 0)
    weights = b.constant(np.zeros((len(differ), 1), np.int8), [float(weight)])
    biases = b.constant(bias[differ].astype(np.int32), [float(source * weight)])
    data = b.finish(first, b.operator("FULLY_CONNECTED", [first, weights, biases], last, "FullyConnectedOptions"))
    for engine in (Int8Interpreter(data), TflmInterpreter(data)):
        assert np.array_equal(engine.invoke(np.zeros((1, 1), np.int8))[0], double[differ])
