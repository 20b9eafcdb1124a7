"""The networks: few operations, all with int8 kernels.

Input (1, window, channels) of a `samples` spec, (features) of a `bands` spec; outputs: spec.outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import SpecError
from px4_tinyml.signal.spec import PipelineSpec


@dataclass(frozen=True)
class Architecture:
    """A kind of network and how it is trained. epochs: upper limit; branches: nets trained apart and averaged."""

    input: str
    epochs: int
    batch: int
    learning_rate: float
    branches: int = 1


ARCHITECTURES = {
    "conv": Architecture("samples", epochs=80, batch=64, learning_rate=3e-3),
    "dense": Architecture("samples", epochs=80, batch=64, learning_rate=3e-3),
    "bands": Architecture("bands", epochs=25, batch=256, learning_rate=5e-3, branches=3),
}
"""By name; the first one for an input is its default."""
HIDDEN = (24, 12)
"""Units of a branch of `bands`."""
FILTER_TAPS = 32
FILTER_STEP = 8
DROPOUT = 0.2
"""In training only: with few airframes the network otherwise overfits to them."""


def architecture(arch: str | None, spec: PipelineSpec) -> str:
    """The name of an architecture that fits a spec; None: the default of its input. SpecError for any other."""
    fitting = [name for name, recipe in ARCHITECTURES.items() if recipe.input == spec.input]
    if arch is None:
        return fitting[0]
    if arch not in fitting:
        raise SpecError(
            f"architecture {arch!r} found, {' or '.join(fitting)} expected for a spec with input = {spec.input!r}"
        )
    return arch


def make_model(arch: str, spec: PipelineSpec, batch: int | None = None, branches: int = 1) -> Any:
    """A Keras model with fresh float weights; seed Keras first. batch: None for any. branches: of `bands`, joined."""
    import keras
    from keras import layers

    if architecture(arch, spec) == "bands":
        # Branches side by side: the filter of the second layer has a block for each. One chain of dense layers.
        inputs = keras.Input((spec.input_shape[1],), batch_size=batch, name="features")
        x = inputs
        for number, units in enumerate(HIDDEN, 1):
            x = layers.Dense(branches * units, activation="relu", name=f"hidden{number}")(x)
        return keras.Model(inputs, _output(x, spec), name=arch)
    inputs = keras.Input((1, spec.window, len(spec.channels)), batch_size=batch, name="window")
    if arch == "conv":
        # A learned filter bank: band-pass filters two thirds of a second long (at 50 Hz) on each channel, rectified,
        # mixed and averaged over the window. 1×N, because a Conv1D would add an EXPAND_DIMS and a RESHAPE around each
        # layer.
        taps = min(FILTER_TAPS, spec.window)
        step = min(FILTER_STEP, taps)
        x = layers.DepthwiseConv2D((1, taps), (1, step), depth_multiplier=4, activation="relu", name="filters")(inputs)
        x = layers.SpatialDropout2D(DROPOUT, name="filters_dropped")(x)
        x = layers.Conv2D(32, (1, 1), activation="relu", name="mix")(x)
        x = layers.GlobalAveragePooling2D(name="mean")(x)
        x = layers.Dropout(DROPOUT, name="means_dropped")(x)
        x = layers.Dense(24, activation="relu", name="hidden")(x)
    else:
        # The tutorial's network: 50 and 15 units.
        x = layers.Reshape((spec.window * len(spec.channels),), name="flatten")(inputs)
        x = layers.Dense(50, activation="relu", name="dense1")(x)
        x = layers.Dense(15, activation="relu", name="dense2")(x)
    return keras.Model(inputs, _output(x, spec), name=arch)


def _output(x: Any, spec: PipelineSpec) -> Any:
    from keras import layers

    if spec.output == "edr":
        return layers.Dense(1, name="ln_edr")(x)
    return layers.Dense(len(spec.labels), activation="softmax", name="classes")(x)


def join(branches: Sequence[Any], spec: PipelineSpec) -> Any:
    """One model whose output, before any softmax, is the mean of the outputs of `bands` models."""
    joined = make_model("bands", spec, branches=len(branches))
    layers = list(zip(*(model.get_weights() for model in branches), strict=True))
    blocks = [_blocks(filters) for filters in layers[2:-2:2]]
    weights = [np.concatenate(layers[0], axis=1), np.concatenate(layers[1])]
    for filters, biases in zip(blocks, layers[3:-2:2], strict=True):
        weights += [filters, np.concatenate(biases)]
    joined.set_weights([*weights, np.concatenate(layers[-2]) / len(branches), np.mean(layers[-1], axis=0)])
    return joined


def _blocks(filters: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Filters [in, out] along the diagonal, zeros elsewhere."""
    rows, columns = (np.cumsum([0, *(f.shape[axis] for f in filters)]) for axis in (0, 1))
    result = np.zeros((rows[-1], columns[-1]), np.float32)
    for i, filter_ in enumerate(filters):
        result[rows[i] : rows[i + 1], columns[i] : columns[i + 1]] = filter_
    return result
