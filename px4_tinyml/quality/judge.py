"""A bundle on every recording of a folder: air by vehicle, vertical motion by log, and logs whose air is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.progress import progress
from px4_tinyml.quality.air_figures import LogAir, Share, VehicleAir, log_air, share, vehicle_air
from px4_tinyml.quality.air_truth import Stretch
from px4_tinyml.quality.judged import STAGES, Judged, judged, turbulence_index
from px4_tinyml.quality.motion import LogMotion, MotionRow, log_motion, motion_rows
from px4_tinyml.quality.recordings import RealFlight, recordings
from px4_tinyml.signal.decision import UNCERTAIN


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
    turbulence_index(bundle.spec)
    unusable: dict[str, str] = {}
    found = [each for folder, truth in folders for each in recordings(folder, truth, unusable)]
    copies = {rate: [each.thinned(rate) for each in found] for rate in rates_hz}
    thinned = {rate: [copy for copy in each if copy is not None] for rate, each in copies.items()}
    tables = [_tables(bundle, engine, found, None)]
    tables += [_tables(bundle, engine, logs, rate) for rate, logs in thinned.items()]
    return RealAir(bundle.spec.hash, bundle.sha256, engine, tables, unusable)


def _tables(bundle: ModelBundle, engine: str, logs: Sequence[RealFlight], rate_hz: float | None) -> Tables:
    spec, classifier = bundle.spec, bundle.classifier(engine)
    turbulence = turbulence_index(spec)
    known: dict[str, list[LogAir]] = {}
    motion: list[LogMotion] = []
    unknown: list[UnknownAir] = []
    no_window: list[str] = []
    for each in progress(logs, "classifying", unit="log"):
        windows = judged(classifier.classify(each.log), spec)
        if each.stretches:
            air = log_air(each.name, windows, each.stretches, each.first_us)
            known.setdefault(air.vehicle, []).append(air)
        elif len(windows):
            unknown.append(_unknown_air(each.name, windows, turbulence))
        else:
            no_window.append(each.name)
        moved = log_motion(each.name, each.folder, each.log, windows, spec)
        if moved is not None:
            motion.append(moved)
    vehicles = [vehicle_air(members, turbulence, STAGES) for members in known.values()]
    return Tables(rate_hz, vehicles, motion_rows(motion), unknown, no_window)


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
