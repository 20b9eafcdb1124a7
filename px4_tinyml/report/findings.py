"""What the numbers mean: verdict, paired comparison with the strongest rival, most common error, what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle.manifest import Metrics, Score, Training
from px4_tinyml.dataset.store import Dataset, Description
from px4_tinyml.report.words import count, listed, percent, plural, score, signed
from px4_tinyml.training.metrics import BOOTSTRAP_DRAWS, macro_f1

I64 = NDArray[np.int64]

ENOUGH_FLIGHTS = 6
"""With fewer, winning on every one happens by chance more often than in 2.5 % of the cases (sign test: 2⁻⁵ = 3.1 %)."""


@dataclass(frozen=True)
class Gain:
    """Macro-F1 of int8 minus that of a rival, with its 95 % interval over the same flights."""

    value: float
    low: float
    high: float
    flights: int

    @property
    def proven(self) -> bool:
        """True when the interval lies above zero, and there are enough flights for it to mean something."""
        return self.flights >= ENOUGH_FLIGHTS and self.low > 0


RIVALS = {
    "baseline": "thresholds", "slope": "the barometer slope", "trees": "boosted trees", "physics": "the EDR formula"
}  # fmt: skip
"""By name in the metrics; docs/training.md describes them."""


def strongest_rival(metrics: Metrics) -> str:
    """The name of RIVALS with the largest macro-F1."""
    return max((name for name in RIVALS if name in metrics.scores), key=lambda name: metrics.scores[name].macro_f1)


def gain_over(metrics: Metrics, rival: str) -> Gain:
    """Both models on the same draws of flights, so that a hard flight counts for both."""
    flights = list(metrics.int8.by_flight)
    network, other = (
        np.array([score.by_flight[f].confusion for f in flights], np.int64)
        for score in (metrics.int8, metrics.scores[rival])
    )
    draws = np.random.default_rng(0).integers(0, len(flights), (BOOTSTRAP_DRAWS, len(flights)))
    gains = [macro_f1(network[d].sum(axis=0)) - macro_f1(other[d].sum(axis=0)) for d in draws]
    low, high = np.percentile(gains, [2.5, 97.5]).tolist()
    return Gain(metrics.int8.macro_f1 - metrics.scores[rival].macro_f1, low, high, len(flights))


def headline(metrics: Metrics, dataset: Dataset) -> tuple[str, list[str]]:
    """The verdict, and the sentences behind it."""
    strongest = strongest_rival(metrics)
    gain, rival = gain_over(metrics, strongest), RIVALS[strongest]
    figures = f"macro-F1 {score(metrics.int8.macro_f1)} against {score(metrics.scores[strongest].macro_f1)}"
    if gain.value <= 0:
        title = f"The network does not beat {rival}: {figures}"
    elif gain.proven:
        title = f"The network beats {rival}: {figures}"
    else:
        title = f"The network is ahead of {rival}, not beyond doubt: {figures}"

    test = [flight for flight in dataset.flights if flight.part == "test"]
    new = {flight.vehicle for flight in test} - {flight.vehicle for flight in dataset.flights if flight.part != "test"}
    held_out = f"{plural(len(new), 'airframe')} never trained on" if new else "airframes also trained on"
    doubt = f"The gain is {gain.value:+.3f}; one test flight allows no interval."
    if gain.flights > 1:
        interval = f"{gain.low:+.3f}…{gain.high:+.3f}"
        doubt = f"Over the same test flights the gain is {gain.value:+.3f}, 95 % interval {interval}."
    lost = 100 * (metrics.float32.macro_f1 - metrics.int8.macro_f1)
    cost = f"{abs(lost):.2f} points {'below' if lost > 0 else 'above'} float32"
    if abs(lost) < 0.005:
        cost = "as good as float32"
    return title, [
        f"Measured on {count(metrics.int8.windows)} windows of {plural(len(test), 'test flight')} with {held_out}.",
        signed(doubt),
        f"By macro-F1 the int8 network is {cost}; both give the same label in {percent(metrics.agreement)} "
        "of the windows.",
    ]


def score_bars(metrics: Metrics) -> dict[str, dict[str, float]]:
    """Macro-F1 of each model as a dot and a whisker, percent of an axis from `floor` to 1."""
    lowest = min(score.macro_f1_interval[0] for score in metrics.scores.values())
    floor = float(min(0.5, max(0.0, np.floor(10 * lowest) / 10))) if lowest < 0.9 else 0.8
    bars = {}
    for model, result in metrics.scores.items():
        left, dot, right = (
            100 * (value - floor) / (1 - floor)
            for value in (result.macro_f1_interval[0], result.macro_f1, result.macro_f1_interval[1])
        )
        bars[model] = {"floor": floor, "left": left, "width": right - left, "dot": dot}
    return bars


def commonest_error(result: Score, labels: Sequence[str]) -> tuple[str, str, float] | None:
    """Label, what a model calls it, and the share of its windows, where that is largest; None without an error."""
    matrix = np.array(result.confusion, np.int64)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    wrong = shares * ~np.eye(len(matrix), dtype=np.bool_)
    truth, called = divmod(int(np.argmax(wrong)), len(matrix))
    if not wrong.any():
        return None
    return labels[truth], labels[called], float(wrong[truth, called])


def course(training: Training) -> str:
    """How the training went."""
    ran, most = training.epochs_run, training.epochs
    stopped = f"stopped after {ran}" if ran < most else f"ran all {ran}"
    text = (
        f"Training {stopped} of at most {plural(most, 'epoch')}, batches of {training.batch}, "
        f"learning rate {training.learning_rate:g} with cosine decay, seed {training.seed}."
    )
    if ran == most and training.best_epoch > 0.9 * ran and ran > 1:
        text += " The best epoch is among the last: more epochs may still help."
    return text


def dropped_windows(about: Description) -> list[tuple[str, int]]:
    """Windows without a label, by reason, the most common first."""
    dropped = Counter(about.counts.dropped)
    dropped["between"] += about.counts.between
    return [(why, n) for why, n in dropped.most_common() if n]


def left_out_title(about: Description) -> str:
    """How many windows and logs were left out."""
    dropped, logs = sum(n for _, n in dropped_windows(about)), len(about.unusable)
    kept = sum(sum(labels.values()) for labels in about.counts.windows.values())
    parts = [f"{count(dropped)} of {plural(dropped + kept, 'window')}"] if dropped else []
    parts += [plural(logs, "log")] if logs else []
    return f"{listed(parts)} {'was' if dropped + logs == 1 else 'were'} left out" if parts else "Nothing was left out"
