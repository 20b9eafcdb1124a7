"""Turbulence on flights whose true EDR is known at every moment: simulated ones.

A window's true EDR is that at its middle. Windows on the ground are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.dataset.autolabel import (
    CALM_EDR,
    FACTOR_FROM_EDR,
    MODERATE_EDR,
    STRONG_EDR,
    TURBULENT_EDR,
    reference_at,
)
from px4_tinyml.flight_log import F64, Bool, FlightLog
from px4_tinyml.quality.air_figures import Share, share
from px4_tinyml.quality.judged import STAGES, Judged, judged, turbulence_index
from px4_tinyml.signal.classifier import Classification, Classifier
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.windows import Reason
from px4_tinyml.units import US_PER_S

RISE_US = 5_000_000
"""A step up rises from calm to turbulent within this time."""
HELD_US = 10_000_000
"""And stays turbulent for so long."""


@dataclass(frozen=True)
class StageFigures:
    """One stage. found in EDR ranges; uncertain windows count as not called.

    alarms_per_hour: times that turbulence begins to be reported in calm air, per hour of it; None without.
    factor_68, factor_90: the reported EDR is within this factor of the truth, from EDR 0.15 up; None without EDR.
    """

    calm_called: Share
    moderate_found: Share
    strong_found: Share
    alarms_per_hour: float | None
    factor_68: float | None
    factor_90: float | None


@dataclass(frozen=True)
class SimulatedAir:
    """All figures. uncertain: by range of EDR, after the filter. onset: seconds from the step to the report.

    onset_missed: steps up that were never reported while they lasted.
    """

    flights: int
    windows: int
    stages: dict[str, StageFigures]
    uncertain: dict[str, Share]
    onset_median_s: float | None
    onset_90_s: float | None
    onset_missed: Share


@dataclass(frozen=True, eq=False)
class _Flight:
    """Windows of one flight in the air, their true EDR, and the delays of its steps up (None: missed)."""

    windows: Judged
    kept: Bool
    true: F64
    edr: dict[str, F64]
    delays: list[float | None]


def simulated_air(bundle: ModelBundle, logs: Iterable[FlightLog], engine: str = "numpy") -> SimulatedAir:
    """Figures of a bundle on flights with the truth about the air; others are skipped.

    Raises SpecError for a bundle without the label turbulence, or an unknown engine.
    """
    classifier = bundle.classifier(engine)
    turbulence_index(bundle.spec)
    judged_flights = (_judge(classifier, log) for log in logs)
    flights = [flight for flight in judged_flights if flight is not None]
    hop_s = bundle.spec.hop / bundle.spec.rate_hz
    delays = [delay for flight in flights for delay in flight.delays]
    known = [delay for delay in delays if delay is not None]
    return SimulatedAir(
        flights=len(flights),
        windows=sum(int(flight.kept.sum()) for flight in flights),
        stages={stage: _figures(flights, stage, turbulence_index(bundle.spec), hop_s) for stage in STAGES},
        uncertain=_uncertain(flights),
        onset_median_s=float(np.median(known)) if known else None,
        onset_90_s=float(np.quantile(known, 0.9)) if known else None,
        onset_missed=Share(len(delays) - len(known), len(delays)),
    )


def _judge(classifier: Classifier, log: FlightLog) -> _Flight | None:
    if log.reference is None or not np.isfinite(log.reference.edr_m23_s).any():
        return None
    spec = classifier.spec
    result = classifier.classify(log)
    windows = judged(result, spec)
    middle = windows.start_us + (windows.end_us - windows.start_us) // np.uint64(2)
    true = reference_at(log, "edr_m23_s", middle).astype(np.float64)
    kept = np.isfinite(true) & ~_on_ground(result, log, windows)
    edr = {"alone": windows.edr_m23_s, "filtered": result.edr_m23_s.astype(np.float64)}
    return _Flight(windows, kept, true, edr, _delays(log, windows, kept, spec))


def _on_ground(result: Classification, log: FlightLog, windows: Judged) -> Bool:
    """By the decision's reason, and for specs without it by the reference at either end."""
    ground = [reference_at(log, "airborne", at) == 0 for at in (windows.start_us, windows.end_us)]
    return np.asarray((result.reasons & Reason.ON_GROUND != 0) | ground[0] | ground[1], np.bool_)


def _delays(log: FlightLog, windows: Judged, kept: Bool, spec: PipelineSpec) -> list[float | None]:
    """Of each step up: seconds until the first decision that reports turbulence, None when it ends before."""
    assert log.reference is not None
    called = windows.filtered.index == turbulence_index(spec)
    end = windows.end_us.astype(np.int64)
    delays: list[float | None] = []
    for start_us, until_us in steps_up(log.reference.timestamp_us.astype(np.int64), log.reference.edr_m23_s):
        inside = kept & (end >= start_us) & (end < until_us)
        if not (kept & (end < start_us)).any() or not inside.any():
            continue  # not in the air before, or not judged at all
        found = np.flatnonzero(inside & called)
        delays.append((int(end[found[0]]) - start_us) / US_PER_S if len(found) else None)
    return delays


def steps_up(time_us: np.ndarray, edr: np.ndarray) -> list[tuple[int, int]]:
    """(time at which EDR reaches TURBULENT_EDR, time at which it is below again) of each step from calm air."""
    order = np.argsort(time_us, kind="stable")
    time, edr = time_us[order], edr[order]
    high = np.concatenate([[False], edr >= TURBULENT_EDR, [False]])
    rises, falls = np.flatnonzero(high[1:] & ~high[:-1]), np.flatnonzero(high[:-1] & ~high[1:])
    steps = []
    for rise, fall in zip(rises.tolist(), falls.tolist(), strict=True):
        before = (time < time[rise]) & (time >= time[rise] - RISE_US)
        until = int(time[fall]) if fall < len(time) else int(time[-1]) + 1
        if (edr[before] <= CALM_EDR).any() and until - int(time[rise]) >= HELD_US:
            steps.append((int(time[rise]), until))
    return steps


def _figures(flights: Sequence[_Flight], stage: str, turbulence: int, hop_s: float) -> StageFigures:
    called, true, edr = _joined(flights, stage, turbulence)
    strong = (true >= FACTOR_FROM_EDR) & np.isfinite(edr)
    factor = np.exp(np.abs(np.log(np.maximum(edr[strong], 1e-4) / true[strong])))
    alarms = sum(_alarms(flight, stage, turbulence) for flight in flights)
    calm_h = int((true <= CALM_EDR).sum()) * hop_s / 3600.0
    return StageFigures(
        calm_called=share(called[true <= CALM_EDR]),
        moderate_found=share(called[(true >= MODERATE_EDR[0]) & (true < MODERATE_EDR[1])]),
        strong_found=share(called[(true >= STRONG_EDR[0]) & (true <= STRONG_EDR[1])]),
        alarms_per_hour=alarms / calm_h if calm_h else None,
        factor_68=float(np.quantile(factor, 0.68)) if len(factor) else None,
        factor_90=float(np.quantile(factor, 0.90)) if len(factor) else None,
    )


def _joined(flights: Sequence[_Flight], stage: str, turbulence: int) -> tuple[Bool, F64, F64]:
    """Called turbulence, true EDR and reported EDR of all windows in the air."""
    rows = [
        ((f.windows.stage(stage).index == turbulence)[f.kept], f.true[f.kept], f.edr[stage][f.kept]) for f in flights
    ]
    if not rows:
        return np.zeros(0, np.bool_), np.zeros(0), np.zeros(0)
    called, true, edr = (np.concatenate(column) for column in zip(*rows, strict=True))
    return called, true, edr


def _alarms(flight: _Flight, stage: str, turbulence: int) -> int:
    """Windows in calm air that report turbulence when the one before did not."""
    called = flight.windows.stage(stage).index == turbulence
    begins = called & ~np.concatenate([[False], called[:-1]])
    return int((begins & flight.kept & (flight.true <= CALM_EDR)).sum())


def _uncertain(flights: Sequence[_Flight]) -> dict[str, Share]:
    called, true, _ = _joined(flights, "filtered", UNCERTAIN)
    ranges = {"calm": (0.0, CALM_EDR), "moderate": MODERATE_EDR, "strong": STRONG_EDR}
    return {name: share(called[(true >= low) & (true <= high)]) for name, (low, high) in ranges.items()}


def as_lines(result: SimulatedAir) -> str:
    """The figures as a Markdown table and two lines."""
    names = ("by", "called turbulence at EDR ≤ 0.10", "found at 0.2–0.3", "found at 0.3–0.9", "alarms an hour")
    rows = [f"| {' | '.join(names)} | EDR within, 68 / 90 % |", "|---|---|---|---|---|---|"]
    for name, figures in zip(("window", "filter"), result.stages.values(), strict=True):
        alarms = "–" if figures.alarms_per_hour is None else f"{figures.alarms_per_hour:.1f}"
        factor = "–"
        if figures.factor_68 is not None and figures.factor_90 is not None:
            factor = f"×{figures.factor_68:.2f} / ×{figures.factor_90:.2f}"
        found = f"{figures.calm_called} | {figures.moderate_found} | {figures.strong_found}"
        rows.append(f"| {name} | {found} | {alarms} | {factor} |")
    uncertain = ", ".join(f"{name} {value}" for name, value in result.uncertain.items())
    onset = "none"
    if result.onset_median_s is not None:
        onset = f"median {result.onset_median_s:.1f} s, 90 % {result.onset_90_s:.1f} s"
    onset += f", missed {result.onset_missed}"
    return "\n".join([*rows, "", f"Uncertain: {uncertain}.", f"Onset of steps up: {onset}."])
