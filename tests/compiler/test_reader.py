"""Reading .tflite files: which are rejected, and with which message."""

from __future__ import annotations

import numpy as np
import pytest
from reference_models import MODELS

from px4_tinyml.compiler.cpp_model import compile_model
from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.compiler.ops.fully_connected import FullyConnected
from px4_tinyml.compiler.plan import plan_memory
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.errors import ConversionError


def model(name: str) -> bytes:
    return (MODELS / f"{name}.tflite").read_bytes()


def test_graph_of_the_reference_models() -> None:
    dense, conv = read_model(model("dense")), read_model(model("conv"))
    assert dense.macs == 714 * 50 + 50 * 15 + 15 * 2
    assert conv.macs == 33504
    assert dense.weights_bytes == 36480 + 4 * (50 + 15 + 2)
    assert conv.operator_names == ("CONV_2D", "EXPAND_DIMS", "FULLY_CONNECTED", "MEAN", "RESHAPE", "SOFTMAX")
    assert [op.macs for op in conv.operators] == [0, 14880, 0, 0, 18560, 0, 0, 64, 0]
    first = dense.operators[0]
    assert isinstance(first, FullyConnected)
    assert first.activation == "RELU" and first.filter.shape == (50, 714) and len(first.filter.scales) == 50
    assert (dense.output.scale, dense.output.zero_point) == (1 / 256, -128)


def use(data: bytes) -> bool:
    """Everything the package does with a model except running it; False where it is rejected."""
    try:
        graph = read_model(data)
        plan_memory(graph)
        compile_model(graph, "00")
    except ConversionError as error:
        assert str(error) and "\n" not in str(error)
        return False
    return True


def test_truncated_files_are_rejected() -> None:
    data = model("conv")
    usable = [length for length in range(0, len(data), 13) if use(data[:length])]
    # The reader follows offsets: only cut bytes that no offset points to may go unnoticed.
    assert all(length > len(data) - 64 for length in usable)


@pytest.mark.parametrize("name", ["conv", "dense"])
def test_damaged_files_raise_at_most_a_conversion_error(name: str) -> None:
    rng = np.random.default_rng(7)
    data = np.frombuffer(model(name), np.uint8)
    rejected = 0
    for _ in range(1000 if name == "conv" else 300):
        damaged = data.copy()
        for _ in range(int(rng.integers(1, 4))):
            damaged[rng.integers(len(data))] = rng.integers(256)
        rejected += not use(damaged.tobytes())
    assert rejected > 10  # most hits land in weights and names, where every byte is valid


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x00" * 100, b"\x1c\x00\x00\x00TFL3" + b"\xff" * 200])
def test_not_a_model(data: bytes) -> None:
    with pytest.raises(ConversionError, match="TensorFlow Lite model"):
        read_model(data)


class TestMessages:
    """Well-formed models that this engine does not support."""

    @pytest.fixture(autouse=True)
    def _builder(self) -> None:
        from .models import Builder

        self.b = Builder()

    def reject(self, message: str, source: int, target: int) -> None:
        with pytest.raises(ConversionError, match=message):
            _ = read_model(self.b.finish(source, target)).steps

    def test_unsupported_operator_is_named(self) -> None:
        x, y = self.b.tensor((1, 4), 0.1, 0), self.b.tensor((1, 4), 1 / 128, 0)
        self.b.operator("ELU", [x], y)
        self.reject("ELU is not supported by the compiled engine .*--engine tflm", x, y)

    def test_float_input(self) -> None:
        x, y = self.b.tensor((1, 4), 0.1, 0), self.b.tensor((1, 4), 0.1, 0)
        self.b.graph.tensors[x].type = 0
        self.b.operator("RELU", [x], y)
        self.reject("input is FLOAT32, expected INT8.*inference_input_type", x, y)

    def test_batch(self) -> None:
        x, y = self.b.tensor((2, 4), 0.1, 0), self.b.tensor((2, 4), 0.1, 0)
        self.b.operator("RELU", [x], y)
        self.reject(r"shape \[2, 4\]", x, y)

    def test_output_that_no_operator_computes(self) -> None:
        x, y = self.b.tensor((1, 4), 0.1, 0), self.b.tensor((1, 4), 0.1, 0)
        self.reject("not computed by any operator", x, y)

    def test_operators_out_of_order(self) -> None:
        x, y, z = (self.b.tensor((1, 4), 0.1, 0) for _ in range(3))
        self.b.operator("RELU", [y], z)
        self.b.operator("RELU", [x], y)
        self.reject("which no operator before it computes", x, z)

    def test_operator_on_constants_only(self) -> None:
        x, y = self.b.tensor((1, 4), 0.1, 0), self.b.tensor((1, 4), 0.1, 0)
        self.b.operator("RESHAPE", [self.b.constant(np.ones((1, 4), np.int8), [0.1])], y)
        self.reject("RESHAPE has constant inputs only", x, y)

    def test_sums_that_could_overflow(self) -> None:
        x, y = self.b.tensor((1, 4), 0.1, 0), self.b.tensor((1, 2), 0.1, 0)
        weights = self.b.constant(np.zeros((2, 4), np.int8) + 1, [0.1])
        bias = self.b.constant(np.array([0, 2**31 - 10], np.int32), [0.01])
        self.b.operator("FULLY_CONNECTED", [x, weights, bias], y, "FullyConnectedOptions")
        self.reject("overflow 32 bits", x, y)

    def test_rescaling_beyond_int32(self) -> None:
        x, y = self.b.tensor((1, 4), 1e9, 0), self.b.tensor((1, 4), 1e-9, 0)
        self.b.operator("QUANTIZE", [x], y)
        self.reject("overflow 32 bits", x, y)

    def test_grouped_convolution(self) -> None:
        x, y = self.b.tensor((1, 4, 4, 4), 0.1, 0), self.b.tensor((1, 4, 4, 2), 0.1, 0)
        weights = self.b.constant(np.ones((2, 1, 1, 2), np.int8), [0.1])
        self.b.operator("CONV_2D", [x, weights], y, "Conv2DOptions", strideH=1, strideW=1)
        self.reject("grouped: use --engine tflm", x, y)

    def test_softmax_too_wide(self) -> None:
        x, y = self.b.tensor((1, 512), 0.1, 0), self.b.tensor((1, 512), 1 / 256, -128)
        self.b.operator("SOFTMAX", [x], y, "SoftmaxOptions", beta=1.0)
        self.reject("at most 511", x, y)


@pytest.mark.parametrize(
    "x", [np.zeros((1, 714), np.uint8), np.zeros((1, 713), np.int8), np.zeros(714, np.int8), np.int8(3)]
)
def test_input_of_a_wrong_type_or_shape(x: np.ndarray) -> None:
    with pytest.raises(ConversionError, match="model input"):
        Int8Interpreter(model("dense")).invoke(x)


def test_no_windows() -> None:
    assert Int8Interpreter(model("dense")).invoke(np.empty((0, 714), np.int8)).shape == (0, 2)
