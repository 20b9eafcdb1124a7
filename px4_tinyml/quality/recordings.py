"""Every recording of a folder that can be classified, with its stretches of known air."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from px4_tinyml.errors import LogError, SpecError
from px4_tinyml.flight_log import I64, FlightLog, ImuSeries
from px4_tinyml.logs import find_logs, read_log
from px4_tinyml.quality.air_truth import Stretch
from px4_tinyml.signal.decimate import thinned

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class RealFlight:
    """One recording. name: its path within the folder; stretches: empty where the air is not known.

    first_us: time of the first IMU sample of the file, from which stretches count.
    """

    name: str
    folder: str
    log: FlightLog
    stretches: tuple[Stretch, ...]
    first_us: int

    def thinned(self, rate_hz: float) -> RealFlight | None:
        """The recording decimated without a filter; None when it is not fast enough."""
        copy = thinned(self.log, rate_hz)
        return None if copy is None else replace(self, log=copy)


def recordings(folder: Path, truth: Sequence[Stretch], unusable: dict[str, str]) -> Iterator[RealFlight]:
    """The usable recordings of a folder (or one file), file by file. `unusable` receives the others and their reasons.

    A CSV file of unknown kind is read by the column map of its truth, else by the first map of the folder that fits.
    The captures of an Arduino file are joined to one stream.
    """
    rows: dict[Path, list[Stretch]] = {}
    for stretch in truth:
        rows.setdefault(folder / stretch.file, []).append(stretch)
    base = folder if folder.is_dir() else folder.parent
    maps = sorted(folder.rglob("*.toml"))
    for path in find_logs([folder, *rows]):
        mine = rows.get(path, [])
        name = path.relative_to(base).as_posix()
        given = [folder / mine[0].columns] if mine and mine[0].columns else maps
        try:
            logs = _read(path, given)
        except LogError as error:
            unusable[name] = str(error).removeprefix(f"{path}: ")
            continue
        for each in logs:
            if len(each.imu):
                part = each.source.removeprefix(str(path))
                first_us = int(each.imu.timestamp_us.min())
                yield RealFlight(name + part, str(Path(name).parent.as_posix()), each, tuple(mine), first_us)


def _read(path: Path, maps: Sequence[Path]) -> list[FlightLog]:
    try:
        logs = read_log(path)
    except LogError:
        if path.suffix.lower() != ".csv":
            raise
        logs = _read_by_a_map(path, maps)
    captures = len(logs) > 1 and all(each.kind == "arduino_csv" for each in logs)
    return [joined(logs, str(path))] if captures else logs


def _read_by_a_map(path: Path, maps: Sequence[Path]) -> list[FlightLog]:
    for columns in maps:
        try:
            return read_log(path, columns)
        except SpecError as error:  # another file's map
            log.debug("%s", error)
    raise LogError(f"{path}: a CSV of unknown kind, and none of {len(maps)} column maps fits")


def joined(logs: Sequence[FlightLog], source: str) -> FlightLog:
    """Captures as one stream: each begins one sample after the one before it ends. Without labels and barometer."""
    period = round(1e6 / logs[0].imu.rate_hz)
    times: list[I64] = []
    for each in logs:
        time = each.imu.timestamp_us.astype(np.int64)
        shift = int(times[-1][-1]) + period - int(time[0]) if times else 0
        times.append(time + shift)
    imu = ImuSeries(
        np.concatenate(times).astype(np.uint64),
        np.concatenate([each.imu.accel_m_s2 for each in logs]),
        np.concatenate([each.imu.gyro_rad_s for each in logs]),
    )
    info = MappingProxyType({**logs[0].info, "joined": len(logs)})
    return replace(logs[0], source=source, imu=imu, labels=(), gaps=(), warnings=(), complete=False, info=info)
