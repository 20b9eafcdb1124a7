"""Float network, int8 network and physics baseline on the same windows; and the quantization gate."""

from __future__ import annotations

from collections.abc import Sequence

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import Metrics, Part, QuantizationGate, Thresholds
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.errors import DatasetError, ParityError
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.training import baselines
from px4_tinyml.training.fit import network_input
from px4_tinyml.training.metrics import summarize
from px4_tinyml.training.quantize import float_probabilities, run_int8

MAX_INT8_LOSS = 0.005
"""Points of macro-F1 (of 1) that int8 may lose against float."""


class QuantizationError(ParityError):
    """int8 is too much worse than float. metrics: over every labelled window of the data set."""

    def __init__(self, message: str, metrics: Metrics) -> None:
        super().__init__(message)
        self.metrics = metrics


def evaluate_models(
    spec: PipelineSpec, model: bytes, float_model: bytes, rules: Thresholds, dataset: Dataset, parts: Sequence[Part]
) -> Metrics:
    """Scores of both networks and the baseline of a spec on the labelled windows of some parts of a data set."""
    windows, between = dataset.windows(parts), dataset.windows(parts, between=True)
    if not len(windows):
        raise DatasetError("no labelled window to evaluate on")
    predicted = (
        float_probabilities(float_model, network_input(windows.x, spec)).argmax(axis=1),
        run_int8(model, windows.x, spec).argmax(axis=1),
        baselines.predict(rules, windows.x, spec),
    )
    sources = [flight.source for flight in dataset.flights]
    float32, int8, baseline = (summarize(windows.y, calls, windows.log_id, spec.labels, sources) for calls in predicted)
    between_calls = None
    if len(between):
        calls = run_int8(model, between.x, spec).argmax(axis=1)
        between_calls = {name: int((calls == i).sum()) for i, name in enumerate(spec.labels)}
    agreement = float((predicted[0] == predicted[1]).mean())
    return Metrics(spec.labels, spec.hash, float32, int8, baseline, agreement, between_calls)


def evaluate(bundle: ModelBundle, dataset: Dataset, parts: Sequence[Part] = ("test",)) -> Metrics:
    """Scores of a bundle's networks and its baseline on the labelled windows of some parts of a data set.

    F1, accuracy and confusion by model, label and flight; intervals are over flights, not windows.

    Raises DatasetError for a data set of another signal path, or without labelled windows in these parts;
    ToolchainError without TensorFlow.
    """
    check_same_signal_path(bundle, dataset.spec)
    return evaluate_models(bundle.spec, bundle.model, bundle.float_model, bundle.manifest.baseline, dataset, parts)


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
    """DatasetError unless a data set was made by the bundle's signal path (before scaling)."""
    ours, theirs = bundle.spec.to_dict(), spec.to_dict()
    for name in ours:
        if name not in ("offset", "inv_scale", "decision") and ours[name] != theirs[name]:
            raise DatasetError(
                f"the data set has another signal path than the bundle: {name} is {theirs[name]}, "
                f"the bundle has {ours[name]}; run `dataset` with the bundle's spec"
            )
