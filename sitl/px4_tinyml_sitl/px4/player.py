"""Samples of a recording for PX4's simulated sensors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import F32, F64, I64, U64
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G
from px4_tinyml.units import US_PER_S
from px4_tinyml_sitl.px4.hil_link import Controls, Fix, HilLink, pressure_hpa
from px4_tinyml_sitl.px4.tuning import INTEGRATION_HZ
from px4_tinyml_sitl.vehicle.geo import REFERENCE_LAT_DEG, REFERENCE_LON_DEG
from px4_tinyml_sitl.vehicle.live_sensors import FIELD_NED_GAUSS

START_US = 1_000_000
STEP_US = 2000
"""Interval of the steps at every rate of a recording: PX4 integrates two steps to one sample."""
LAG = US_PER_S // INTEGRATION_HZ // STEP_US - 1
"""Steps by which PX4's answers may be late (see HilLink): it answers when one of its samples is complete."""
_REST_ALTITUDE_M = 100.0
_MAG_PERIOD_US, _BARO_PERIOD_US, _GPS_PERIOD_US = 20_000, 20_000, 100_000
_MAX_ACCEL_M_S2, _MAX_RATE_RAD_S = 16.0 * G, 34.9
"""Range of the simulated drivers."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Steps to play. time_us[N]: from zero, STEP_US apart except for gaps; imu[N, 6]: accel m/s² and gyro rad/s,
    FRD; altitude_m[N]: of the barometer where it has a new sample, else NaN. alignment_us: the recording starts at a
    multiple of it on PX4's clock."""

    time_us: U64
    imu: F32
    altitude_m: F64
    alignment_us: int

    @classmethod
    def rest(cls) -> Stream:
        """A vehicle at rest."""
        return cls(np.zeros(1, np.uint64), np.zeros((1, 6), np.float32), np.full(1, np.nan), 1)

    @property
    def seconds(self) -> float:
        """Duration from the first step to the last."""
        return float(self.time_us[-1] - self.time_us[0]) / US_PER_S if len(self.time_us) else 0.0


class StreamSource:
    """At rest until `play` is set; then the stream after a gap of gap_us; then at rest again.

    first_us, last_us: PX4's time of the first and last sample of the stream, once they are played.
    """

    def __init__(self, stream: Stream, gap_us: int) -> None:
        self.stream, self._gap_us = stream, gap_us
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
        """(time, accelerometer and gyro or None at rest, altitude or None) without end."""
        time_us = START_US
        while not self.play:
            yield time_us, None, None
            time_us += STEP_US
        stream = self.stream
        offset = -(-(time_us + self._gap_us) // stream.alignment_us) * stream.alignment_us
        self.first_us = offset + int(stream.time_us[0])
        altitude = [None if np.isnan(a) else float(a) for a in stream.altitude_m]
        yield from zip((stream.time_us + np.uint64(offset)).tolist(), stream.imu.tolist(), altitude, strict=True)
        self.last_us = offset + int(stream.time_us[-1])
        self.done = True
        for after_us in itertools.count(self.last_us + STEP_US, STEP_US):
            yield after_us, None, None

    def _is_due(self, name: str, period_us: int) -> bool:
        if self._now[0] < self._due[name]:
            return False
        self._due[name] = self._now[0] - self._now[0] % period_us + period_us
        return True

    def send(self, link: HilLink) -> None:
        """Send PX4 the next sample, and magnetometer and GPS at rest, which it requires."""
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
        """Advance to the next sample."""
        self._now = next(self._samples)


def playable(time_us: U64, imu: F32, baro_time_us: U64, altitude_m: F32, spec: PipelineSpec) -> tuple[Stream, int]:
    """(steps to play, number of IMU samples dropped because they are not finite or out of the drivers' range).

    HIL_SENSOR is PX4's clock, and the lockstep includes its logger only while HIL_SENSOR is regular and fast. So there
    is one every STEP_US: the mean of the samples since the last step, or the last sample again. A gap that restarts the
    spec's windows is kept. A timestamp that does not increase, or a gap of over a second, becomes a gap of one second.
    The start keeps its place in the hop, so that PX4's windows are those of the recording. A barometer sample is sent
    with the next IMU sample.
    """
    with np.errstate(invalid="ignore"):
        good = (np.abs(imu[:, :3]) < _MAX_ACCEL_M_S2).all(axis=1) & (np.abs(imu[:, 3:]) < _MAX_RATE_RAD_S).all(axis=1)
    time, kept = time_us[good].astype(np.int64), imu[good].astype(np.float64)
    hop_us = US_PER_S * spec.hop // spec.rate_hz
    if not len(time):
        return Stream(np.zeros(0, np.uint64), np.zeros((0, 6), np.float32), np.zeros(0), hop_us), len(imu)
    valid = np.isfinite(altitude_m) & (np.abs(altitude_m) < 10_000.0)
    at = np.searchsorted(np.maximum.accumulate(time), baro_time_us[valid].astype(np.int64))
    tick, first, of = np.unique(-(-_steady(time, hop_us) // STEP_US), return_index=True, return_inverse=True)
    mean = np.add.reduceat(kept, first) / np.diff(first, append=len(time))[:, None]
    altitude = np.full(len(tick), np.nan)
    altitude[of[at[at < len(time)]]] = altitude_m[valid][at < len(time)]
    repeats = _repeats(tick, spec)
    again = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    played = (np.repeat(tick, repeats) + again) * STEP_US
    fresh = np.where(again == 0, np.repeat(altitude, repeats), np.nan)
    stream = Stream(played.astype(np.uint64), np.repeat(mean, repeats, axis=0).astype(np.float32), fresh, hop_us)
    return stream, int((~good).sum())


def _steady(time: I64, hop_us: int) -> I64:
    """Increasing times, with steps of up to a second, from the first one's place in its hop."""
    step = np.diff(time)
    step = np.where((step <= 0) | (step > US_PER_S), US_PER_S, step)
    return np.asarray(int(time[0]) % hop_us + hop_us + np.concatenate([[0], np.cumsum(step)]))


def _repeats(tick: I64, spec: PipelineSpec) -> I64:
    """Number of steps of each sample: until the next one, or 1 before a gap that restarts the window."""
    slot = tick * STEP_US * spec.rate_hz // US_PER_S
    return np.append(np.where(np.diff(slot) - 1 > spec.max_gap_slots, 1, np.diff(tick)), 1)
