"""`make pretrained DATA=DIR`, first step: the recordings of DIR that may serve as backgrounds of the shipped model.

    python benchmarks/pretrained_backgrounds.py DIR OUT

By rule: manifest.csv and air/manifest.csv of DIR state a licence that allows it (LICENCES); a multirotor that flew,
with at least MIN_HZ of IMU samples; not a stretch that truth.csv calls turbulent. OUT gets links to ULogs, others as
ULogs, labels.csv with the stretches left out, and backgrounds.csv with source, licence and vehicle of each recording.
A recording that does not state when it was landed is landed where it turns less than STILL_RAD_S over STILL_S.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from px4_tinyml.errors import DatasetError, LogError, Px4TinymlError
from px4_tinyml.flight_log import F64, FlightLog, ImuSeries
from px4_tinyml.logs import read_log
from px4_tinyml.logs.ulog import topics
from px4_tinyml.logs.ulog.ulog_writer import ULogWriter
from px4_tinyml.quality.air_truth import TURBULENT, Stretch, read_truth

LICENCES = ("MIT", "BSD", "CC-BY", "CC0", "Apache")
"""Beginnings of the manifests' `licence` that allow training a model that ships."""
COLUMNS = ("file", "licence", "source_repo", "commit", "vehicle")
"""Of a manifest, at least."""
MIN_HZ = 20.0
STILL_RAD_S, STILL_S = 0.02, 5.0
KNOWN = {"ulg/frrs_ekf_failure.ulg": (60.0, None, "its estimator diverges, then it crashes")}
"""Stretches left out by hand: start and end in seconds, and why."""
INERTIALNAV_COLUMNS = 8
"""Of IMU.txt in an InertialNav archive: row, time in ms, gyro in rad/s (3), specific force in m/s² (3), FRD."""


def main() -> int:
    """Write OUT; 1 when nothing of DIR may be used."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DIR")
    parser.add_argument("out", type=Path, metavar="OUT")
    args = parser.parse_args()
    try:
        return _collect(args.data, args.out)
    except Px4TinymlError as error:
        print(f"pretrained_backgrounds.py: {error}", file=sys.stderr)
        return error.exit_code


def _collect(data: Path, out: Path) -> int:
    manifest = list(_manifest(data))
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    truth = read_truth(data / "truth.csv", data) if (data / "truth.csv").exists() else ()
    used, spans = [], []
    for file, row in manifest:
        if not row["licence"].startswith(LICENCES):
            continue
        for number, log in enumerate(_usable(data, file)):
            name = f"{Path(file).stem}{f'_{number}' if number else ''}.ulg"
            if file.endswith(".ulg"):
                (out / name).symlink_to((data / file).resolve())
            else:
                _write_ulog(log, out / name)
            used.append({"file": file, "licence": row["licence"], "source": row["source_repo"],
                         "commit": row["commit"], "vehicle": row["vehicle"]})  # fmt: skip
            spans += _left_out(name, file, truth)
    _write(out / "backgrounds.csv", ("file", "licence", "source", "commit", "vehicle"), used)
    _write(out / "labels.csv", ("file", "start_s", "end_s", "label"), spans)
    print(f"{len(used)} recordings of {data} serve as backgrounds: {out / 'backgrounds.csv'}")
    return 0 if used else 1


def _manifest(data: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(file relative to DIR, row) of both manifests. Raises DatasetError without any, or without COLUMNS."""
    paths = {folder: data / folder / "manifest.csv" for folder in ("", "air/")}
    if not any(path.exists() for path in paths.values()):
        raise DatasetError(
            f"{paths['']} not found: one row a recording expected, with the columns {', '.join(COLUMNS)} "
            "(docs/model_card.md)"
        )
    for folder, path in paths.items():
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = csv.DictReader(file)
                missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
                if missing:
                    raise DatasetError(f"{path}: no column {', '.join(missing)} (docs/model_card.md)")
                for row in rows:
                    if "sim" not in (row.get("sim_or_real") or "real"):
                        yield f"{folder}{row['file']}", row


def _usable(data: Path, file: str) -> list[FlightLog]:
    """The recordings of a file that are of a multirotor which flew, or none with a line that says why."""
    path = data / file
    try:
        logs = [_inertialnav(path)] if path.suffix == ".zip" else _read(path, data)
    except Px4TinymlError as error:
        print(f"not used: {file}: {str(error).removeprefix(f'{path}: ')[:90]}")
        return []
    for log in logs:
        known = log.reference is not None and bool((log.reference.airborne >= 0).any())
        flew = bool((log.reference.airborne == 1).any()) if log.reference is not None and known else True
        why = ("on the ground" if not flew else f"{log.vehicle_class}" if log.vehicle_class not in
               ("multirotor", "unknown") else f"IMU at {log.imu.rate_hz:.0f} Hz" if log.imu.rate_hz < MIN_HZ
               else "a capture by hand" if log.complete else "")  # fmt: skip
        if why:
            print(f"not used: {file}: {why}")
            return []
    return logs


def _read(path: Path, data: Path) -> list[FlightLog]:
    """A log, with the first column map of DIR that fits a CSV."""
    error: Exception = LogError(f"{path}: no column map fits")
    for columns in [None] if path.suffix != ".csv" else [None, *sorted(data.glob("**/*.toml"))]:
        try:
            return read_log(path, columns)
        except Px4TinymlError as failed:
            error = failed
    raise error


def _inertialnav(path: Path) -> FlightLog:
    """The IMU of an archive of priseborough/InertialNav."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.endswith("IMU.txt"))
            rows = np.loadtxt(io.BytesIO(archive.read(name)), ndmin=2)
    except (zipfile.BadZipFile, StopIteration, ValueError) as error:
        raise LogError(f"{path}: no IMU.txt of InertialNav found ({error})") from error
    if rows.shape[1] != INERTIALNAV_COLUMNS:
        raise LogError(f"{path}: {rows.shape[1]} columns found, {INERTIALNAV_COLUMNS} expected")
    imu = ImuSeries((rows[:, 1] * 1000.0).astype(np.uint64), rows[:, 5:8], rows[:, 2:5])
    return FlightLog(str(path), "0" * 64, "csv", f"inertialnav {path.stem[:5]}", imu)


def _write_ulog(log: FlightLog, path: Path) -> None:
    """IMU, barometer and landed state of a recording as a ULog of a quadrotor."""
    time = log.imu.timestamp_us.astype(np.int64)
    time = np.maximum.accumulate(time) - int(time.min()) + 1_000_000
    writer = ULogWriter(int(time[0]))
    writer.info("ver_hw", log.vehicle)
    writer.parameter("MAV_TYPE", topics.MAV_TYPE_QUADROTOR)
    writer.topic(
        "sensor_combined", topics.FORMATS["sensor_combined"],
        {"timestamp": time, "accelerometer_m_s2": log.imu.accel_m_s2, "gyro_rad": log.imu.gyro_rad_s},
    )  # fmt: skip
    still = _still(log.imu)
    change = np.flatnonzero(np.diff(still.astype(np.int8), prepend=-1))
    fields = {"timestamp": time[change], "landed": still[change]}
    writer.topic("vehicle_land_detected", topics.FORMATS["vehicle_land_detected"], fields)
    writer.save(path)


def _still(imu: ImuSeries) -> F64:
    """Whether the vehicle turns less than STILL_RAD_S over the STILL_S around each sample."""
    time = imu.timestamp_us.astype(np.float64) / 1e6
    power = np.concatenate([[0.0], np.cumsum((imu.gyro_rad_s.astype(np.float64) ** 2).sum(axis=1))])
    low, high = np.searchsorted(time, time - STILL_S / 2), np.searchsorted(time, time + STILL_S / 2)
    still: F64 = np.sqrt((power[high] - power[low]) / np.maximum(high - low, 1)) < STILL_RAD_S
    return still


def _left_out(name: str, file: str, truth: Sequence[Stretch]) -> list[dict[str, object]]:
    """Rows of labels.csv for the stretches of a recording that are no background."""
    spans = [(row.start_s, row.end_s) for row in truth if row.file == file and row.air == TURBULENT]
    if file in KNOWN:
        start, end, why = KNOWN[file]
        print(f"left out: {file} from {start:.0f} s: {why}")
        spans.append((start, end))
    return [{"file": name, "start_s": a, "end_s": "" if b is None else b, "label": "exclude"} for a, b in spans]


def _write(path: Path, columns: tuple[str, ...], rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
