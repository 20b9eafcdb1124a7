"""A trained Keras model to full int8 TFLite, calibrated on training windows."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.dataset.store import Windows
from px4_tinyml.errors import ConversionError
from px4_tinyml.flight_log import F32, I8, I64
from px4_tinyml.signal.scaling import quantize
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.training.architectures import make_model
from px4_tinyml.training.backend import native_stderr_silenced, tensorflow
from px4_tinyml.training.decided import window_labels
from px4_tinyml.training.fit import Trained, network_input
from px4_tinyml.training.metrics import confusion_matrix, macro_f1

log = logging.getLogger(__name__)

CALIBRATION_WINDOWS = 120
"""More of them widen the ranges for a few outliers: with 600, int8 agreed less with float (real and simulated logs)."""
CALIBRATION_SETS = 4
"""Seeded choices of calibration windows that are tried."""
COMPARED_WINDOWS = 4000
"""Training windows, beside those of the validation part, on which the candidates are compared with float."""
TOLERABLE_LOSS = 0.001
"""Of macro-F1 on these windows: a fifth of what the gate allows on all."""
MOST_EQUALIZED = 8.0
"""Largest factor between the scale of a channel and the middle one of its layer."""
EDR_OUTPUT_RANGE = (0.01, 1.5)
"""m^⅔/s: what the int8 output of ln EDR can hold, whichever windows are drawn."""


def calibration_windows(train: Windows, seed: int) -> F32:
    """Training windows for calibration: the same number of each label, seeded."""
    rng = np.random.default_rng(seed)
    labels = np.unique(train.y)
    each = -(-CALIBRATION_WINDOWS // len(labels))
    chosen = [rng.permutation(np.flatnonzero(train.y == label))[:each] for label in labels]
    return np.asarray(train.x[np.sort(np.concatenate(chosen))], np.float32)


def calibration_inputs(train: Windows, spec: PipelineSpec, seed: int) -> F32:
    """Network inputs for calibration. Those of `bands` reach ±clip, so that the input's scale is always 2·clip/255."""
    inputs = network_input(calibration_windows(train, seed), spec)
    if spec.input == "samples":
        return inputs
    ends = np.zeros((2, inputs.shape[1]), np.float32)
    ends[:, 0] = (-spec.clip, spec.clip)  # one feature only: no wider range of the layers behind
    return np.concatenate([inputs, ends])


def equalized(model: Any, inputs: F32) -> list[NDArray[np.float32]]:
    """Weights of the same function in which the channels of each hidden layer have more equal ranges.

    A layer before a ReLU may be divided by a positive factor a channel and the next one multiplied by it; the factor is
    √(largest activation / largest weight behind it), so that both suffer alike from one scale for all channels.
    """
    import keras

    layers = [layer for layer in model.layers if layer.get_weights()]
    outputs = keras.Model(model.inputs, [layer.output for layer in layers[:-1]]).predict(inputs, verbose=0)
    weights = [layer.get_weights() for layer in layers]
    for i, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
        peak = output.reshape(-1, output.shape[-1]).max(axis=0)
        reach = np.abs(np.moveaxis(weights[i + 1][0], -2, 0)).reshape(len(peak), -1).max(axis=1)
        if not (alive := (peak > 0) & (reach > 0)).any():
            continue
        factor = np.ones(len(peak), np.float32)
        factor[alive] = np.sqrt(peak[alive] / reach[alive])
        factor[alive] /= np.median(factor[alive])
        factor = np.clip(factor, 1 / MOST_EQUALIZED, MOST_EQUALIZED)
        filters, bias = weights[i]
        shape = filters.shape[-1:] if filters.shape[-1] == len(peak) else filters.shape[-2:]  # depthwise
        weights[i] = [filters / factor.reshape(shape), bias / factor]
        weights[i + 1][0] = weights[i + 1][0] * factor[:, None]
    return [array for pair in weights for array in pair]


def _convert(
    trained: Trained, weights: Sequence[NDArray[np.float32]], calibrations: Sequence[F32 | None]
) -> list[bytes]:
    """One converted model for each set of calibration inputs; None: float32."""
    tf = tensorflow()
    # A batch of one, fixed: with a free batch size Flatten becomes four operators that compute shapes.
    model = make_model(trained.model.name, trained.spec, batch=1, branches=trained.course.branches)
    model.set_weights(weights)
    with tempfile.TemporaryDirectory() as folder, native_stderr_silenced():
        signature = [tf.TensorSpec(model.inputs[0].shape, tf.float32)]
        model.export(folder, format="tf_saved_model", verbose=False, input_signature=signature)
        return [_run_converter(tf, tf.lite.TFLiteConverter.from_saved_model(folder), c) for c in calibrations]


def _run_converter(tf: Any, converter: Any, calibration: F32 | None) -> bytes:
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x[None]] for x in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        return bytes(converter.convert())
    except Exception as error:
        raise ConversionError(f"TensorFlow could not convert the model: {error}") from error


def to_tflite(trained: Trained, train: Windows, validation: Windows, seed: int) -> tuple[bytes, bytes]:
    """Two .tflite files: full int8, int8 in and out; and float32, for `evaluate`.

    Ranges, and with them rounding, depend on the calibration windows. Several seeded sets are tried, each with the
    weights as trained and equalized. Of those that lose least on windows of both parts, the model that agrees best
    with the float model, by label and then by output, is returned.
    """
    spec = trained.spec
    sets = [calibration_inputs(train, spec, CALIBRATION_SETS * seed + i) for i in range(CALIBRATION_SETS)]
    trained_weights = trained.model.get_weights()
    float_model, *candidates = _convert(trained, trained_weights, [None, *sets])
    candidates += _convert(trained, equalized(trained.model, np.concatenate(sets)), sets)
    if spec.output == "edr":
        candidates = [with_output_range(model, *np.log(EDR_OUTPUT_RANGE).tolist()) for model in candidates]

    drawn = np.random.default_rng(seed).permutation(len(train))[:COMPARED_WINDOWS]
    compared = validation.with_rows_of(train.take(np.sort(drawn)))
    expected = trained.model.predict(network_input(compared.x, spec), 1024, verbose=0)
    expected_labels = window_labels(expected, compared, spec)
    expected_f1 = _macro_f1(expected_labels, compared, spec)

    def closeness_to_float(model: bytes) -> tuple[float, float, float]:
        """Points of macro-F1 lost beyond the tolerable, agreement by label, mean difference of outputs; signed."""
        found = int8_outputs(model, compared.x, spec)
        labels = window_labels(found, compared, spec)
        lost = expected_f1 - _macro_f1(labels, compared, spec)
        agreement, distance = float((labels == expected_labels).mean()), float(np.abs(found - expected).mean())
        log.debug("int8: %.4f of macro-F1 lost, agreement %.4f, mean difference %.4f", lost, agreement, distance)
        return -max(lost - TOLERABLE_LOSS, 0.0), agreement, -distance

    return max(candidates, key=closeness_to_float), float_model


def _macro_f1(labels: I64, windows: Windows, spec: PipelineSpec) -> float:
    known = windows.y >= 0
    return macro_f1(confusion_matrix(windows.y[known], labels[known], len(spec.labels)))


def with_output_range(model: bytes, low: float, high: float) -> bytes:
    """An int8 model whose output has another range (scale and zero point): nothing else depends on these."""
    data = bytearray(model)
    graph = tflite.Model.GetRootAsModel(data, 0).Subgraphs(0)
    quantization = graph.Tensors(int(graph.Outputs(0))).Quantization()
    scale = (high - low) / 255.0
    # The arrays are views of the file's bytes.
    quantization.ScaleAsNumpy()[0] = scale
    quantization.ZeroPointAsNumpy()[0] = round(-128.0 - low / scale)
    return bytes(data)


def run_int8(model: bytes, x: F32, spec: PipelineSpec) -> I8:
    """int8 outputs [W,L] of an int8 model for windows x[W,T,C]."""
    return _run_int8(model, x, spec)[0]


def int8_outputs(model: bytes, x: F32, spec: PipelineSpec) -> F32:
    """The same as real values: probabilities, or ln EDR."""
    output, graph = _run_int8(model, x, spec)
    return (output.astype(np.float32) - np.float32(graph.output.zero_point)) * np.float32(graph.output.scale)


def _run_int8(model: bytes, x: F32, spec: PipelineSpec) -> tuple[I8, Graph]:
    interpreter = Int8Interpreter(model)
    source = interpreter.graph.input
    return interpreter.invoke(quantize(x, spec, source.scale, source.zero_point)), interpreter.graph


def float_outputs(model: bytes, x: F32) -> F32:
    """Outputs [W,L] of a float .tflite for network inputs x[W,…]."""
    tf = tensorflow()
    try:
        with native_stderr_silenced():
            interpreter = tf.lite.Interpreter(model_content=model)
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ConversionError(f"the bundle's float model is damaged ({error}); train again") from error
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    result = np.zeros((len(x), int(target["shape"][-1])), np.float32)
    for row, window in zip(result, x, strict=True):
        interpreter.set_tensor(source["index"], window[None])
        interpreter.invoke()
        row[:] = interpreter.get_tensor(target["index"])[0]
    return result
