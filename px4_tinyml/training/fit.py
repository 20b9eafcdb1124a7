"""Training: scaling from the training part, seeded Keras fit, the weights that did best on the validation part kept."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.dataset.store import Dataset, Windows
from px4_tinyml.errors import DatasetError
from px4_tinyml.flight_log import F32
from px4_tinyml.progress import progress, stop_requests
from px4_tinyml.signal.scaling import scale
from px4_tinyml.signal.spec import ALTITUDE_CHANNEL, PipelineSpec
from px4_tinyml.training.architectures import ARCHITECTURES, architecture, join, make_model
from px4_tinyml.training.augment import augment
from px4_tinyml.training.backend import tensorflow

log = logging.getLogger(__name__)

SCALE_PERCENTILES = (0.5, 99.5)
SMALLEST_HALF_RANGE = 1e-3
"""Lower limit, so that the noise of a channel at rest is not amplified (m/s², rad/s, m)."""
BRANCH_SEED = 1000
"""Between the seeds of two branches."""
MIN_LN_RANGE = 0.5
"""Of the ln EDR of training windows."""


EDR_LIMITS = (0.02, 1.0)
"""m^⅔/s: what the network learns of an EDR beyond is the nearest of these."""


@dataclass(frozen=True)
class TrainOptions:
    """How to train. patience: epochs without a better validation loss before a network of `samples` stops.

    None: as the architecture needs it (architectures.ARCHITECTURES); arch: the default of the spec's input.
    """

    arch: str | None = None
    seed: int = 0
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    patience: int = 15


@dataclass(frozen=True)
class Course:
    """The options of one training, all known."""

    arch: str
    seed: int
    epochs: int
    batch: int
    learning_rate: float
    patience: int
    branches: int

    @classmethod
    def of(cls, options: TrainOptions, spec: PipelineSpec) -> Course:
        """Options completed for a spec. SpecError for an architecture that does not fit it."""
        arch = architecture(options.arch, spec)
        recipe = ARCHITECTURES[arch]
        return cls(
            arch=arch,
            seed=options.seed,
            epochs=options.epochs or recipe.epochs,
            batch=options.batch or recipe.batch,
            learning_rate=options.learning_rate or recipe.learning_rate,
            patience=options.patience if recipe.branches == 1 else options.epochs or recipe.epochs,
            branches=recipe.branches,
        )


@dataclass(frozen=True)
class Trained:
    """A fitted spec, the Keras model with its best weights, and the losses by epoch (the mean over branches)."""

    spec: PipelineSpec
    model: Any
    course: Course
    loss: list[float]
    validation_loss: list[float]


def windows_of(dataset: Dataset, parts: Iterable[str]) -> Windows:
    """What a network learns from: labelled windows, or for ln EDR all whose EDR is known."""
    if dataset.spec.output == "classes":
        return dataset.windows(parts)
    every = dataset.windows(parts, every=True)
    return every.take(np.isfinite(every.edr_m23_s))


def targets(windows: Windows, spec: PipelineSpec) -> NDArray[Any]:
    """What the network is to give for each window [W]: the label's index, or ln EDR."""
    if spec.output == "classes":
        return windows.y
    return np.log(np.clip(windows.edr_m23_s, *EDR_LIMITS))


def fit_scaling(train: Windows, spec: PipelineSpec) -> PipelineSpec:
    """The spec with offsets and scales: median and half the 0.5…99.5 % range of each channel.

    Of log energies: mean and standard deviation; the spec's clip is in these.
    """
    flat = train.x.reshape(-1, train.x.shape[2])
    if spec.input == "bands":
        offset, half = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
    else:
        offset = np.median(flat, axis=0)
        low, high = np.percentile(flat, SCALE_PERCENTILES, axis=0)
        if ALTITUDE_CHANNEL in spec.channels:
            at = spec.channels.index(ALTITUDE_CHANNEL)
            offset[at] = 0.0  # it is about the window's mean already, and zero must mean "no barometer"
            high[at] = max(abs(low[at]), abs(high[at]))
            low[at] = -high[at]
        half = (high - low) / 2
    half = np.maximum(half, SMALLEST_HALF_RANGE)
    return replace(spec, offset=tuple(map(float, offset)), inv_scale=tuple(map(float, 1.0 / half)))


def network_input(x: F32, spec: PipelineSpec) -> F32:
    """Windows to what the network takes, scaled and clipped: [W,1,T,C], or [W,F] log energies."""
    scaled = scale(x, spec)
    return scaled[:, 0] if spec.input == "bands" else scaled[:, None]


def class_weights(y: NDArray[Any], classes: int) -> NDArray[np.float32]:
    """Weight of each window: classes have equal weight, but at most ten times the average for a rare one."""
    counts = np.bincount(y, minlength=classes).astype(np.float64)
    weight = np.where(counts > 0, len(y) / np.maximum(counts, 1) / max((counts > 0).sum(), 1), 0.0)
    return np.asarray(np.minimum(weight, 10.0)[y], np.float32)


def fit_network(train_part: Windows, validation: Windows, spec: PipelineSpec, options: TrainOptions) -> Trained:
    """Train on one part, choose by the other. Augmentation is drawn again every epoch.

    Branches are trained apart, each from its own seed, and joined. Raises SpecError for an architecture that does not
    fit the spec, DatasetError when there is too little to learn from.
    """
    course = Course.of(options, spec)
    _check(train_part, validation, spec)
    tf = tensorflow()
    tf.config.experimental.enable_op_determinism()
    spec = fit_scaling(train_part, spec)
    rows = [_fit(train_part, validation, spec, course, course.seed + BRANCH_SEED * i) for i in range(course.branches)]
    models, losses, held_out = zip(*rows, strict=True)
    model = models[0] if course.branches == 1 else join(models, spec)
    mean, held_out_mean = (np.mean(values, axis=0).tolist() for values in (losses, held_out))
    return Trained(spec, model, course, mean, held_out_mean)


def _check(train_part: Windows, validation: Windows, spec: PipelineSpec) -> None:
    """DatasetError when there is too little to learn from."""
    if spec.output == "edr":
        if not len(train_part):
            raise DatasetError(
                "no training window has a known EDR: use simulated flights, or `dataset --inject` (docs/training.md)"
            )
        if np.ptp(targets(train_part, spec)) < MIN_LN_RANGE:
            raise DatasetError("the training part has windows of one EDR only: add flights, or use `dataset --inject`")
    else:
        missing = [name for i, name in enumerate(spec.labels) if not (train_part.y == i).any()]
        if missing:
            log.warning("no training window is labelled %s: the model cannot learn it", ", ".join(missing))
        if len(np.unique(train_part.y)) < 2:
            raise DatasetError("the training part has windows of one label only: add flights with others")
    if not len(validation):
        raise DatasetError("the validation part is empty: add flights")


def _fit(
    train_part: Windows, validation: Windows, spec: PipelineSpec, course: Course, seed: int
) -> tuple[Any, list[float], list[float]]:
    """One network or branch: the model with its best weights, loss and validation loss by epoch."""
    import keras

    keras.utils.set_random_seed(seed)
    model = make_model(course.arch, spec)
    steps = -(-len(train_part) // course.batch)
    rate = keras.optimizers.schedules.CosineDecay(course.learning_rate, steps * course.epochs, alpha=0.02)
    loss = "huber" if spec.output == "edr" else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss=loss, weighted_metrics=[])
    return model, *_epochs(model, train_part, validation, spec, course, seed)


def _weights(windows: Windows, spec: PipelineSpec) -> NDArray[np.float32]:
    if spec.output == "edr":
        return np.ones(len(windows), np.float32)
    return class_weights(windows.y, len(spec.labels))


def _epochs(
    model: Any, train_part: Windows, validation: Windows, spec: PipelineSpec, course: Course, seed: int
) -> tuple[list[float], list[float]]:
    """Train the model in place and leave it with its best weights. Returns loss and validation loss by epoch."""
    rng = np.random.default_rng(seed)
    y, weight = targets(train_part, spec), _weights(train_part, spec)
    held_out = network_input(validation.x, spec), targets(validation, spec)
    held_out_weight = _weights(validation, spec)
    losses: list[float] = []
    validation_losses: list[float] = []
    best_weights = model.get_weights()
    with stop_requests(signal.SIGINT) as stopped:  # TensorFlow's native code sometimes swallows a KeyboardInterrupt
        for epoch in progress(range(course.epochs), f"training {course.arch}", unit="epoch"):
            if stopped():
                raise KeyboardInterrupt
            x = network_input(augment(train_part.x, rng, spec), spec)
            order = rng.permutation(len(x))
            result = model.fit(
                x[order], y[order], sample_weight=weight[order], batch_size=course.batch, shuffle=False, verbose=0
            )
            losses.append(float(result.history["loss"][-1]))
            validation_losses.append(
                float(model.evaluate(*held_out, batch_size=1024, verbose=0, sample_weight=held_out_weight))
            )
            log.debug("epoch %d: loss %.4f, validation %.4f", epoch + 1, losses[-1], validation_losses[-1])
            best = int(np.argmin(validation_losses))
            if best == epoch:
                best_weights = model.get_weights()
            elif epoch - best >= course.patience:
                break
        if stopped():
            raise KeyboardInterrupt
    model.set_weights(best_weights)
    return losses, validation_losses
