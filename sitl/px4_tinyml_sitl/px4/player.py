"""A recorded sensor stream as what PX4's sensors see."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import F32, F64, U64
from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G
from px4_tinyml.units import US_PER_S
from px4_tinyml_sitl.px4.hil_link import Controls, Fix, HilLink
from px4_tinyml_sitl.px4.hil_sensors import pressure_hpa
from px4_tinyml_sitl.vehicle.geo import REFERENCE_LAT_DEG, REFERENCE_LON_DEG
from px4_tinyml_sitl.vehicle.live_sensors import FIELD_NED_GAUSS

START_US = 1_000_000
_REST_ALTITUDE_M = 100.0
_STILL_US = 2000
"""Period of what comes before and after the recording: a vehicle that stands still."""
_MAG_PERIOD_US, _BARO_PERIOD_US, _GPS_PERIOD_US = 20_000, 20_000, 100_000
_MAX_ACCEL_M_S2, _MAX_RATE_RAD_S = 16.0 * G, 34.9
"""What the simulated drivers can represent."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Samples to play. time_us[N]: from zero, strictly increasing; imu[N, 6]: accelerometer m/s² and gyro rad/s, FRD;
    altitude_m[N]: of the barometer where it has a new sample, else NaN. alignment_us: the recording starts at a
    multiple of it on PX4's clock."""

    time_us: U64
    imu: F32
    altitude_m: F64
    alignment_us: int

    @property
    def lag(self) -> int:
        """By how many steps PX4's answers may be late (see HilLink): it makes samples of 250 Hz of faster ones."""
        step = float(np.median(np.diff(self.time_us.astype(np.int64)))) if len(self.time_us) > 1 else 4000.0
        return max(1, round(4000.0 / max(step, 1.0))) - 1


class StreamSource:
    """Stands still until `play` is set, then plays the stream after a silence of gap_us, then stands still again.

    first_us, last_us: PX4's time of the first and last sample of the stream, once they are played.
    """

    def __init__(self, stream: Stream, gap_us: int) -> None:
        self._stream, self._gap_us = stream, gap_us
        self._noise: NDArray[np.float64] = np.random.default_rng(1).normal(0.0, 1.0, (4096, 8))
        self.play = False
        self.done = False
        self.first_us = self.last_us = 0
        self._due = {"mag": 0, "gps": 0, "baro": 0}
        self._samples = self._generate()
        self._now = next(self._samples)

    @property
    def time_us(self) -> int:
        """PX4's time of the next step."""
        return self._now[0]

    def _generate(self) -> Iterator[tuple[int, list[float] | None, float | None]]:
        """(time, accelerometer and gyro or None while still, altitude or None) without end."""
        time_us = START_US
        while not self.play:
            yield time_us, None, None
            time_us += _STILL_US
        stream = self._stream
        offset = -(-(time_us + self._gap_us) // stream.alignment_us) * stream.alignment_us
        self.first_us = offset + int(stream.time_us[0])
        altitude = [None if np.isnan(a) else float(a) for a in stream.altitude_m]
        yield from zip((stream.time_us + np.uint64(offset)).tolist(), stream.imu.tolist(), altitude, strict=True)
        self.last_us = offset + int(stream.time_us[-1])
        self.done = True
        for after_us in itertools.count(self.last_us + self._gap_us, _STILL_US):
            yield after_us, None, None

    def _is_due(self, what: str, period_us: int) -> bool:
        if self._now[0] < self._due[what]:
            return False
        self._due[what] = self._now[0] - self._now[0] % period_us + period_us
        return True

    def send(self, link: HilLink) -> None:
        """Give PX4 the next sample, and a magnetometer and GPS at rest, without which it complains."""
        time_us, imu, altitude = self._now
        noise = self._noise[time_us // 1000 % len(self._noise)].tolist()
        if imu is None:
            imu = [0.03 * n for n in noise[:3]] + [0.005 * n for n in noise[3:6]]
            imu[2] -= G
            if self._is_due("baro", _BARO_PERIOD_US):
                altitude = _REST_ALTITUDE_M + 0.1 * noise[6]
        mag = None
        if self._is_due("mag", _MAG_PERIOD_US):
            mag = (FIELD_NED_GAUSS[0], FIELD_NED_GAUSS[1], FIELD_NED_GAUSS[2] + 0.001 * noise[7])
        pressure = None if altitude is None else pressure_hpa(altitude)
        link.sensors(time_us, tuple(imu[:3]), tuple(imu[3:]), mag, pressure)
        if self._is_due("gps", _GPS_PERIOD_US):
            link.gps(time_us, Fix(REFERENCE_LAT_DEG, REFERENCE_LON_DEG, _REST_ALTITUDE_M, (0.0, 0.0, 0.0)))

    def advance(self, controls: Controls | None) -> None:
        """The next sample."""
        self._now = next(self._samples)


def playable(time_us: U64, imu: F32, baro_time_us: U64, altitude_m: F32, hop_us: int) -> tuple[Stream, int]:
    """(what of a recording PX4 can be given, how many IMU samples it cannot: not finite, or beyond its drivers).

    A time that runs backwards or stands, or a long gap, becomes a gap of a second. The start keeps its place in the
    hop, so that PX4's windows are those of the recording. Each barometer sample comes with the IMU sample after it.

    Each IMU sample is given twice, half an interval apart, and PX4 makes one of the two again. That is for PX4's
    logger, which is then waited for before the next one (see HilLink), and so misses none. After a gap once is enough:
    PX4 takes a sample that closes a long interval for a whole one.
    """
    with np.errstate(invalid="ignore"):
        good = (np.abs(imu[:, :3]) < _MAX_ACCEL_M_S2).all(axis=1) & (np.abs(imu[:, 3:]) < _MAX_RATE_RAD_S).all(axis=1)
    time, kept = time_us[good].astype(np.int64), imu[good]
    altitude = np.full(len(time), np.nan)
    sound = np.isfinite(altitude_m) & (np.abs(altitude_m) < 10_000.0)
    at = np.searchsorted(np.maximum.accumulate(time), baro_time_us[sound].astype(np.int64))
    altitude[at[at < len(time)]] = altitude_m[sound][at < len(time)]
    step = np.diff(time)
    step = np.where((step <= 0) | (step > US_PER_S), US_PER_S, step)
    start = int(time[0]) % hop_us + hop_us if len(time) else 0
    moved = start + np.concatenate([[0], np.cumsum(step)])[: len(time)]
    before = np.concatenate([[US_PER_S], step])[: len(time)]
    regular = before <= 1.4 * (np.median(before) if len(time) else 0.0)
    keep = np.stack([regular, np.ones(len(time), np.bool_)], axis=1).ravel()
    twice = np.stack([moved - before // 2, moved], axis=1).ravel().astype(np.uint64)
    only_second = np.stack([np.full(len(time), np.nan), altitude], axis=1).ravel()
    stream = Stream(twice[keep], np.repeat(kept, 2, axis=0)[keep], only_second[keep], hop_us)
    return stream, int((~good).sum())
