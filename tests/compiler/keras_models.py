"""Writes int8 models with Keras and the TFLite converter, as a user would: python keras_models.py FOLDER."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

layers = keras.layers


def image_model() -> keras.Model:
    """Strides, SAME and VALID, depthwise, a residual, both pools, RELU6, softmax."""
    x = source = layers.Input((12, 10, 3), batch_size=1)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = layers.Add()([x, y])
    x = layers.ReLU(6.0)(x)
    x = layers.Conv2D(12, (2, 3), padding="valid", dilation_rate=(2, 1))(x)
    x = layers.MaxPooling2D(2, strides=1)(x)
    x = layers.AveragePooling2D(2, padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(source, layers.Dense(5, activation="softmax")(x))


def series_model() -> keras.Model:
    """Conv1D in the forms used on windows of sensor data, and pools over time."""
    x = source = layers.Input((64, 7), batch_size=1)
    x = layers.Conv1D(8, 5, strides=2, padding="same", activation="relu")(x)
    x = layers.SeparableConv1D(12, 3, padding="valid", activation="relu")(x)
    x = layers.MaxPooling1D(2)(x)
    x = layers.AveragePooling1D(3, strides=2)(x)
    x = layers.Dense(6, activation="relu")(x)
    x = layers.Flatten()(x)
    return keras.Model(source, layers.Dense(3, activation="sigmoid")(x))


def mean_model() -> keras.Model:
    """Means over several axes, kept and not, and additions of tensors with different scales."""
    x = source = layers.Input((6, 9, 4), batch_size=1)
    rows = layers.Lambda(lambda t: tf.reduce_mean(t, axis=[1], keepdims=True))(x)
    x = layers.Add()([layers.Conv2D(4, 3, padding="same")(x), rows])
    x = layers.Lambda(lambda t: tf.reduce_mean(t, axis=[1, 3]))(x)
    x = layers.Dense(9, activation="relu")(x)
    y = layers.Dense(9)(x)
    x = layers.Add()([x, y])
    x = layers.ReLU()(x)
    return keras.Model(source, layers.Dense(4, activation="softmax")(x))


def maximum_model() -> keras.Model:
    """Global max pooling becomes REDUCE_MAX, which the compiled engine does not have."""
    x = source = layers.Input((16, 3))
    return keras.Model(source, layers.Dense(2)(layers.GlobalMaxPooling1D()(x)))


MODELS: dict[str, Callable[[], Any]] = {
    "image": image_model, "series": series_model, "mean": mean_model, "maximum": maximum_model,
}  # fmt: skip


def convert(model: keras.Model, rng: np.random.Generator, per_channel_dense: bool) -> bytes:
    """Full int8 with random representative data."""

    def representative() -> Iterator[list[np.ndarray]]:
        for _ in range(40):
            yield [rng.normal(0.0, 1.0, (1, *model.input_shape[1:])).astype(np.float32)]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter._experimental_disable_per_channel_quantization_for_dense_layers = not per_channel_dense
    data: bytes = converter.convert()
    return data


def main(folder: Path) -> None:
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    for index, (name, make) in enumerate(MODELS.items()):
        model = make()
        for weights in model.weights:
            weights.assign(rng.normal(0.0, 0.3, weights.shape))
        (folder / f"{name}.tflite").write_bytes(convert(model, rng, per_channel_dense=index != 2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
