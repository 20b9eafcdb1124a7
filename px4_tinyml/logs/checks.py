"""The checks of every reader: range, clock, gaps, rate.

Arrays are in arrival order. Impossible samples are dropped and counted. Suspicious samples stay, with a warning. A
clock that runs backwards stays visible: the signal path resets on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import F64, BaroSeries, Bool, Gap, ImuSeries
from px4_tinyml.signal.plausibility import ALTITUDE_RANGE_M, MAX_ACCEL_M_S2, MAX_GYRO_RAD_S, MAX_TIME_US
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.units import STANDARD_GRAVITY_M_S2, US_PER_S, pressure_altitude_m

I64 = NDArray[np.int64]

OUT_OF_RANGE = f"not finite, or beyond {MAX_ACCEL_M_S2:.0f} m/s² or {MAX_GYRO_RAD_S:.0f} rad/s"
HITL_ACCEL_M_S2 = 100.0
ALTITUDE_JUMP_M = 20.0
GAP_US = 100_000
GAP_STEPS = 5.0
"""An IMU gap is longer than GAP_US and than this many typical steps."""


def seconds(time_us: float) -> str:
    """A time for a message, in seconds."""
    return f"{time_us / US_PER_S:.2f} s"


def count(number: int, noun: str) -> str:
    """ "1 sample", "2 samples"."""
    return f"{number} {noun if number == 1 else noun + 's'}"


def last_of(warnings: Sequence[str]) -> str:
    """The last warning in brackets: the likely reason of what follows from it."""
    return f" ({warnings[-1]})" if warnings else ""


def one_letter_off(name: str, others: Iterable[str]) -> str | None:
    """The first of the other names that differs from this name in one letter (damage of one byte)."""
    near = (o for o in others if len(o) == len(name) and sum(a != b for a, b in zip(o, name, strict=True)) == 1)
    return next(near, None)


def outliers(values: NDArray[Any], limit: float) -> Bool:
    """Values further than this from both neighbours, which agree with each other."""
    far = np.zeros(len(values), np.bool_)
    step, over_two = np.abs(np.diff(values)), np.abs(values[2:] - values[:-2])
    far[1:-1] = (step[:-1] > limit) & (step[1:] > limit) & (over_two < limit)
    return far


def backward_steps(time_us: NDArray[Any]) -> I64:
    """Sizes (µs, positive) of a clock's backward steps, in order."""
    step = np.diff(time_us.astype(np.int64))
    return np.asarray(-step[step < 0], dtype=np.int64)


def _warn_dropped(bad: Bool, time_us: I64, what: str, warnings: list[str]) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        warnings.append(f"{count(int(bad.sum()), 'sample')} dropped: {what} (first: number {first} of {len(time_us)})")


def _warn_backwards(time_us: I64, what: str, warnings: list[str]) -> None:
    back = backward_steps(time_us)
    if len(back):
        warnings.append(
            f"clock of the {what} runs backwards {count(len(back), 'time')}, by up to {seconds(back.max())}"
        )


def checked_times(time_us: NDArray[Any], what: str, warnings: list[str]) -> tuple[I64, Bool]:
    """Times as int64, and the samples to keep. Warns about damaged times."""
    times = np.minimum(time_us, np.uint64(2**63 - 1)).astype(np.int64)
    bad = (times < 0) | (times > MAX_TIME_US) | outliers(times, US_PER_S)
    _warn_dropped(bad, times, f"{what} time far from both neighbours", warnings)
    return times, ~bad


def _within(vectors: NDArray[Any], limit: float) -> Bool:
    """Which of N×3 vectors have three finite components within ±limit."""
    with np.errstate(invalid="ignore"):
        inside: Bool = np.less_equal(np.abs(vectors), limit).all(axis=1)
    return inside


def imu_series(
    time_us: NDArray[Any], accel_m_s2: NDArray[Any], gyro_rad_s: NDArray[Any], warnings: list[str]
) -> tuple[ImuSeries, tuple[Gap, ...]]:
    """Checked samples and the gaps between them. Inputs: N times (µs), N×3 FRD m/s² and rad/s."""
    times, keep = checked_times(time_us, "IMU", warnings)
    in_range = _within(accel_m_s2, MAX_ACCEL_M_S2) & _within(gyro_rad_s, MAX_GYRO_RAD_S)
    _warn_dropped(keep & ~in_range, times, OUT_OF_RANGE, warnings)
    keep &= in_range
    imu = ImuSeries(times[keep].astype(np.uint64), accel_m_s2[keep], gyro_rad_s[keep])
    return imu, examine_imu(imu, warnings)


def examine_imu(imu: ImuSeries, warnings: list[str]) -> tuple[Gap, ...]:
    """Warn about suspicious samples. Returns the gaps between samples."""
    _warn_backwards(imu.timestamp_us.astype(np.int64), "IMU", warnings)
    gaps = imu_gaps(imu, warnings)
    _warn_values(imu, warnings)
    return gaps


def imu_gaps(imu: ImuSeries, warnings: list[str]) -> tuple[Gap, ...]:
    """Stretches without IMU samples, far longer than the typical step."""
    if imu.rate_hz == 0.0:
        return ()
    times = imu.timestamp_us.astype(np.int64)
    step = np.diff(times)
    at = np.flatnonzero(step > max(GAP_US, GAP_STEPS * US_PER_S / imu.rate_hz))
    if len(at):
        warnings.append(
            f"{count(len(at), 'gap')} in the IMU, {seconds(float(step[at].sum()))} in all, the longest "
            f"{seconds(step[at].max())} from {seconds(times[at[int(np.argmax(step[at]))]])}"
        )
    return tuple(Gap(int(times[i]), int(times[i + 1]), "no IMU samples") for i in at)


def _warn_values(imu: ImuSeries, warnings: list[str]) -> None:
    if len(imu) < 10:
        return
    force = np.linalg.norm(imu.accel_m_s2.astype(np.float64), axis=1)
    typical = float(np.median(force))
    if not 0.5 * STANDARD_GRAVITY_M_S2 < typical < 2.0 * STANDARD_GRAVITY_M_S2:
        warnings.append(
            f"the accelerometer's median is {typical:.2f} m/s², about 9.8 expected: wrong unit, or not in flight"
        )
    high = int((np.abs(imu.accel_m_s2) > HITL_ACCEL_M_S2).any(axis=1).sum())
    if high:
        peak = float(np.abs(imu.accel_m_s2).max())
        warnings.append(
            f"{count(high, 'sample')} above {HITL_ACCEL_M_S2:.0f} m/s² (up to {peak:.0f}): a crash or a simulation"
        )


def recorded_s(imu: ImuSeries) -> float:
    """Time covered by samples, s: the sum of positive steps without gaps and clock jumps."""
    step = np.diff(imu.timestamp_us.astype(np.int64))
    if not len(step):
        return 0.0
    limit = max(US_PER_S, GAP_STEPS * float(np.median(step)))
    return float(step[(step > 0) & np.less_equal(step, limit)].sum()) / US_PER_S


def mean_rate_hz(imu: ImuSeries) -> float:
    """Samples per second of recorded time."""
    covered = recorded_s(imu)
    return (len(imu) - 1) / covered if covered else 0.0


def rate_warnings(imu: ImuSeries, spec: PipelineSpec, name: str = "the spec") -> list[str]:
    """The warning that an IMU is too slow to give windows; empty when it is fast enough."""
    rate = mean_rate_hz(imu)
    if rate >= spec.min_imu_rate_hz:
        return []
    return [f"IMU at {rate:.1f} Hz: {name} ({spec.rate_hz} Hz slots) needs {spec.min_imu_rate_hz:.0f} Hz or more"]


def baro_series(time_us: NDArray[Any], altitude_m: NDArray[Any], warnings: list[str]) -> BaroSeries | None:
    """Checked barometer samples; None when all are dropped."""
    times, keep = checked_times(time_us, "barometer", warnings)
    altitude: F64 = np.asarray(altitude_m, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        in_range = np.greater_equal(altitude, ALTITUDE_RANGE_M[0]) & np.less_equal(altitude, ALTITUDE_RANGE_M[1])
    _warn_dropped(keep & ~in_range, times, "barometric altitude not finite or out of range", warnings)
    keep &= in_range
    times, altitude = times[keep], altitude[keep]
    spike = outliers(altitude, ALTITUDE_JUMP_M)
    _warn_dropped(spike, times, f"barometer jumps by over {ALTITUDE_JUMP_M:.0f} m and back", warnings)
    if spike.all():
        return None
    baro = BaroSeries(times[~spike].astype(np.uint64), altitude[~spike].astype(np.float32))
    examine_baro(baro, warnings)
    return baro


def examine_baro(baro: BaroSeries, warnings: list[str]) -> None:
    """Warn about suspicious samples."""
    times, altitude = baro.timestamp_us.astype(np.int64), baro.altitude_m
    jump = (np.abs(np.diff(altitude)) > ALTITUDE_JUMP_M) & (np.diff(times) < US_PER_S)
    if jump.any():
        warnings.append(
            f"barometer jumps by over {ALTITUDE_JUMP_M:.0f} m {count(int(jump.sum()), 'time')}, "
            f"first at {seconds(times[int(np.flatnonzero(jump)[0])])}"
        )
    _warn_backwards(times, "barometer", warnings)


def hold(at: NDArray[Any], changed_at: NDArray[Any], values: NDArray[Any], unknown: float) -> NDArray[Any]:
    """The last value with changed_at <= at, for each `at`; `unknown` before the first.

    `at` and `changed_at` are file offsets, or times where there is no common file.
    """
    index = np.searchsorted(changed_at, at, side="right") - 1
    return np.where(index >= 0, values[np.maximum(index, 0)] if len(values) else unknown, unknown)


def pressure_altitudes_m(pressure_pa: NDArray[Any]) -> F64:
    """`units.pressure_altitude_m` of each pressure."""
    return np.array([pressure_altitude_m(p) for p in pressure_pa.tolist()])
