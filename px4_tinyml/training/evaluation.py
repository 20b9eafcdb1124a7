"""Float network, int8 network and their rivals on the same windows; and the quantization gate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import (
    CalledShare,
    EdrFigures,
    Metrics,
    Part,
    QuantizationGate,
    Score,
    Thresholds,
    TrainedFlight,
    TreesAgreement,
)
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.dataset.autolabel import CALM_EDR, FACTOR_FROM_EDR, MODERATE_EDR, STRONG_EDR
from px4_tinyml.dataset.store import Dataset, Windows
from px4_tinyml.errors import DatasetError, ParityError
from px4_tinyml.flight_log import I32, I64
from px4_tinyml.signal.air_decision import EDR_UNIT, edr_e4, unfamiliar
from px4_tinyml.signal.decision import ONE_Q16
from px4_tinyml.signal.scaling import quantize
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.training import baselines, rivals
from px4_tinyml.training.decided import window_labels
from px4_tinyml.training.fit import network_input, windows_of
from px4_tinyml.training.metrics import summarize
from px4_tinyml.training.quantize import float_outputs, int8_outputs
from px4_tinyml.training.rivals import Rival

MAX_INT8_LOSS = 0.005
"""Points of macro-F1 (of 1) that int8 may lose against float."""


class QuantizationError(ParityError):
    """int8 is too much worse than float. metrics: over every labelled window of the data set."""

    def __init__(self, message: str, metrics: Metrics) -> None:
        super().__init__(message)
        self.metrics = metrics


@dataclass(frozen=True)
class Compared:
    """What is scored: both networks and what they are compared with. trees: None where they cannot be had."""

    spec: PipelineSpec
    model: bytes
    float_model: bytes
    thresholds: Thresholds
    physics_ln: float | None
    trees: Rival | None


def evaluate_models(compared: Compared, dataset: Dataset, parts: Sequence[Part]) -> Metrics:
    """Scores of both networks and their rivals on the labelled windows of some parts of a data set."""
    spec = compared.spec
    windows, between = dataset.windows(parts), dataset.windows(parts, between=True)
    if not len(windows):
        raise DatasetError("no labelled window to evaluate on")
    sources = [flight.source for flight in dataset.flights]

    def score(calls: I64) -> Score:
        return summarize(windows.y, calls, windows.log_id, spec.labels, sources)

    output = int8_outputs(compared.model, windows.x, spec)
    int8 = window_labels(output, windows, spec)
    float32 = window_labels(float_outputs(compared.float_model, network_input(windows.x, spec)), windows, spec)
    thresholds = baselines.predict(compared.thresholds, windows, spec)
    slope, trees = rivals.slope(windows, spec), compared.trees(windows) if compared.trees else None
    physics = None if compared.physics_ln is None else rivals.physics(compared.physics_ln, windows, spec)
    between_calls = None
    if len(between):
        calls = window_labels(int8_outputs(compared.model, between.x, spec), between, spec)
        between_calls = {name: int((calls == i).sum()) for i, name in enumerate(spec.labels)}
    return Metrics(
        labels=spec.labels,
        spec_hash=spec.hash,
        float32=score(float32),
        int8=score(int8),
        baseline=score(thresholds),
        agreement=float((float32 == int8).mean()),
        between=between_calls,
        slope=None if slope is None else score(slope),
        trees=None if trees is None else score(trees),
        physics=None if physics is None else score(physics),
        agreement_trees=None if trees is None else _agreement(int8, trees, windows.y),
        edr=edr_figures(compared.model, dataset.windows(parts, every=True), spec) if spec.output == "edr" else None,
    )


def _agreement(int8: I64, trees: I64, truth: I32) -> TreesAgreement:
    agreed, right = int8 == trees, int8 == truth
    inside, outside = (float(right[rows].mean()) if rows.any() else None for rows in (agreed, ~agreed))
    return TreesAgreement(float(agreed.mean()), inside, outside)


def edr_figures(model: bytes, windows: Windows, spec: PipelineSpec) -> EdrFigures | None:
    """int8 EDR of single windows against the truth, where that is known."""
    windows = windows.take(np.isfinite(windows.edr_m23_s))
    if not len(windows):
        return None
    read, true = int8_outputs(model, windows.x, spec)[:, 0], windows.edr_m23_s
    called = read > math.log(spec.edr.window)

    def share(low: float, high: float) -> CalledShare:
        rows = (true >= low) & (true <= high)
        return CalledShare(int(rows.sum()), int(called[rows].sum()))

    strong = true >= FACTOR_FROM_EDR
    meant = np.array([edr_e4(round(float(ln) * ONE_Q16), spec) * EDR_UNIT for ln in read[strong]])
    factor = np.exp(np.abs(np.log(np.maximum(meant, EDR_UNIT) / true[strong])))
    source = read_model(model).input
    inputs = quantize(windows.x, spec, source.scale, source.zero_point)
    return EdrFigures(
        calm=share(0.0, CALM_EDR),
        moderate=share(*MODERATE_EDR),
        strong=share(*STRONG_EDR),
        factor_68=float(np.quantile(factor, 0.68)) if len(factor) else None,
        factor_90=float(np.quantile(factor, 0.90)) if len(factor) else None,
        unfamiliar=float(unfamiliar(inputs, spec).mean()),
    )


def evaluate(bundle: ModelBundle, dataset: Dataset, parts: Sequence[Part] = ("test",)) -> Metrics:
    """Scores of a bundle's networks and their rivals on the labelled windows of some parts of a data set.

    F1, accuracy and confusion by model, label and flight; intervals are over flights, not windows. Boosted trees are
    not in a bundle: they are fitted again where the data set is the one the bundle was trained on, else missing.

    Raises DatasetError for a data set of another signal path, or without labelled windows in these parts;
    ToolchainError without TensorFlow.
    """
    check_same_signal_path(bundle, dataset.spec)
    known, manifest = bundle.spec, bundle.manifest
    flights = tuple(TrainedFlight(f.source, f.vehicle, f.part, f.labels) for f in dataset.flights)
    own = flights == manifest.training.dataset.flights
    trees = rivals.fit_trees(windows_of(dataset, ["train"]), known, manifest.training.seed) if own else None
    compared = Compared(known, bundle.model, bundle.float_model, manifest.baseline, manifest.physics_ln, trees)
    return evaluate_models(compared, dataset, parts)


def check_quantization(metrics: Metrics) -> QuantizationGate:
    """What int8 costs; QuantizationError when int8 loses more than MAX_INT8_LOSS of macro-F1 against float.

    Measured over all labelled windows: rounding does not depend on which flights were trained on, and more windows
    measure it more finely.
    """
    before, after = metrics.float32, metrics.int8
    loss = before.macro_f1 - after.macro_f1
    if loss > MAX_INT8_LOSS:
        by_label = {name: f1 - (after.f1[name] or 0.0) for name, f1 in before.f1.items() if f1 is not None}
        raise QuantizationError(
            f"int8 loses {100 * loss:.2f} points of macro-F1 (float {before.macro_f1:.4f}, int8 {after.macro_f1:.4f}, "
            f"at most {100 * MAX_INT8_LOSS:.1f} allowed), most on {max(by_label, key=lambda name: by_label[name])}; "
            "train longer, with another --seed or on more flights",
            metrics,
        )
    return QuantizationGate(after.windows, metrics.agreement, before.macro_f1, after.macro_f1)


def check_same_signal_path(bundle: ModelBundle, spec: PipelineSpec) -> None:
    """DatasetError unless a data set was made by the bundle's signal path (before what training fits)."""
    ours, theirs = bundle.spec.unfitted.to_dict(), spec.unfitted.to_dict()
    for name in ours:
        if name not in ("decision", "edr") and ours[name] != theirs.get(name):
            raise DatasetError(
                f"the data set has another signal path than the bundle: {name} is {theirs.get(name)}, "
                f"the bundle has {ours[name]}; run `dataset` with the bundle's spec"
            )
