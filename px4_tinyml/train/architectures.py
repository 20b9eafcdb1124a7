"""The networks: few operations, all with int8 kernels. Input (1, window, channels), output one a label."""

from __future__ import annotations

from typing import Any

from px4_tinyml.errors import SpecError
from px4_tinyml.spec import PipelineSpec

ARCHITECTURES = ("conv", "dense")


def make_model(arch: str, spec: PipelineSpec, batch: int | None = None) -> Any:
    """A compiled-graph Keras model with float weights; seed Keras first. batch: None for any."""
    import keras
    from keras import layers

    labels = len(spec.labels)
    inputs = keras.Input((1, spec.window, len(spec.channels)), batch_size=batch, name="window")
    if arch == "conv":
        # 1×N convolutions: a Conv1D would add an EXPAND_DIMS and a RESHAPE around each layer.
        x = layers.Conv2D(8, (1, 5), strides=(1, 2), activation="relu", name="conv1")(inputs)
        x = layers.Conv2D(16, (1, 5), strides=(1, 2), activation="relu", name="conv2")(x)
        x = layers.GlobalAveragePooling2D(name="mean")(x)
    elif arch == "dense":
        # The tutorial's network: 50 and 15 units.
        x = layers.Reshape((spec.window * len(spec.channels),), name="flatten")(inputs)
        x = layers.Dense(50, activation="relu", name="dense1")(x)
        x = layers.Dense(15, activation="relu", name="dense2")(x)
    else:
        raise SpecError(f"architecture {arch!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    outputs = layers.Dense(labels, activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs, name=arch)
