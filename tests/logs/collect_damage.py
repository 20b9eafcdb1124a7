"""What "no wrong data without a warning" means, as code.

ULog and dataflash have no checksums. A flip inside a payload gives another plausible value and nobody can tell;
what one flip must never do is change anything besides the one message it hit, unless a warning says so. A cut
must give an exact beginning of what the whole file gives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import FlightLog


def _rows(log: FlightLog) -> dict[str, NDArray[np.float64]]:
    """Series of a log as tables of numbers, time first."""
    imu = np.column_stack([log.imu.timestamp_us.astype(np.float64), log.imu.accel_m_s2, log.imu.gyro_rad_s])
    tables = {"imu": imu}
    if log.baro is not None:
        tables["baro"] = np.column_stack([log.baro.timestamp_us.astype(np.float64), log.baro.altitude_m])
    return tables


def changed_rows(whole: NDArray[np.float64], other: NDArray[np.float64]) -> int:
    """Rows in the middle that differ: what is left when equal rows at the start and the end are taken off."""
    n = min(len(whole), len(other))
    same = (whole[:n] == other[:n]).all(axis=1)
    head = n if same.all() else int(np.argmin(same))
    same = (whole[::-1][: n - head] == other[::-1][: n - head]).all(axis=1)
    tail = len(same) if same.all() else int(np.argmin(same))
    return max(len(whole), len(other)) - head - tail


def problem_of_flip(whole: FlightLog, flipped: FlightLog) -> str | None:
    """What one silent flip changed beyond the message it hit; None when all is well."""
    if set(flipped.warnings) - set(whole.warnings):
        return None
    before, after = _rows(whole), _rows(flipped)
    if before.keys() != after.keys():
        return f"series {sorted(before.keys() ^ after.keys())} appeared or vanished silently"
    changed = {name: changed_rows(before[name], after[name]) for name in before}
    # One message can hold an IMU and a barometer sample; moved to another topic it is missing in one series
    # and too many in the other. A changed time also exchanges neighbours.
    if any(rows > 1 for rows in changed.values()):
        return f"rows changed silently: {changed}"
    return _reference_problem(whole, flipped)


def _reference_problem(whole: FlightLog, flipped: FlightLog) -> str | None:
    a, b = whole.reference, flipped.reference
    if (a is None) != (b is None):
        return "the reference appeared or vanished silently"
    if a is None or b is None:
        return None
    if changed_rows(a.timestamp_us.astype(np.float64)[:, None], b.timestamp_us.astype(np.float64)[:, None]) > 1:
        return "reference times changed silently"
    if len(a) != len(b):
        return None
    speed = ~(
        (a.velocity_down_m_s == b.velocity_down_m_s) | (np.isnan(a.velocity_down_m_s) & np.isnan(b.velocity_down_m_s))
    )
    if speed.sum() > 1:
        return f"{int(speed.sum())} vertical speeds changed silently"
    for name in ("airborne", "armed"):
        different = np.flatnonzero(getattr(a, name) != getattr(b, name))
        if len(different) and different[-1] - different[0] + 1 != len(different):
            return f"{name} changed silently in more than one place"
    return None


def problem_of_cut(whole: FlightLog, cut: FlightLog) -> str | None:
    """What in a cut log is not a beginning of the whole; None when all is well."""
    before, after = _rows(whole), _rows(cut)
    for name, table in after.items():
        if (
            name not in before
            or len(table) > len(before[name])
            or not np.array_equal(table, before[name][: len(table)])
        ):
            return f"{name} is not a beginning of the whole log's"
    a, b = whole.reference, cut.reference
    if b is None:
        return None
    if cut.info["velocity_source"] is None:  # cut before the first one: its reference has another time base
        return None if np.isnan(b.velocity_down_m_s).all() else "vertical speeds without a source"
    if a is None or len(b) > len(a) or not np.array_equal(b.timestamp_us, a.timestamp_us[: len(b)]):
        return "the reference is not a beginning of the whole log's"
    for name in ("airborne", "armed"):
        before_cut, found = getattr(a, name)[: len(b)], getattr(b, name)
        known = (before_cut >= 0) & (found >= 0)  # without its later events a log may know less, or guess
        if not np.array_equal(before_cut[known], found[known]):
            return f"{name} contradicts the whole log's"
    # Trust in a vertical speed also comes from what follows: only where both trust it must they agree.
    both = np.isfinite(a.velocity_down_m_s[: len(b)]) & np.isfinite(b.velocity_down_m_s)
    if not np.array_equal(a.velocity_down_m_s[: len(b)][both], b.velocity_down_m_s[both]):
        return "vertical speeds differ from the whole log's"
    return None
