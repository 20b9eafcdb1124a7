"""Samples for the sensors of the emulated board: records for double/SampleFeed.hpp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

IMU = np.dtype([("kind", "S1"), ("time_us", "<u8"), ("values", "<f4", (6,))])
BARO = np.dtype([("kind", "S1"), ("time_us", "<u8"), ("values", "<f4", (3,))])
TIME = np.dtype([("kind", "S1"), ("time_us", "<u8")])

SEA_LEVEL_PA, SEA_LEVEL_K, LAPSE_K_M, EXPONENT = 101_325.0, 288.15, 0.0065, 5.255_879_7
"""Standard atmosphere (ICAO) up to 11 km."""
INDOORS_C = 20.0


@dataclass(frozen=True, eq=False)
class Records:
    """data: the records one after the other; end[N]: where each ends; time_us[N]: the board's clock after each."""

    data: bytes
    end: NDArray[np.int64]
    time_us: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.end)

    def part(self, first: int, last: int) -> bytes:
        """Records first … last − 1, as far as there are so many."""
        start, end = (int(self.end[n - 1]) if n else 0 for n in (first, min(last, len(self))))
        return self.data[start:end]


def sample_records(
    imu_time_us: ArrayLike,
    imu: ArrayLike,
    baro_time_us: ArrayLike = (),
    altitude_m: ArrayLike = (),
    baro_before: ArrayLike | None = None,
) -> Records:
    """Samples in the order in which a Feed delivers them: imu[N,6], baro_before[N] barometer samples before each."""
    time, values = np.asarray(imu_time_us, np.uint64), np.asarray(imu, np.float32).reshape(-1, 6)
    before = np.zeros(len(time), np.int64) if baro_before is None else np.asarray(baro_before, np.int64)
    delivered = int(before[-1]) if len(before) else 0
    baro_time, altitude = np.asarray(baro_time_us, np.uint64)[:delivered], np.asarray(altitude_m)[:delivered]

    imu_records, baro_records = np.zeros(len(time), IMU), np.zeros(delivered, BARO)
    imu_records["kind"], imu_records["time_us"], imu_records["values"] = b"i", time, values
    baro_records["kind"], baro_records["time_us"] = b"a", baro_time
    baro_records["values"] = np.stack(
        [pressure_pa(altitude), np.full(delivered, INDOORS_C), altitude.astype(np.float64)], axis=1
    )

    count = len(time) + delivered
    is_imu = np.zeros(count, np.bool_)
    is_imu[np.arange(len(time)) + before] = True
    end = np.cumsum(np.where(is_imu, IMU.itemsize, BARO.itemsize))
    start = end - np.where(is_imu, IMU.itemsize, BARO.itemsize)
    data = np.zeros(int(end[-1]) if count else 0, np.uint8)
    for records, at in ((imu_records, start[is_imu]), (baro_records, start[~is_imu])):
        size = records.dtype.itemsize
        data[at[:, None] + np.arange(size)] = records.view(np.uint8).reshape(-1, size)
    clock = np.zeros(count, np.uint64)
    clock[is_imu], clock[~is_imu] = time, baro_time
    return Records(data.tobytes(), end, np.maximum.accumulate(clock))


def time_record(time_us: int) -> bytes:
    """A record that only advances the clock."""
    return np.array([(b"t", time_us)], TIME).tobytes()


def pressure_pa(altitude_m: ArrayLike) -> NDArray[np.float64]:
    """Pressure of the standard atmosphere at a pressure altitude, Pa."""
    altitude = np.asarray(altitude_m, np.float64)
    ratio = np.maximum(1 - LAPSE_K_M / SEA_LEVEL_K * altitude, 0.0)
    return np.asarray(SEA_LEVEL_PA * ratio**EXPONENT)
