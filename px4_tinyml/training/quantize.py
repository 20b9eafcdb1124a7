"""A trained Keras model to full int8 TFLite, calibrated on training windows."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.dataset.store import Windows
from px4_tinyml.errors import ConversionError
from px4_tinyml.flight_log import F32, I8
from px4_tinyml.signal.scaling import quantize
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.training.architectures import make_model
from px4_tinyml.training.backend import native_stderr_silenced, tensorflow
from px4_tinyml.training.fit import Trained, network_input

log = logging.getLogger(__name__)

CALIBRATION_WINDOWS = 120
"""More of them widen the ranges for a few outliers: with 600, int8 agreed less with float (real and simulated logs)."""
CALIBRATION_SETS = 4
"""Seeded choices of calibration windows that are tried."""


def calibration_windows(train: Windows, seed: int) -> F32:
    """Training windows for calibration: the same number of each label, seeded."""
    rng = np.random.default_rng(seed)
    labels = np.unique(train.y)
    each = -(-CALIBRATION_WINDOWS // len(labels))
    chosen = [rng.permutation(np.flatnonzero(train.y == label))[:each] for label in labels]
    return np.asarray(train.x[np.sort(np.concatenate(chosen))], np.float32)


def _convert(trained: Trained, calibrations: Sequence[F32 | None]) -> list[bytes]:
    """One converted model for each set of calibration inputs; None: float32."""
    tf = tensorflow()
    # A batch of one, fixed: with a free batch size Flatten becomes four operators that compute shapes.
    model = make_model(trained.model.name, trained.spec, batch=1)
    model.set_weights(trained.model.get_weights())
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

    Ranges, and with them rounding, depend on the calibration windows. Several seeded sets are tried; the model that
    agrees best with the float model on the validation part, by class and then by probability, is returned.
    """
    spec = trained.spec
    sets = [
        network_input(calibration_windows(train, CALIBRATION_SETS * seed + i), spec) for i in range(CALIBRATION_SETS)
    ]
    float_model, *candidates = _convert(trained, [None, *sets])
    expected = float_probabilities(float_model, network_input(validation.x, spec))

    def agreement_with_float(model: bytes) -> tuple[float, float]:
        probabilities = run_int8(model, validation.x, spec).astype(np.float32) / 256 + 0.5
        agreement = float((probabilities.argmax(axis=1) == expected.argmax(axis=1)).mean())
        distance = float(np.abs(probabilities - expected).mean())
        log.debug("int8: agreement with float %.4f, mean difference of probabilities %.4f", agreement, distance)
        return agreement, -distance

    return max(candidates, key=agreement_with_float), float_model


def run_int8(model: bytes, x: F32, spec: PipelineSpec) -> I8:
    """int8 outputs [W,L] of an int8 model for physical windows x[W,T,C]."""
    interpreter = Int8Interpreter(model)
    source = interpreter.graph.input
    return interpreter.invoke(quantize(x, spec, source.scale, source.zero_point))


def float_probabilities(model: bytes, x: F32) -> NDArray[np.float32]:
    """Outputs [W,L] of a float .tflite for network inputs x[W,1,T,C]."""
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
