"""Turbulence against recordings whose air is known, by vehicle. Vehicles are never pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import F64, I32, Bool
from px4_tinyml.quality.air_truth import (
    AIR,
    CALM,
    MANOEUVRE,
    TURBULENT,
    TURBULENT_US,
    Stretch,
    air_of_windows,
    overlap_us,
)
from px4_tinyml.quality.judged import Judged
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.units import US_PER_S


@dataclass(frozen=True)
class Share:
    """A rate with its counts."""

    count: int
    of: int

    @property
    def rate(self) -> float | None:
        """0…1; None of nothing."""
        return self.count / self.of if self.of else None

    def __str__(self) -> str:
        return f"{self.count / self.of:.2f} ({self.count}/{self.of})" if self.of else "–"


def share(mask: NDArray[np.bool_]) -> Share:
    """How many of these are true."""
    return Share(int(mask.sum()), len(mask))


@dataclass(frozen=True, eq=False)
class LogAir:
    """One recording with known air.

    air[W]: index into AIR of each window, or LEFT_OUT. first_us: time of its first IMU sample.
    """

    name: str
    vehicle: str
    windows: Judged
    air: I32
    stretches: tuple[Stretch, ...]
    first_us: int


def log_air(name: str, windows: Judged, stretches: Sequence[Stretch], first_us: int) -> LogAir:
    """A recording with its stretches."""
    air = air_of_windows(windows.start_us, windows.end_us, stretches, first_us)
    return LogAir(name, stretches[0].vehicle, windows, air, tuple(stretches), first_us)


@dataclass(frozen=True)
class Onset:
    """Seconds from the start of a turbulent stretch to the end of the first window that reports turbulence.

    median_s, max_s: None when no stretch was found. missed: of all turbulent stretches with a window.
    """

    median_s: float | None
    max_s: float | None
    missed: Share


@dataclass(frozen=True)
class AirFigures:
    """One vehicle at one stage. `uncertain` is not turbulence: it counts as missed in `turbulent_found`.

    stretches_reporting: by kind, the stretches in which any window reports turbulence. uncertain: by "calm" and "all"
    (left-out windows too), by reason and in total. auc: turbulent against calm, None without both.
    not_scored: turbulent and calm windows that have no score, not in the AUC.
    """

    calm_called: Share
    turbulent_found: Share
    manoeuvre_called: Share
    stretches_reporting: dict[str, Share]
    uncertain: dict[str, dict[str, Share]]
    auc: float | None
    not_scored: int
    onset: Onset


@dataclass(frozen=True)
class VehicleAir:
    """Windows and stretches by kind of air, and the figures by stage. files: as in truth.csv."""

    vehicle: str
    files: list[str]
    logs: int
    windows: dict[str, int]
    left_out: int
    stretches: dict[str, int]
    stages: dict[str, AirFigures]


def vehicle_air(logs: Sequence[LogAir], turbulence: int, stages: Sequence[str]) -> VehicleAir:
    """Figures of the recordings of one vehicle. turbulence: index of this label."""
    air = np.concatenate([log.air for log in logs])
    rows = [stretch for log in logs for stretch in log.stretches]
    return VehicleAir(
        vehicle=logs[0].vehicle,
        files=sorted({row.file for row in rows}),
        logs=len(logs),
        windows={name: int((air == kind).sum()) for kind, name in enumerate(AIR)},
        left_out=int((air < 0).sum()),
        stretches={name: sum(row.air == kind for row in rows) for kind, name in enumerate(AIR)},
        stages={stage: _figures(logs, air, turbulence, stage) for stage in stages},
    )


def _figures(logs: Sequence[LogAir], air: I32, turbulence: int, stage: str) -> AirFigures:
    each = [log.windows.stage(stage) for log in logs]
    index, score = np.concatenate([s.index for s in each]), np.concatenate([s.score for s in each])
    called = index == turbulence
    names = sorted({name for s in each for name in s.reasons})
    reasons = {
        name: np.concatenate([s.reasons.get(name, np.zeros(len(s.index), np.bool_)) for s in each]) for name in names
    }
    masks = {"total": index == UNCERTAIN, **reasons}
    scored = np.isfinite(score)
    reporting, delays = _by_stretch(logs, turbulence, stage)
    return AirFigures(
        calm_called=share(called[air == CALM]),
        turbulent_found=share(called[air == TURBULENT]),
        manoeuvre_called=share(called[air == MANOEUVRE]),
        stretches_reporting=reporting,
        uncertain={
            "calm": {name: share(mask[air == CALM]) for name, mask in masks.items()},
            "all": {name: share(mask) for name, mask in masks.items()},
        },
        auc=auc(score[(air == TURBULENT) & scored], score[(air == CALM) & scored]),
        not_scored=int((~scored & ((air == TURBULENT) | (air == CALM))).sum()),
        onset=_onset(delays),
    )


def _by_stretch(logs: Sequence[LogAir], turbulence: int, stage: str) -> tuple[dict[str, Share], list[float | None]]:
    """Stretches with windows that report turbulence, by kind; delay of each turbulent one, None where it is missed."""
    reporting: dict[str, list[bool]] = {name: [] for name in AIR}
    delays: list[float | None] = []
    for log in logs:
        called = log.windows.stage(stage).index == turbulence
        for stretch in log.stretches:
            inside = windows_of(log, stretch)
            if not inside.any():
                continue
            found = np.flatnonzero(inside & called)
            reporting[AIR[stretch.air]].append(len(found) > 0)
            if stretch.air == TURBULENT:
                start = max(stretch.span_us(log.first_us)[0], log.first_us)
                delays.append((int(log.windows.end_us[found[0]]) - start) / US_PER_S if len(found) else None)
    return {name: Share(sum(flags), len(flags)) for name, flags in reporting.items()}, delays


def windows_of(log: LogAir, stretch: Stretch) -> Bool:
    """The windows of a stretch's kind that lie in it: a turbulent one by TURBULENT_US, others by half a window."""
    windows = log.windows
    inside = overlap_us(windows.start_us, windows.end_us, *stretch.span_us(log.first_us))
    if stretch.air == TURBULENT:
        return np.asarray(inside >= TURBULENT_US)
    length = windows.end_us.astype(np.int64) - windows.start_us.astype(np.int64)
    return np.asarray((log.air == stretch.air) & (2 * inside >= length))


def _onset(delays: Sequence[float | None]) -> Onset:
    known = [delay for delay in delays if delay is not None]
    missed = Share(len(delays) - len(known), len(delays))
    return Onset(float(np.median(known)), max(known), missed) if known else Onset(None, None, missed)


def auc(positive: F64, negative: F64) -> float | None:
    """Probability that a positive has the higher score; ties count half. None where either is empty."""
    if not len(positive) or not len(negative):
        return None
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left") + np.searchsorted(ordered, positive, side="right")
    return float(below.mean() / 2.0 / len(negative))
