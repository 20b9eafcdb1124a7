"""The honest limits: what the numbers of a report do not say, computed where they can be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import Metrics, Part
from px4_tinyml.dataset.autolabel import AGREEMENT, CALM_EDR, MIXED, TURBULENT_EDR
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.report.words import count, join, percent, plural, score
from px4_tinyml.signal.spec import ALTITUDE_CHANNEL, TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.training.evaluation import int8_outputs
from px4_tinyml.training.metrics import confusion_matrix, macro_f1

FEW_FLIGHTS = 10


@dataclass(frozen=True)
class Limit:
    """One limit: a short name and what it means here."""

    title: str
    text: str


def find_limits(bundle: ModelBundle, dataset: Dataset) -> list[Limit]:
    """The limits that apply to this model and data set, the weightiest first."""
    metrics, spec = bundle.manifest.metrics, bundle.spec
    found = [
        _origin(dataset),
        _few_flights(metrics),
        _airframes(dataset),
        *_labels_without_windows(dataset, spec),
        *_vertical_motion(bundle, dataset),
        *_turbulence(metrics, dataset, spec),
        _clean_windows(dataset),
        _latency(spec),
        Limit(
            "On the ground",
            "Windows on the ground are left out of training: the model has no label for them and says something "
            "anyway. Use its answer only while the vehicle is known to be flying.",
        ),
    ]
    return [limit for limit in found if limit is not None]


def _origin(dataset: Dataset) -> Limit:
    simulated = sum(_has_true_edr(dataset, i) for i in range(len(dataset.flights)))
    total = len(dataset.flights)
    if simulated == 0:
        return Limit(
            "Labels from estimates",
            "No log carries a simulator's truth: labels come from the vehicle's own estimates of vertical speed and "
            "landed state, with their errors and delays, and from spans a person set.",
        )
    which = f"All {plural(total, 'flight')} are" if simulated == total else f"{simulated} of {total} flights are"
    return Limit(
        "Simulated flights",
        f"{which} simulated (they carry the true EDR). Motors, sensors, gusts and autopilot are models: "
        "the figures hold for that world, and only recorded flights can show whether they hold outdoors.",
    )


def _has_true_edr(dataset: Dataset, log_id: int) -> bool:
    return bool(np.isfinite(dataset.flight(log_id).edr_m23_s).any())


def _few_flights(metrics: Metrics) -> Limit:
    low, high = metrics.int8.macro_f1_interval
    flights = len(metrics.int8.by_flight)
    if flights == 1:
        text = "One test flight: its windows resemble each other, and no interval over flights can be given."
    else:
        text = (
            f"Windows of one flight resemble each other, so {plural(flights, 'test flight')} count, not "
            f"{count(metrics.int8.windows)} windows: macro-F1 lies in {score(low)}…{score(high)} (95 %)."
        )
    if 1 < flights < FEW_FLIGHTS:
        text += " With so few flights the interval itself is rough. More flights make it narrower."
    return Limit("Few test flights" if flights < FEW_FLIGHTS else "Flights, not windows", text)


def _airframes(dataset: Dataset) -> Limit | None:
    if dataset.about.split_by == "airframe":
        return None
    airframes = len({flight.vehicle for flight in dataset.flights})
    return Limit(
        "No airframe held out",
        f"The split is by flight: with {plural(airframes, 'airframe')} in all, the test flights come from airframes "
        "the model was trained on. How well it reads an airframe it has never seen is not measured.",
    )


def _labels_without_windows(dataset: Dataset, spec: PipelineSpec) -> list[Limit]:
    by_part = dataset.about.counts.windows
    found = []
    meanings: tuple[tuple[Part, str], ...] = (
        ("train", "the model cannot know {it}"),
        ("test", "nothing here says how well the model reads {it}, and macro-F1 leaves {it} out"),
    )
    for part, meaning in meanings:
        missing = [name for name in spec.labels if not by_part[part].get(name)]
        if missing:
            it = "it" if len(missing) == 1 else "them"
            word = "training" if part == "train" else "test"
            text = f"No {word} window is labelled {join(missing)}: {meaning.format(it=it)}."
            found.append(Limit(f"{join(missing).capitalize()} without {word} windows", text))
    return found


def _vertical_motion(bundle: ModelBundle, dataset: Dataset) -> list[Limit]:
    """What the network can know of climbing and descending without a barometer."""
    spec, labels = bundle.spec, bundle.spec.labels
    vertical = [labels.index(name) for name in ("climb", "descend") if name in labels]
    if not vertical or "level" not in labels:
        return []
    physics = "A steady climb has no mean acceleration: an IMU alone cannot tell it from level flight."
    if not spec.uses_baro:
        matrix = np.array(bundle.manifest.metrics.int8.confusion, np.int64)
        return [
            Limit(
                "No barometer among the inputs",
                f"{physics} This spec has no altitude channel: {_confused(matrix, vertical, labels.index('level'))}. "
                "What is left is told from starts, stops and the downwash of a descent.",
            )
        ]
    windows = dataset.windows(["test"])
    blind = windows.x.copy()
    blind[:, :, spec.channels.index(ALTITUDE_CHANNEL)] = 0.0
    called = int8_outputs(bundle, blind).argmax(axis=1)
    without = macro_f1(confusion_matrix(windows.y, called, len(labels)))
    return [
        Limit(
            "When the barometer fails",
            f"{physics} The altitude channel tells them apart; when the barometer is silent it is set to zero and the "
            "decision carries the flag BARO_STALE. On the same test windows without altitude, int8 macro-F1 is "
            f"{score(without)} instead of {score(bundle.manifest.metrics.int8.macro_f1)}.",
        )
    ]


def _confused(matrix: NDArray[np.int64], vertical: list[int], level: int) -> str:
    """How often vertical motion is called level, and the other way round."""
    missed, total = int(matrix[vertical, level].sum()), int(matrix[vertical].sum())
    invented, flat = int(matrix[level, vertical].sum()), int(matrix[level].sum())
    climbs = f"{percent(missed, total)} of the climb and descend windows are called level"
    levels = f"{percent(invented, flat)} of the level ones climb or descend"
    return ", ".join(
        (climbs if total else "there are no test windows of climb and descend", levels if flat else "none of level")
    )


def _turbulence(metrics: Metrics, dataset: Dataset, spec: PipelineSpec) -> list[Limit]:
    if TURBULENCE_LABEL not in spec.labels:
        return []
    text = (
        f"Where the true eddy dissipation rate is known, turbulence means EDR ≥ {TURBULENT_EDR:.2f} m^⅔/s and calm "
        f"≤ {CALM_EDR:.2f}: a label scheme for small aircraft, not the severity scale of ICAO, which is set by what an "
        "airliner feels."
    )
    between = dataset.about.counts.between
    if between:
        text += f" {count(between)} windows between the two are neither trained on nor scored"
        if metrics.between:
            share = percent(metrics.between[TURBULENCE_LABEL], sum(metrics.between.values()))
            text += f"; of those in the test part int8 calls {share} turbulence"
        text += "."
    return [Limit("Turbulence is a label, not a severity", text)]


def _clean_windows(dataset: Dataset) -> Limit:
    mixed = dataset.about.counts.dropped.get(MIXED, 0)
    return Limit(
        "Clean windows are scored",
        f"A window is scored when at least {100 * AGREEMENT:.0f} % of its slots carry one label; "
        f"{plural(mixed, 'window')} in which it changes (the entry into a climb, say) are left out. On the vehicle "
        "those are classified too. Scores are for single windows, before the decision filter smooths them.",
    )


def _latency(spec: PipelineSpec) -> Limit:
    decision, hop_s = spec.decision, spec.hop / spec.rate_hz
    alpha = decision.smoothing_q8 / 256
    steps = 1 if alpha == 1 else math.ceil(math.log(1 - decision.enter) / math.log(1 - alpha) - 1e-9)
    steps = max(steps, 1)
    return Limit(
        "Answers come late",
        f"A window covers {spec.window / spec.rate_hz:.2f} s and a new one is complete every {hop_s:.2f} s. With a "
        f"smoothing weight of {alpha:.2f}, even outputs that jump from 0 to 1 need {plural(steps, 'window')} "
        f"({steps * hop_s:.2f} s) to pass the enter threshold of {decision.enter:.2f}.",
    )
