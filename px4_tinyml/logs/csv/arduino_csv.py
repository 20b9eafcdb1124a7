"""CSV of the Arduino gesture tutorial: captures of 119 rows at 119 Hz, in g and °/s, no times.

Each capture is a recording of its own. Its samples are placed in the middle of 119 Hz slots (the `arduino119` preset),
ten seconds apart, so that a capture is exactly one window.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from px4_tinyml.errors import LogError
from px4_tinyml.flight_log import F64, FlightLog, LabelSpan
from px4_tinyml.logs.checks import imu_series
from px4_tinyml.logs.csv.csv_table import header_line, numbers, text_lines
from px4_tinyml.units import RAD_PER_DEG, STANDARD_GRAVITY_M_S2, US_PER_S

HEADER = ["aX", "aY", "aZ", "gX", "gY", "gZ"]
ROWS = 119
RATE_HZ = 119
CAPTURE_SPACING_S = 10
BOARD_TO_FRD = np.array([1.0, 1.0, -1.0])
"""Nano 33 BLE flat, components up, its X axis forward: aZ reads +1 g. The LSM9DS1's axes are a left-handed
triad (X forward, Y right, Z up) with each rate right-handed about its axis, so that one sign per axis turns
both sensors into FRD. The captures confirm it: integrated rates predict the turn of the gravity vector
best with this sign (docs/logs.md)."""


def is_arduino_csv(head: bytes) -> bool:
    """Whether a file starts with the header of the captures."""
    return header_line(head).replace(" ", "").split(",") == HEADER


def read_arduino_csv(path: Path, data: bytes, sha256: str) -> list[FlightLog]:
    """One FlightLog for each capture, "path#0", "path#1", …; an incomplete one is not `complete`."""
    captures = _captures(text_lines(data, str(path)), str(path))
    if not captures:
        raise LogError(f"{path}: the header of an Arduino capture but no rows; {ROWS} rows a capture expected")
    label = path.stem.rsplit("_", 1)[-1]
    return [_flight_log(path, sha256, n, rows, label) for n, rows in enumerate(captures)]


def _captures(lines: list[str], where: str) -> list[F64]:
    """Rows up to a blank line, and at most ROWS of them."""
    groups: list[tuple[int, list[str]]] = []
    fresh = True
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip() or line.strip().split(",") == HEADER:
            fresh = True
            continue
        if fresh or len(groups[-1][1]) == ROWS:
            groups.append((number, []))
            fresh = False
        groups[-1][1].append(line)
    return [numbers(rows, len(HEADER), ",", where, first) for first, rows in groups]


def _flight_log(path: Path, sha256: str, capture: int, rows: F64, label: str) -> FlightLog:
    # Never in slot 0: the signal path adds one sample before a complete capture.
    slot = (capture + 1) * CAPTURE_SPACING_S * RATE_HZ + np.arange(len(rows) + 1)
    start_us = -(-slot * US_PER_S // RATE_HZ)
    time_us = (start_us[:-1] + US_PER_S // (2 * RATE_HZ)).astype(np.uint64)
    warnings: list[str] = []
    if len(rows) != ROWS:
        warnings.append(f"incomplete capture: {len(rows)} rows found, {ROWS} expected; not used as a complete one")
    accel = rows[:, :3] * STANDARD_GRAVITY_M_S2 * BOARD_TO_FRD
    imu, gaps = imu_series(time_us, accel, rows[:, 3:] * RAD_PER_DEG * BOARD_TO_FRD, warnings)
    return FlightLog(
        source=f"{path}#{capture}",
        sha256=sha256,
        kind="arduino_csv",
        vehicle="Arduino Nano 33 BLE",
        imu=imu,
        labels=(LabelSpan(int(start_us[0]), int(start_us[-1]), label, "file"),),
        gaps=gaps,
        warnings=tuple(warnings),
        complete=len(imu) == ROWS,
        info={
            "firmware": "Arduino sketch",
            "hardware": "Nano 33 BLE (LSM9DS1)",
            "topics": {"captures": 1},
            "imu_source": ",".join(HEADER),
        },
    )
