"""Float network, int8 network and physics baseline on the same windows; and the quantization gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.dataset.store import Windows
from px4_tinyml.errors import DatasetError, ParityError
from px4_tinyml.flight_log import F32, I8
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.training import baselines as baseline
from px4_tinyml.training.fit import network_input
from px4_tinyml.training.metrics import summarize
from px4_tinyml.training.quantize import float_probabilities, run_int8

MAX_INT8_LOSS = 0.005
"""Points of macro-F1 (of 1) that int8 may lose against float."""
MODELS = ("float", "int8", "baseline")


def int8_outputs(bundle: ModelBundle, x: F32) -> I8:
    """int8 outputs [W,L] of the bundle for physical windows x[W,T,C]."""
    return run_int8(bundle.model, x, bundle.spec)


def evaluate(
    bundle: ModelBundle, windows: Windows, sources: Sequence[str], between: Windows | None = None
) -> dict[str, Any]:
    """What `evaluate --json` prints. sources: name of each flight by log_id.

    `between` (EDR between calm and turbulent) is reported apart: how often int8 calls it which label.
    """
    if not len(windows):
        raise DatasetError("no labelled window to evaluate on")
    spec = bundle.spec
    predicted = {
        "float": float_probabilities(bundle.float_model, network_input(windows.x, spec)).argmax(axis=1),
        "int8": int8_outputs(bundle, windows.x).argmax(axis=1),
        "baseline": baseline.predict(bundle.manifest.get("baseline", {}), windows.x, spec),
    }
    result: dict[str, Any] = {"labels": list(spec.labels), "spec_hash": spec.hash}
    for name in MODELS:
        summary = summarize(windows.y, predicted[name], windows.log_id, spec.labels)
        summary["by_flight"] = {sources[int(f)]: v for f, v in summary["by_flight"].items()}
        result[name] = summary
    result["agreement"] = float((predicted["float"] == predicted["int8"]).mean())
    if between is not None and len(between):
        calls = int8_outputs(bundle, between.x).argmax(axis=1)
        result["between"] = {name: int((calls == i).sum()) for i, name in enumerate(spec.labels)}
    return result


def check_quantization(evaluation: dict[str, Any]) -> None:
    """The gate: ParityError when int8 loses more than MAX_INT8_LOSS of macro-F1 against float.

    To be measured over all labelled windows: rounding does not know which flights were trained on, and more
    windows measure it more finely.
    """
    before, after = evaluation["float"]["macro_f1"], evaluation["int8"]["macro_f1"]
    if before - after > MAX_INT8_LOSS:
        worst = _worst_class(evaluation)
        raise ParityError(
            f"int8 loses {100 * (before - after):.2f} points of macro-F1 (float {before:.4f}, int8 {after:.4f}, "
            f"at most {100 * MAX_INT8_LOSS:.1f} allowed), most on {worst}; "
            "train longer, with another --seed or on more flights"
        )


def _worst_class(evaluation: dict[str, Any]) -> str:
    loss: dict[str, float] = {
        name: evaluation["float"]["f1"][name] - evaluation["int8"]["f1"][name]
        for name in evaluation["labels"]
        if evaluation["float"]["f1"][name] is not None
    }
    return max(loss, key=lambda name: loss[name])


def check_same_signal_path(bundle: ModelBundle, spec: PipelineSpec) -> None:
    """DatasetError unless a data set was made by the bundle's signal path (before scaling)."""
    mine, theirs = bundle.spec.to_dict(), spec.to_dict()
    for name in ("offset", "inv_scale", "decision"):
        mine.pop(name), theirs.pop(name)
    different = [name for name in mine if mine[name] != theirs[name]]
    if different:
        name = different[0]
        raise DatasetError(
            f"the data set was made with another signal path than the bundle: {name} is {theirs[name]}, "
            f"the bundle has {mine[name]}; make it again with the bundle's spec"
        )
