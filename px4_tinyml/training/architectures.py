"""The networks: few operations, all with int8 kernels. Input (1, window, channels), one output a label."""

from __future__ import annotations

from typing import Any

from px4_tinyml.errors import SpecError
from px4_tinyml.signal.spec import PipelineSpec

ARCHITECTURES = ("conv", "dense")
FILTER_TAPS = 32
FILTER_STEP = 8
DROPOUT = 0.2
"""In training only: with few airframes the network otherwise overfits to them."""


def make_model(arch: str, spec: PipelineSpec, batch: int | None = None) -> Any:
    """A Keras model with fresh float weights; seed Keras first. batch: None for any."""
    import keras
    from keras import layers

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
    elif arch == "dense":
        # The tutorial's network: 50 and 15 units.
        x = layers.Reshape((spec.window * len(spec.channels),), name="flatten")(inputs)
        x = layers.Dense(50, activation="relu", name="dense1")(x)
        x = layers.Dense(15, activation="relu", name="dense2")(x)
    else:
        raise SpecError(f"architecture {arch!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    outputs = layers.Dense(len(spec.labels), activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs, name=arch)
