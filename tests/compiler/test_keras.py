"""Models of the TFLite converter in all three engines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toolchains import need_wheel

from px4_tinyml.compiler.reader import read_model
from px4_tinyml.errors import ConversionError
from px4_tinyml.targets.cortex_m.build import CPUS

from .cpp import check_engines
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
    graphs = [read_model(models[name]) for name in RUNS]
    inputs = [random_inputs(np.random.default_rng(i), 2000, graph.input.size) for i, graph in enumerate(graphs)]
    outputs = check_engines({name: models[name] for name in RUNS}, inputs, tmp_path, target)
    assert all(len(np.unique(values)) > 50 for values in outputs)
    assert len({name for graph in graphs for name in graph.operator_names}) >= 10
