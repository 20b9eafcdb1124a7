"""Training: scaling from the training part, seeded Keras fit with early stopping, best weights kept."""

from __future__ import annotations

import logging
import signal
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.dataset.store import Windows
from px4_tinyml.errors import DatasetError
from px4_tinyml.flight_log import F32
from px4_tinyml.progress import progress, stop_requests
from px4_tinyml.signal.scaling import scale
from px4_tinyml.signal.spec import ALTITUDE_CHANNEL, PipelineSpec
from px4_tinyml.training.architectures import make_model
from px4_tinyml.training.augment import augment
from px4_tinyml.training.backend import tensorflow

log = logging.getLogger(__name__)

SCALE_PERCENTILES = (0.5, 99.5)
SMALLEST_HALF_RANGE = 1e-3
"""Lower limit, so that the noise of a channel at rest is not amplified (m/s², rad/s, m)."""


@dataclass(frozen=True)
class TrainOptions:
    """How to train. patience: epochs without a better validation loss before stopping."""

    arch: str = "conv"
    seed: int = 0
    epochs: int = 80
    batch: int = 64
    learning_rate: float = 3e-3
    patience: int = 15


@dataclass(frozen=True)
class Trained:
    """A fitted spec, the Keras model with its best weights, and the losses by epoch."""

    spec: PipelineSpec
    model: Any
    loss: list[float]
    validation_loss: list[float]


def fit_scaling(train: Windows, spec: PipelineSpec) -> PipelineSpec:
    """The spec with offsets and scales: median and half the 0.5…99.5 % range of each channel."""
    flat = train.x.reshape(-1, train.x.shape[2])
    offset = np.median(flat, axis=0)
    low, high = np.percentile(flat, SCALE_PERCENTILES, axis=0)
    if ALTITUDE_CHANNEL in spec.channels:
        at = spec.channels.index(ALTITUDE_CHANNEL)
        offset[at] = 0.0  # it is about the window's mean already, and zero must mean "no barometer"
        high[at] = max(abs(low[at]), abs(high[at]))
        low[at] = -high[at]
    half = np.maximum((high - low) / 2, SMALLEST_HALF_RANGE)
    return replace(spec, offset=tuple(map(float, offset)), inv_scale=tuple(map(float, 1.0 / half)))


def network_input(x: F32, spec: PipelineSpec) -> F32:
    """Physical windows [W,T,C] to what the network takes: scaled, clipped, [W,1,T,C]."""
    return scale(x, spec)[:, None]


def class_weights(y: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """Weight of each window: classes have equal weight, but at most ten times the average for a rare one."""
    counts = np.bincount(y, minlength=classes).astype(np.float64)
    weight = np.where(counts > 0, len(y) / np.maximum(counts, 1) / max((counts > 0).sum(), 1), 0.0)
    return np.asarray(np.minimum(weight, 10.0)[y], np.float32)


def fit_network(train_part: Windows, validation: Windows, spec: PipelineSpec, options: TrainOptions) -> Trained:
    """Train on one part, stop by the other. Augmentation is drawn again every epoch."""
    missing = [name for i, name in enumerate(spec.labels) if not (train_part.y == i).any()]
    if missing:
        log.warning("no training window is labelled %s: the model cannot learn it", ", ".join(missing))
    if len(np.unique(train_part.y)) < 2:
        raise DatasetError("the training part has windows of one label only: add flights with others")
    if not len(validation):
        raise DatasetError("the validation part is empty: add flights")
    tf = tensorflow()
    import keras

    keras.utils.set_random_seed(options.seed)
    tf.config.experimental.enable_op_determinism()
    spec = fit_scaling(train_part, spec)
    model = make_model(options.arch, spec)
    steps = -(-len(train_part) // options.batch)
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps * options.epochs, alpha=0.02)
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", weighted_metrics=[])
    return Trained(spec, model, *_epochs(model, train_part, validation, spec, options))


def _epochs(
    model: Any, train_part: Windows, validation: Windows, spec: PipelineSpec, options: TrainOptions
) -> tuple[list[float], list[float]]:
    """Train the model in place and leave it with its best weights. Returns loss and validation loss by epoch."""
    rng = np.random.default_rng(options.seed)
    weight = class_weights(train_part.y, len(spec.labels))
    held_out, held_out_weight = network_input(validation.x, spec), class_weights(validation.y, len(spec.labels))
    losses: list[float] = []
    validation_losses: list[float] = []
    best_weights = model.get_weights()
    with stop_requests(signal.SIGINT) as stopped:  # TensorFlow's native code sometimes swallows a KeyboardInterrupt
        for epoch in progress(range(options.epochs), f"training {options.arch}", unit="epoch"):
            if stopped():
                raise KeyboardInterrupt
            x = network_input(augment(train_part.x, rng, spec), spec)
            order = rng.permutation(len(x))
            result = model.fit(
                x[order], train_part.y[order], sample_weight=weight[order],
                batch_size=options.batch, shuffle=False, verbose=0,
            )  # fmt: skip
            losses.append(float(result.history["loss"][-1]))
            validation_losses.append(
                float(model.evaluate(held_out, validation.y, 1024, verbose=0, sample_weight=held_out_weight))
            )
            log.debug("epoch %d: loss %.4f, validation %.4f", epoch + 1, losses[-1], validation_losses[-1])
            best = int(np.argmin(validation_losses))
            if best == epoch:
                best_weights = model.get_weights()
            elif epoch - best >= options.patience:
                break
        if stopped():
            raise KeyboardInterrupt
    model.set_weights(best_weights)
    return losses, validation_losses
