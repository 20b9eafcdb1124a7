"""The numbers of a report, section by section, ready for the template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import Metrics
from px4_tinyml.dataset.autolabel import AGREEMENT, CALM_EDR, EXCLUDE, MIXED, SPARSE, TURBULENT_EDR
from px4_tinyml.dataset.split import PARTS
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.report.findings import commonest_error, gain_over_baseline, row_shares
from px4_tinyml.report.words import count, join, percent, plural, score, signed
from px4_tinyml.signal.spec import ALTITUDE_CHANNEL, PipelineSpec
from px4_tinyml.training.evaluation import MODELS

MODEL_NAMES = {"float": "float32 network", "int8": "int8 network", "baseline": "physics baseline"}
SHORT_LIST = 12
"""Longer lists are folded."""

REASON_MEANING = {
    MIXED: f"the label changes within the window (less than {100 * AGREEMENT:.0f} % agree)",
    SPARSE: "too many repeated slots: samples were missing",
    "between": f"EDR between calm (≤ {CALM_EDR:.2f}) and turbulent (≥ {TURBULENT_EDR:.2f}) m^⅔/s",
    "on_ground": "not flying",
    "no_reference": "no valid reference (vertical speed, landed state) at that time",
    "unlabelled": "the reference or the spans give no label",
    "excluded": f"taken out by a span labelled {EXCLUDE}",
}
RESET_MEANING = {
    "gap": "samples missing for longer than the spec allows",
    "backwards": "the clock ran backwards",
    "non_finite": "a value that is not finite",
}
CHANNEL_UNITS = {"a": "m/s²", "g": "rad/s"}


def headline(bundle: ModelBundle, dataset: Dataset) -> dict[str, Any]:
    """Verdict, what stands behind it, and the three scores with their intervals."""
    metrics, gain = bundle.manifest.metrics, gain_over_baseline(bundle.manifest.metrics)
    int8, physics = score(metrics.int8.macro_f1), score(metrics.baseline.macro_f1)
    figures = f"macro-F1 {int8} against {physics}"
    if gain.value <= 0:
        title = f"The network does not beat the physics baseline: {figures}"
    elif gain.proven:
        title = f"The network beats the physics baseline: {figures}"
    else:
        title = f"The network is ahead of the physics baseline, not beyond doubt: {figures}"
    return {"title": title, "sentences": _headline_sentences(metrics, gain, dataset), "scores": _scores(metrics)}


def _headline_sentences(metrics: Metrics, gain: Any, dataset: Dataset) -> list[str]:
    test = [flight for flight in dataset.flights if flight.part == "test"]
    seen = {flight.vehicle for flight in dataset.flights if flight.part != "test"}
    airframes = {flight.vehicle for flight in test}
    new = len(airframes - seen)
    held_out = f"{plural(new, 'airframe')} never trained on" if new else "airframes also trained on"
    lost = 100 * (metrics.float32.macro_f1 - metrics.int8.macro_f1)
    if gain.flights > 1:
        interval = f"{gain.low:+.3f}…{gain.high:+.3f}"
        doubt = f"Over the same test flights the gain is {gain.value:+.3f}, 95 % interval {interval}."
    else:
        doubt = f"The gain is {gain.value:+.3f}; one test flight allows no interval."
    cost = f"{abs(lost):.2f} points {'below' if lost > 0 else 'above'} float32"
    if abs(lost) < 0.005:
        cost = "as good as float32"
    windows, same = count(metrics.int8.windows), percent(metrics.agreement)
    return [
        f"Measured on {windows} windows of {plural(len(test), 'test flight')} with {held_out}.",
        signed(doubt),
        f"By macro-F1 the int8 network is {cost}; both give the same label in {same} of the windows.",
    ]


def _scores(metrics: Metrics) -> list[dict[str, Any]]:
    """Dot and whisker of each model on an axis from `floor` to 1."""
    lowest = min(s.macro_f1_interval[0] for s in metrics.scores.values())
    floor = min(0.5, max(0.0, np.floor(10 * lowest) / 10)) if lowest < 0.9 else 0.8
    rows = []
    for model in ("int8", "float", "baseline"):
        value, (low, high) = metrics.scores[model].macro_f1, metrics.scores[model].macro_f1_interval
        left, middle, right = (100 * (v - floor) / (1 - floor) for v in (low, value, high))
        flights = len(metrics.scores[model].by_flight)
        rows.append(
            {
                "model": MODEL_NAMES[model],
                "score": score(value),
                "interval": f"{score(low)}…{score(high)}" if flights > 1 else "no interval",
                "left": f"{left:.2f}",
                "width": f"{right - left:.2f}",
                "dot": f"{middle:.2f}",
                "floor": f"{floor:.1f}",
            }
        )
    return rows


def facts(bundle: ModelBundle, dataset: Dataset) -> list[tuple[str, str]]:
    """The model in a few words."""
    model = bundle.manifest.model
    return [
        ("Architecture", f"{model.arch}, {count(model.parameters)} parameters"),
        ("Labels", ", ".join(bundle.spec.labels)),
        ("Work", f"{count(model.macs)} MACs a window"),
        ("Weights", f"{count(model.weights_bytes)} bytes"),
        ("Operators", _operators(model.operators)),
        ("Spec", bundle.spec.short_hash),
    ]


def _operators(names: tuple[str, ...]) -> str:
    return ", ".join(f"{n} × {name}" if n > 1 else name for name, n in Counter(names).items())


def confusion(bundle: ModelBundle) -> dict[str, Any]:
    """Three matrices, F1 by class, and the finding."""
    metrics = bundle.manifest.metrics
    labels = list(metrics.labels)
    error = commonest_error(metrics.int8, labels)
    if error is None:
        title = f"int8 labels all {count(metrics.int8.windows)} test windows right"
    else:
        title = f"Most confused: int8 calls {percent(error.share)} of the {error.truth} windows {error.called}"
    matrices = []
    for model in MODELS:
        matrix = np.array(metrics.scores[model].confusion, np.int64)
        rows = [
            [_cell(int(n), float(share)) for n, share in zip(row, shares, strict=True)] if row.sum() else None
            for row, shares in zip(matrix, row_shares(matrix), strict=True)
        ]
        matrices.append({"model": MODEL_NAMES[model], "score": score(metrics.scores[model].macro_f1), "rows": rows})
    windows = np.array(metrics.int8.confusion, np.int64).sum(axis=1).tolist()
    by_class = [
        {"label": name, "windows": count(n), "f1": [score(metrics.scores[model].f1[name]) for model in MODELS]}
        for name, n in zip(labels, windows, strict=True)
    ]
    totals = [
        ("macro-F1", [score(metrics.scores[model].macro_f1) for model in MODELS]),
        ("accuracy", [score(metrics.scores[model].accuracy) for model in MODELS]),
    ]
    names = [MODEL_NAMES[model] for model in MODELS]
    return {"title": title, "matrices": matrices, "by_class": by_class, "totals": totals, "models": names}


def _cell(windows: int, share: float) -> dict[str, str]:
    """A cell of a confusion matrix; tone is its CSS class."""
    if windows == 0:
        return {"count": "0", "percent": "0", "heat": "0", "tone": "zero"}
    tone = "dark" if share > 0.68 else "pale"
    return {"count": count(windows), "percent": f"{100 * share:.1f}", "heat": f"{share:.3f}", "tone": tone}


def training(bundle: ModelBundle) -> dict[str, str]:
    """What happened in training, in words."""
    t = bundle.manifest.training
    ran, best = t.epochs_run, t.best_epoch
    stopped = f"stopped after {ran}" if ran < t.epochs else f"ran all {ran}"
    note = f"Training {stopped} of at most {plural(t.epochs, 'epoch')}, batches of {t.batch}, "
    note += f"learning rate {t.learning_rate:g} with cosine decay, seed {t.seed}."
    if ran == t.epochs and best > 0.9 * ran and ran > 1:
        note += " The best epoch is among the last: more epochs may still help."
    return {"title": f"Validation loss is lowest in epoch {best}: those weights are kept", "note": note}


def flights(bundle: ModelBundle, dataset: Dataset) -> dict[str, Any]:
    """Every test flight, worst first."""
    metrics = bundle.manifest.metrics
    known = {flight.source: flight for flight in dataset.flights if flight.part == "test"}
    rows = []
    for source, result in sorted(metrics.int8.by_flight.items(), key=lambda item: item[1].accuracy):
        others = [metrics.scores[model].by_flight[source].accuracy for model in ("float", "baseline")]
        flight = known[source]
        rows.append(
            {
                "source": source,
                "vehicle": flight.vehicle,
                "part": flight.part,
                "windows": count(result.windows),
                "accuracy": percent(result.accuracy),
                "bar": f"{100 * result.accuracy:.1f}",
                "macro_f1": score(result.macro_f1),
                "others": [percent(value) for value in others],
            }
        )
    right = f"{rows[0]['accuracy']} of {rows[0]['windows']} windows right"
    title = f"Worst test flight: {right}" if len(rows) > 1 else f"The one test flight: {right}"
    return {"title": title, "first": rows[:SHORT_LIST], "rest": rows[SHORT_LIST:]}


def left_out(dataset: Dataset, spec: PipelineSpec) -> dict[str, Any]:
    """Windows dropped, logs not used, resets, barometer trouble, warnings."""
    counts, entries = dataset.about.counts, dataset.flights
    dropped = Counter(counts.dropped)
    dropped["between"] += counts.between
    reasons = [(why.replace("_", " "), count(n), REASON_MEANING.get(why, "")) for why, n in dropped.most_common() if n]
    resets = [(why.replace("_", " "), count(n), RESET_MEANING.get(why, "")) for why, n in counts.resets.items() if n]
    total = sum(dropped.values())
    kept = sum(sum(labels.values()) for labels in counts.windows.values())
    unusable = dataset.about.unusable
    what = [f"{count(total)} of {plural(total + kept, 'window')}"] if total else []
    what += [plural(len(unusable), "log")] if unusable else []
    verb = "was" if total + len(unusable) == 1 else "were"
    without_baro = [
        (f.source, count(f.without_baro), count(sum(f.labels.values()) + f.between))
        for f in entries
        if f.without_baro and spec.uses_baro
    ]
    return {
        "title": f"{join(what)} {verb} left out" if what else "Nothing was left out",
        "reasons": reasons,
        "resets": resets,
        "unusable": [(PurePath(log.source).name, log.why) for log in unusable],
        "without_baro": without_baro,
        "warnings": [(f.source, f.warnings) for f in entries if f.warnings],
    }


def split(bundle: ModelBundle, dataset: Dataset) -> dict[str, Any]:
    """Flights, airframes and windows by label of each part."""
    labels, by_part = bundle.spec.labels, dataset.about.counts.windows
    rows: list[dict[str, Any]] = []
    for part in PARTS:
        inside = [flight for flight in dataset.flights if flight.part == part]
        total = sum(by_part[part].values())
        rows.append(
            {
                "part": {"train": "training"}.get(part, part),
                "flights": count(len(inside)),
                "airframes": count(len({flight.vehicle for flight in inside})),
                "labels": [count(by_part[part][name]) for name in labels],
                "windows": count(total),
                "shares": [f"{100 * by_part[part][name] / max(total, 1):.2f}" for name in labels],
            }
        )
    by = dataset.about.split_by
    numbers = " / ".join(row["flights"] for row in rows)
    title = f"{numbers} flights to train, validate and test, split by {by}"
    return {"title": title, "by": by, "rows": rows, "between": _between(bundle)}


def _between(bundle: ModelBundle) -> dict[str, Any] | None:
    """How int8 calls the test windows with EDR between calm and turbulent."""
    calls = bundle.manifest.metrics.between
    if not calls:
        return None
    total = sum(calls.values())
    rows = [(name, count(n), percent(n, total), f"{100 * n / total:.2f}") for name, n in calls.items()]
    return {"total": plural(total, "test window"), "rows": rows}


def sizes(bundle: ModelBundle) -> dict[str, Any]:
    """Bytes, operators and quantization."""
    model = bundle.manifest.model
    rows = [
        ("Model file, int8", f"{count(model.model_bytes)} bytes"),
        ("Weights and biases", f"{count(model.weights_bytes)} bytes"),
        ("Multiply-accumulates a window", count(model.macs)),
        ("Parameters", count(model.parameters)),
    ]
    memory = bundle.manifest.memory
    tflm = memory.tflm_arena_bytes
    rows += [
        ("Arena, compiled engine", f"{count(memory.compiled_arena_bytes)} bytes"),
        ("Arena, TFLite Micro on a 64-bit computer", "not measured" if tflm is None else f"{count(tflm)} bytes"),
    ]
    for side, q in (("input", model.input), ("output", model.output)):
        shape = " × ".join(map(str, q.shape))
        rows.append((f"int8 {side}", f"{shape}, scale {q.scale:.9g}, zero point {signed(q.zero_point)}"))
    macs, weights = count(model.macs), count(model.weights_bytes)
    title = f"One window costs {macs} MACs; the weights take {weights} bytes"
    return {"title": title, "rows": rows, "operators": model.operators}


def parity(result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The replay of the golden vectors and of logs through several targets (`replay --json`, docs/replay.md)."""
    if result is None:
        return None
    targets, windows = join(result["targets"]), plural(result["windows"], "window")
    total = result["mismatches"]
    return {
        "title": f"{targets} {'differ' if total else 'compute the same'}: {count(total)} mismatches in {windows}",
        "pairs": [(pair, count(n["windows"]), count(n["mismatches"])) for pair, n in result["pairs"].items()],
        "logs": [(log["log"], count(log["windows"]), count(log["mismatches"])) for log in result["logs"]],
        "first": [
            (log["log"], pair["first"]) for log in result["logs"] for pair in log["pairs"].values() if pair["first"]
        ],
    }


def spec_tables(bundle: ModelBundle) -> dict[str, Any]:
    """The spec field by field and channel by channel; versions, seeds and hashes."""
    spec, manifest = bundle.spec, bundle.manifest
    data = spec.to_dict()
    fields = [(k, _plain(v)) for k, v in data.items() if k not in ("decision", "offset", "inv_scale")]
    fields += [(f"decision.{k}", _plain(v)) for k, v in data["decision"].items()]
    assert spec.offset is not None and spec.inv_scale is not None
    channels = [
        (name, "m" if name == ALTITUDE_CHANNEL else CHANNEL_UNITS[name[0]], signed(f"{offset:.4f}"), f"{1 / scale:.4f}")
        for name, offset, scale in zip(spec.channels, spec.offset, spec.inv_scale, strict=True)
    ]
    made_with = [(name, str(version)) for name, version in manifest.tools.items()]
    made_with += [
        ("seed of training", str(manifest.training.seed)),
        ("spec", spec.hash),
        ("model.tflite, SHA-256", bundle.sha256),
    ]
    return {"fields": fields, "channels": channels, "made_with": made_with}


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
