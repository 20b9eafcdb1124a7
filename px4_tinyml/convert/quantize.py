"""A trained Keras model to full int8 TFLite, calibrated on training windows."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import ConversionError
from px4_tinyml.train.architectures import make_model
from px4_tinyml.train.backend import native_stderr_silenced, tensorflow
from px4_tinyml.train.fit import Trained, network_input
from px4_tinyml.types import F32, Windows

CALIBRATION_WINDOWS = 600


def calibration_windows(train: Windows, seed: int) -> F32:
    """Training windows for calibration: as many of each label, seeded."""
    rng = np.random.default_rng(seed)
    labels = np.unique(train.y)
    each = -(-CALIBRATION_WINDOWS // len(labels))
    chosen = [rng.permutation(np.flatnonzero(train.y == label))[:each] for label in labels]
    return np.asarray(train.x[np.sort(np.concatenate(chosen))], np.float32)


def _convert(trained: Trained, calibration: F32 | None) -> bytes:
    tf = tensorflow()
    # A batch of one, fixed: with a free batch size Flatten becomes four operators that compute shapes.
    model = make_model(trained.model.name, trained.spec, batch=1)
    model.set_weights(trained.model.get_weights())
    with tempfile.TemporaryDirectory() as folder, native_stderr_silenced():
        signature = [tf.TensorSpec(model.inputs[0].shape, tf.float32)]
        model.export(folder, format="tf_saved_model", verbose=False, input_signature=signature)
        return _run_converter(tf, tf.lite.TFLiteConverter.from_saved_model(folder), calibration)


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


def to_int8(trained: Trained, train: Windows, seed: int) -> bytes:
    """Full int8 .tflite, int8 in and out."""
    return _convert(trained, network_input(calibration_windows(train, seed), trained.spec))


def to_float(trained: Trained) -> bytes:
    """The same network in float32, for `evaluate`."""
    return _convert(trained, None)


def float_probabilities(model: bytes, x: F32) -> NDArray[np.float32]:
    """Outputs [W,L] of a float .tflite for network inputs x[W,1,T,C]."""
    tf = tensorflow()
    with native_stderr_silenced():
        interpreter = tf.lite.Interpreter(model_content=model)
        interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    result = np.zeros((len(x), int(target["shape"][-1])), np.float32)
    for row, window in zip(result, x, strict=True):
        interpreter.set_tensor(source["index"], window[None])
        interpreter.invoke()
        row[:] = interpreter.get_tensor(target["index"])[0]
    return result
