"""The limits of a report's numbers: what they do not show, with figures where they can be computed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import Metrics, Part
from px4_tinyml.dataset.autolabel import AGREEMENT, CALM_EDR, MIXED, TURBULENT_EDR
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.report.words import count, listed, percent, plural, score
from px4_tinyml.signal.spec import ALTITUDE_CHANNEL, TURBULENCE_LABEL, VERTICAL_SPEED, PipelineSpec
from px4_tinyml.training.metrics import confusion_matrix, macro_f1
from px4_tinyml.training.quantize import run_int8

FEW_FLIGHTS = 10

Limits = dict[str, str]
"""Text by title."""


def find_limits(bundle: ModelBundle, dataset: Dataset) -> Limits:
    """The limits that apply to this model and data set, the most important first."""
    metrics, spec = bundle.manifest.metrics, bundle.spec
    return {
        **_origin(dataset),
        **_few_flights(metrics),
        **_airframes(dataset),
        **_missing_windows(dataset, spec, "train", "the model cannot learn {it}"),
        **_missing_windows(
            dataset, spec, "test", "how well the model detects {it} is not measured, and macro-F1 ignores {it}"
        ),
        **_vertical_motion(bundle, dataset),
        **_turbulence(metrics, dataset, spec),
        **_clean_windows(dataset),
        **_latency(spec),
        **_on_ground(spec),
    }


def _on_ground(spec: PipelineSpec) -> Limits:
    if spec.input == "bands":
        return {
            "Where the air is not judged": "On the ground, while manoeuvring hard, and in windows unlike those of the "
            "training, the decision is uncertain, with its reason. Such windows are not in these numbers."
        }
    return {
        "On the ground": "Windows on the ground are left out of training: the model has no label for them, and its "
        "output there is arbitrary. Use it only while the vehicle is known to be flying.",
    }


def _origin(dataset: Dataset) -> Limits:
    if dataset.about.inject:
        real = sum(entry.flights for entry in dataset.about.inject.backgrounds if not entry.simulated)
        return {
            "Injected gusts": "Turbulence is injected: responses of simulated vehicles to gusts, added to calm flights "
            f"({plural(real, 'recorded one')}). Recorded flights are taken as flown in calm air. Only flights in known "
            "turbulence can show whether the figures hold outdoors."
        }
    total = len(dataset.flights)
    simulated = sum(bool(np.isfinite(dataset.flight(i).edr_m23_s).any()) for i in range(total))
    if simulated == 0:
        return {
            "Labels from estimates": "No log has a simulator's truth: labels are from the vehicle's own estimates of "
            "vertical speed and landed state, with their errors and delays, and from label spans."
        }
    which = f"All {plural(total, 'flight')} are" if simulated == total else f"{simulated} of {total} flights are"
    return {
        "Simulated flights": f"{which} simulated (they have the true EDR). Motors, sensors, gusts and autopilot are "
        "models: the figures hold for that world, and only recorded flights can show whether they hold outdoors."
    }


def _few_flights(metrics: Metrics) -> Limits:
    low, high = metrics.int8.macro_f1_interval
    flights = len(metrics.int8.by_flight)
    text = "One test flight: its windows resemble each other, and no interval over flights can be given."
    if flights > 1:
        text = (
            f"Windows of one flight resemble each other, so {plural(flights, 'test flight')} count, not "
            f"{count(metrics.int8.windows)} windows: macro-F1 lies in {score(low)}…{score(high)} (95 %)."
        )
    if 1 < flights < FEW_FLIGHTS:
        text += " With so few flights the interval itself is rough. More flights make it narrower."
    return {"Few test flights" if flights < FEW_FLIGHTS else "Flights, not windows": text}


def _airframes(dataset: Dataset) -> Limits:
    if dataset.about.split_by == "airframe":
        return {}
    airframes = len({flight.vehicle for flight in dataset.flights})
    if dataset.about.split_by == "stretch":
        inject = dataset.about.inject
        if inject and inject.split_by.get("simulated", "stretch") != "stretch":
            return {
                "No recorded flight held out": "Recorded flights are in several parts, each with its own stretches of "
                "time: the score on other recorded ones is not measured here. Simulated flights are held out whole."
            }
        return {"No flight held out": "Parts are stretches of the same flights: the score on others is not measured."}
    return {
        "No airframe held out": f"The split is by flight: with {plural(airframes, 'airframe')} in all, the test "
        "flights are of airframes the model was trained on. Its score on an unknown airframe is not measured."
    }


def _missing_windows(dataset: Dataset, spec: PipelineSpec, part: Part, meaning: str) -> Limits:
    windows = dataset.about.counts.windows[part]
    missing = [name for name in spec.labels if not windows[name]]
    if not missing:
        return {}
    it, word = "it" if len(missing) == 1 else "them", "training" if part == "train" else part
    text = f"No {word} window is labelled {listed(missing)}: {meaning.format(it=it)}."
    return {f"{listed(missing).capitalize()} without {word} windows": text}


def _vertical_motion(bundle: ModelBundle, dataset: Dataset) -> Limits:
    """What the network can detect of climbing and descending without a barometer."""
    spec, labels, int8 = bundle.spec, bundle.spec.labels, bundle.manifest.metrics.int8
    if spec.output == "edr":
        return {
            "Level, climb and descend are a rule": "They are decided by the vertical speed of barometer and "
            f"accelerometer (beyond {spec.vertical.threshold_m_s:g} m/s), not by the network: it learns turbulence."
        }
    vertical = [labels.index(name) for name in ("climb", "descend") if name in labels]
    if not vertical or "level" not in labels:
        return {}
    physics = "A steady climb has no mean acceleration: an IMU alone cannot tell it from level flight."
    if not spec.uses_baro:
        confused = _confused(np.array(int8.confusion, np.int64), vertical, labels.index("level"))
        return {
            "No barometer among the inputs": f"{physics} This spec has no altitude channel: {confused}. "
            "Only starts, stops and the downwash of a descent are visible."
        }
    windows = dataset.windows(["test"])
    blind = windows.x.copy()
    blind[:, :, spec.features.index(ALTITUDE_CHANNEL if spec.input == "samples" else VERTICAL_SPEED)] = 0.0
    without = macro_f1(confusion_matrix(windows.y, run_int8(bundle.model, blind, spec).argmax(axis=1), len(labels)))
    return {
        "When the barometer fails": f"{physics} The altitude channel separates them; without barometer samples it is "
        "set to zero and the decision has the flag BARO_STALE. On the same test windows without altitude, int8 "
        f"macro-F1 is {score(without)} instead of {score(int8.macro_f1)}."
    }


def _confused(matrix: NDArray[np.int64], vertical: list[int], level: int) -> str:
    """How often vertical motion is called level, and the other way round."""
    missed, total = int(matrix[vertical, level].sum()), int(matrix[vertical].sum())
    invented, flat = int(matrix[level, vertical].sum()), int(matrix[level].sum())
    climbs = f"{percent(missed, total)} of the climb and descend windows are called level"
    levels = f"{percent(invented, flat)} of the level ones climb or descend"
    return ", ".join(
        (climbs if total else "there are no test windows of climb and descend", levels if flat else "none of level")
    )


def _turbulence(metrics: Metrics, dataset: Dataset, spec: PipelineSpec) -> Limits:
    if TURBULENCE_LABEL not in spec.labels:
        return {}
    text = (
        f"Where the true eddy dissipation rate is known, turbulence means EDR ≥ {TURBULENT_EDR:.2f} m^⅔/s and calm "
        f"≤ {CALM_EDR:.2f}: a label scheme for small aircraft, not the severity scale of ICAO, which is defined by the "
        "response of an airliner."
    )
    between = dataset.about.counts.between
    if between:
        text += f" {count(between)} windows between the two are neither trained on nor scored"
        if metrics.between:
            share = percent(metrics.between[TURBULENCE_LABEL], sum(metrics.between.values()))
            text += f"; of those in the test part int8 calls {share} turbulence"
        text += "."
    return {"Turbulence is a label, not a severity": text}


def _clean_windows(dataset: Dataset) -> Limits:
    mixed = dataset.about.counts.dropped.get(MIXED, 0)
    return {
        "Clean windows are scored": f"A window is scored when at least {100 * AGREEMENT:.0f} % of its slots have one "
        f"label; {plural(mixed, 'window')} in which it changes (the entry into a climb, say) are left out. On the "
        "vehicle those are classified too. Scores are for single windows, before the decision filter smooths them."
    }


def _latency(spec: PipelineSpec) -> Limits:
    decision, hop_s = spec.decision, spec.hop / spec.rate_hz
    window = f"A window covers {spec.window / spec.rate_hz:.2f} s and a new one is complete every {hop_s:.2f} s."
    if spec.output == "edr":
        return {
            "Decisions are late": f"{window} The logarithm of EDR is smoothed (weight {spec.edr.rise_q8 / 256:.2f} "
            f"while it rises); turbulence begins above {spec.edr.enter:g} and ends below {spec.edr.leave:g} as the "
            "network reads EDR."
        }
    alpha = decision.smoothing_q8 / 256
    steps = 1 if alpha == 1 else math.ceil(math.log(1 - decision.enter) / math.log(1 - alpha) - 1e-9)
    steps = max(steps, 1)
    return {
        "Decisions are late": f"{window} With a smoothing weight of {alpha:.2f}, even outputs that jump from 0 to 1 "
        f"need {plural(steps, 'window')} ({steps * hop_s:.2f} s) to pass the enter threshold of {decision.enter:.2f}."
    }
