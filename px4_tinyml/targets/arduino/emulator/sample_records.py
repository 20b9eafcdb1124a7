"""Samples for the sensors of the emulated board: records for double/SampleFeed.hpp."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from px4_tinyml.signal.slots import Feed

IMU = np.dtype([("kind", "S1"), ("time_us", "<u8"), ("values", "<f4", (6,))])
BARO = np.dtype([("kind", "S1"), ("time_us", "<u8"), ("values", "<f4", (3,))])

SEA_LEVEL_PA, SEA_LEVEL_K, LAPSE_K_M, EXPONENT = 101_325.0, 288.15, 0.0065, 5.255_879_7
"""Standard atmosphere (ICAO) up to 11 km."""
INDOORS_C = 20.0


@dataclass(frozen=True, eq=False)
class Records:
    """rows: N records; time_us[N]: the board's clock after each."""

    rows: list[bytes]
    time_us: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, first: int, last: int) -> bytes:
        """Records first … last − 1, as far as there are so many."""
        return b"".join(self.rows[first:last])


def sample_records(events: Feed, shift_us: int = 0) -> Records:
    """Samples in the order in which a Feed delivers them, shift_us earlier."""
    delivered = int(events.baro_before[-1]) if len(events.imu) else 0
    altitude = events.baro_altitude_m[:delivered].astype(np.float64)
    imu, baro = np.zeros(len(events.imu), IMU), np.zeros(delivered, BARO)
    imu["kind"], imu["time_us"], imu["values"] = b"i", events.imu_time_us - np.uint64(shift_us), events.imu
    baro["kind"], baro["time_us"] = b"a", events.baro_time_us[:delivered] - np.uint64(shift_us)
    baro["values"] = np.stack([pressure_pa(altitude), np.full(delivered, INDOORS_C), altitude], axis=1)
    place = np.searchsorted(events.baro_before, np.arange(delivered), side="right")
    rows = np.insert(_rows(imu), place, _rows(baro)).tolist()
    return Records(rows, np.maximum.accumulate(np.insert(imu["time_us"], place, baro["time_us"])))


def _rows(records: NDArray[np.void]) -> NDArray[np.object_]:
    rows = np.empty(len(records), np.object_)
    rows[:] = [record.tobytes() for record in records]
    return rows


def time_record(time_us: int) -> bytes:
    """A record that only advances the clock."""
    return struct.pack("<cQ", b"t", time_us)


def pressure_pa(altitude_m: ArrayLike) -> NDArray[np.float64]:
    """Pressure of the standard atmosphere at a pressure altitude, Pa."""
    altitude = np.asarray(altitude_m, np.float64)
    ratio = np.maximum(1 - LAPSE_K_M / SEA_LEVEL_K * altitude, 0.0)
    return np.asarray(SEA_LEVEL_PA * ratio**EXPONENT)
