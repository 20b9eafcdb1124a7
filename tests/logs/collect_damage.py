"""The rule "no wrong data without a warning", as code.

ULog and dataflash have no checksums. A flip inside a payload that gives another plausible value cannot be detected. But
one flip must never change more than its own message without a warning, and a truncated log must give an exact beginning
of the complete log.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import FlightLog


def _rows(log: FlightLog) -> dict[str, NDArray[np.float64]]:
    """Series of a log as tables of numbers, time first; of the reference the times only."""
    tables = {"imu": np.column_stack([log.imu.timestamp_us.astype(np.float64), log.imu.accel_m_s2, log.imu.gyro_rad_s])}
    if log.baro is not None:
        tables["baro"] = np.column_stack([log.baro.timestamp_us.astype(np.float64), log.baro.altitude_m])
    if log.reference is not None:
        tables["reference"] = log.reference.timestamp_us.astype(np.float64)[:, None]
    return tables


def changed_rows(complete: NDArray[np.float64], other: NDArray[np.float64]) -> int:
    """Number of rows between the equal rows at the start and those at the end."""
    n = min(len(complete), len(other))
    same = (complete[:n] == other[:n]).all(axis=1)
    head = n if same.all() else int(np.argmin(same))
    same = (complete[::-1][: n - head] == other[::-1][: n - head]).all(axis=1)
    tail = len(same) if same.all() else int(np.argmin(same))
    return max(len(complete), len(other)) - head - tail


def problem_of_flip(complete: FlightLog, flipped: FlightLog) -> str | None:
    """The silent change of one flip beyond its own message; None for no such change."""
    if set(flipped.warnings) - set(complete.warnings):
        return None
    before, after = _rows(complete), _rows(flipped)
    if before.keys() != after.keys():
        return f"series {sorted(before.keys() ^ after.keys())} appeared or vanished silently"
    changed = {name: changed_rows(before[name], after[name]) for name in before}
    # One message can hold an IMU and a barometer sample; moved to another topic it is missing in one series
    # and too many in the other. A changed time also exchanges neighbours.
    if any(rows > 1 for rows in changed.values()):
        return f"rows changed silently: {changed}"
    a, b = complete.reference, flipped.reference
    if a is None or b is None or len(a) != len(b):
        return None
    before_flip, found = a.velocity_down_m_s, b.velocity_down_m_s
    speeds = int(((before_flip != found) & ~(np.isnan(before_flip) & np.isnan(found))).sum())
    if speeds > 1:
        return f"{speeds} vertical speeds changed silently"
    for name in ("airborne", "armed"):
        different = np.flatnonzero(getattr(a, name) != getattr(b, name))
        if len(different) and different[-1] - different[0] + 1 != len(different):
            return f"{name} changed silently in more than one place"
    return None


def problem_of_cut(complete: FlightLog, cut: FlightLog) -> str | None:
    """How a truncated log differs from a beginning of the complete one; None when it does not."""
    before, after = _rows(complete), _rows(cut)
    a, b = complete.reference, cut.reference
    if b is not None and cut.info["velocity_source"] is None:  # cut before the first one: the time base is another
        if not np.isnan(b.velocity_down_m_s).all():
            return "vertical speeds without a source"
        del after["reference"]
    for name, table in after.items():
        if name not in before or not np.array_equal(table, before[name][: len(table)]):
            return f"{name} is not a beginning of the complete log's"
    if a is None or b is None or "reference" not in after:
        return None
    for name in ("airborne", "armed"):
        before_cut, found = getattr(a, name)[: len(b)], getattr(b, name)
        known = (before_cut >= 0) & (found >= 0)  # without its later events less is known
        if not np.array_equal(before_cut[known], found[known]):
            return f"{name} contradicts the complete log's"
    # Later samples also decide whether a speed is trusted: compare where both logs trust it.
    both = np.isfinite(a.velocity_down_m_s[: len(b)]) & np.isfinite(b.velocity_down_m_s)
    if not np.array_equal(a.velocity_down_m_s[: len(b)][both], b.velocity_down_m_s[both]):
        return "vertical speeds differ from the complete log's"
    return None
