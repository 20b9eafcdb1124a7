"""A bundle on every recording of a folder: air by vehicle, vertical motion by log, and logs whose air is not known."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.quality.air_figures import LogAir, Share, VehicleAir, log_air, share, vehicle_air
from px4_tinyml.quality.air_truth import Stretch
from px4_tinyml.quality.judged import STAGES, Judged, judged, turbulence_index
from px4_tinyml.quality.motion import LogMotion, MotionRow, log_motion, motion_rows
from px4_tinyml.quality.recordings import recordings
from px4_tinyml.signal.decision import UNCERTAIN

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnknownAir:
    """A log without truth about the air. uncertain: after the filter, by reason and in "total"."""

    name: str
    windows: int
    turbulence_alone: Share
    turbulence_filtered: Share
    uncertain: dict[str, Share]


@dataclass(frozen=True)
class Tables:
    """All figures at one rate. rate_hz: None for the recordings as they are. no_window: logs without any window."""

    rate_hz: float | None
    vehicles: list[VehicleAir]
    motion: list[MotionRow]
    unknown_air: list[UnknownAir]
    no_window: list[str]


@dataclass(frozen=True)
class RealAir:
    """A bundle on a folder of recordings. unusable: the reason by file."""

    spec_hash: str
    model_sha256: str
    engine: str
    tables: list[Tables]
    unusable: dict[str, str]


def judge(
    bundle: ModelBundle,
    folders: Sequence[tuple[Path, Sequence[Stretch]]],
    *,
    engine: str = "numpy",
    rates_hz: Iterable[float] = (),
) -> RealAir:
    """Figures of a bundle on folders of recordings, each with its truth (empty where the air is not known).

    rates_hz: also for copies decimated to these rates. Raises SpecError for a bundle without the label turbulence, or
    an unknown engine; LogError for a folder without a log.
    """
    spec, classifier = bundle.spec, bundle.classifier(engine)
    turbulence = turbulence_index(spec)
    unusable: dict[str, str] = {}
    judged_at: dict[float | None, list[_JudgedLog]] = {None: [], **{rate: [] for rate in rates_hz}}
    for folder, truth in folders:
        for flight in recordings(folder, truth, unusable):
            for rate, results in judged_at.items():
                copy = flight if rate is None else flight.thinned(rate)
                if copy is not None:
                    windows = judged(classifier.classify(copy.log), spec)
                    motion = log_motion(copy.name, copy.folder, copy.log, windows, spec)
                    results.append(_JudgedLog(copy.name, copy.stretches, copy.first_us, windows, motion))
            log.debug("%s: %d windows", flight.name, len(judged_at[None][-1].windows))
    tables = [_tables(results, turbulence, rate) for rate, results in judged_at.items()]
    return RealAir(spec.hash, bundle.sha256, engine, tables, unusable)


@dataclass(frozen=True, eq=False)
class _JudgedLog:
    """What is kept of a recording: its samples are not."""

    name: str
    stretches: tuple[Stretch, ...]
    first_us: int
    windows: Judged
    motion: LogMotion | None


def _tables(logs: Sequence[_JudgedLog], turbulence: int, rate_hz: float | None) -> Tables:
    known: dict[str, list[LogAir]] = {}
    for each in logs:
        if each.stretches:
            air = log_air(each.name, each.windows, each.stretches, each.first_us)
            known.setdefault(air.vehicle, []).append(air)
    others = [each for each in logs if not each.stretches]
    return Tables(
        rate_hz=rate_hz,
        vehicles=[vehicle_air(members, turbulence, STAGES) for members in known.values()],
        motion=motion_rows([each.motion for each in logs if each.motion is not None]),
        unknown_air=[_unknown_air(each.name, each.windows, turbulence) for each in others if len(each.windows)],
        no_window=[each.name for each in others if not len(each.windows)],
    )


def _unknown_air(name: str, windows: Judged, turbulence: int) -> UnknownAir:
    after = windows.filtered
    masks = {"total": np.asarray(after.index == UNCERTAIN), **after.reasons}
    return UnknownAir(
        name=name,
        windows=len(windows),
        turbulence_alone=share(windows.alone.index == turbulence),
        turbulence_filtered=share(after.index == turbulence),
        uncertain={reason: share(mask) for reason, mask in masks.items()},
    )
