"""The table of scores that `train`, `demo` and `evaluate` print."""

from __future__ import annotations

from pathlib import Path

from px4_tinyml.bundle import REPORT_FILE, ModelBundle
from px4_tinyml.bundle.manifest import EdrFigures, Metrics, TreesAgreement
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.report import write_report
from px4_tinyml.training.evaluation import QuantizationError
from px4_tinyml.training.fit import TrainOptions
from px4_tinyml.training.pipeline import train


def train_and_report(dataset: Dataset, out: Path, options: TrainOptions) -> ModelBundle:
    """Train, write the bundle and its report, print the scores: also those of a model that the gate rejects."""
    try:
        bundle = train(dataset, out, options)
    except QuantizationError as error:
        print_metrics(error.metrics, "all")
        raise
    write_report(out / REPORT_FILE, bundle, dataset)
    print_metrics(bundle.manifest.metrics)
    return bundle


NAMES = {"baseline": "thresholds"}
"""What the tables call a model, where that is not its key in the JSON document."""


def shown(name: str) -> str:
    """The name of a model in the tables."""
    return NAMES.get(name, name)


def print_metrics(metrics: Metrics, part: str = "test") -> None:
    """Macro-F1 with its interval and F1 by class, one line a model. part: of the data set, as `evaluate` calls it."""
    flights = len(metrics.int8.by_flight)
    missing = {"all": "no windows", "train": "no training windows"}.get(part, f"no {part} windows")
    wide = max(12, len(missing) + 2) if None in metrics.int8.f1.values() else 12
    print(
        f"{f'{flights} flights' if flights > 1 else 'one flight':10}{'macro-F1':>10}{'interval':>16}{'accuracy':>10}"
        + "".join(f"{n:>{wide}}" for n in metrics.labels)
    )
    for name, score in metrics.scores.items():
        low, high = score.macro_f1_interval
        interval = f"{low:.3f}…{high:.3f}" if flights > 1 else "none"  # one flight has no spread over flights
        f1 = "".join(
            f"{missing if score.f1[n] is None else format(score.f1[n], '.3f'):>{wide}}" for n in metrics.labels
        )
        print(f"{shown(name):10}{score.macro_f1:10.4f}{interval:>16}{score.accuracy:10.4f}{f1}")
    if metrics.between is not None:
        calls = ", ".join(f"{n} {label}" for label, n in metrics.between.items())
        print(f"windows with EDR between calm and turbulent are classified as: {calls}")
    if metrics.agreement_trees is not None:
        _print_agreement(metrics.agreement_trees)
    if metrics.edr is not None:
        _print_edr(metrics.edr)


def _print_agreement(agreement: TreesAgreement) -> None:
    inside, outside = (
        "none" if accuracy is None else f"{accuracy:.4f}"
        for accuracy in (agreement.accuracy_where_agreed, agreement.accuracy_elsewhere)
    )
    print(f"int8 and trees agree on {agreement.share:.4f} of the windows; accuracy there {inside}, elsewhere {outside}")


def _print_edr(edr: EdrFigures) -> None:
    """EDR of single windows against the truth."""
    ranges = {"EDR up to 0.10": edr.calm, "0.2 to 0.3": edr.moderate, "0.3 to 0.9": edr.strong}
    called = ", ".join(f"{name}: {of.called}/{of.windows}" for name, of in ranges.items())
    print(f"called turbulence (single windows), {called}; unfamiliar: {100 * edr.unfamiliar:.1f} %")
    if edr.factor_68 is not None and edr.factor_90 is not None:
        print(f"EDR from 0.15 up: within ×{edr.factor_68:.2f} (68 % of the windows), ×{edr.factor_90:.2f} (90 %)")
