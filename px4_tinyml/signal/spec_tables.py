"""The tables of a PipelineSpec: [decision], [bands], [vertical], [limits] and [edr] (docs/signal_path.md)."""

from __future__ import annotations

import itertools
import math
import struct
from dataclasses import dataclass, fields
from typing import Any

from px4_tinyml.errors import SpecError

BAND_GROUPS = ("a_xy", "a_z", "g_xy", "g_z")
"""Axes whose energies are added: a change of heading changes nothing."""
MAX_BANDS = 8
MAX_FEATURES = 64
INT32_MAX = 2**31 - 1


def as_float32(value: float) -> float:
    """The nearest float32, as a Python float: what C++ will hold."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def whole_number(name: str, value: object, low: int, high: int) -> None:
    """SpecError unless the value is an int between two limits."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise SpecError(f"{name} = {value!r}: expected a whole number {low}…{high}")


def number(name: str, value: object, low: float, high: float) -> None:
    """SpecError unless the value is a finite number between two limits."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise SpecError(f"{name} = {value!r}: expected a number {low:g}…{high:g}")


@dataclass(frozen=True)
class DecisionSpec:
    """How window probabilities become decisions (integer arithmetic, docs/signal_path.md step 5).

    smoothing_q8: weight of the newest window, 1…256 (256: no smoothing). enter, leave: thresholds on the
    smoothed probability. hold_windows: a class entered is kept for at least this many windows.
    """

    smoothing_q8: int = 128
    enter: float = 0.60
    leave: float = 0.40
    hold_windows: int = 2

    def __post_init__(self) -> None:
        whole_number("decision.smoothing_q8", self.smoothing_q8, 1, 256)
        whole_number("decision.hold_windows", self.hold_windows, 0, 1000)
        if not 0.0 < self.leave <= self.enter < 1.0:
            raise SpecError(f"decision.leave = {self.leave}, enter = {self.enter}: expected 0 < leave <= enter < 1")

    def threshold_q16(self, threshold: float) -> int:
        """A threshold in the units of the smoothed probability: 65536 is 1."""
        return math.floor(threshold * 65536.0 + 0.5)


@dataclass(frozen=True)
class BandsSpec:
    """Slots to band energies. accel_per_unit, gyro_per_unit: int16 steps per m/s² and per rad/s.

    low_hz, high_hz: the bands, half-open. floor_m_s2, floor_rad_s: RMS that is added (as energy) before the logarithm.
    """

    accel_per_unit: int = 256
    gyro_per_unit: int = 2048
    low_hz: tuple[float, ...] = (0.35, 1.0, 2.0, 3.5, 5.5)
    high_hz: tuple[float, ...] = (1.0, 2.0, 3.5, 5.5, 9.0)
    floor_m_s2: float = 0.01
    floor_rad_s: float = 0.001

    def __post_init__(self) -> None:
        for name in ("accel_per_unit", "gyro_per_unit"):
            whole_number(f"bands.{name}", getattr(self, name), 1, 4096)
        for name in ("low_hz", "high_hz"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not 1 <= len(values) <= MAX_BANDS:
                raise SpecError(f"bands.{name} = {values!r}: expected 1…{MAX_BANDS} frequencies")
            for value in values:
                number(f"bands.{name}", value, 0.0, 1000.0)
        if len(self.low_hz) != len(self.high_hz) or not all(a < b for a, b in self.edges_hz):
            raise SpecError(f"bands.low_hz, high_hz = {self.low_hz}, {self.high_hz}: expected low < high for each band")
        number("bands.floor_m_s2", self.floor_m_s2, 1e-4, 10.0)
        number("bands.floor_rad_s", self.floor_rad_s, 1e-5, 10.0)

    @property
    def edges_hz(self) -> tuple[tuple[float, float], ...]:
        """(low, high) of each band, Hz."""
        return tuple(zip(self.low_hz, self.high_hz, strict=True))


@dataclass(frozen=True)
class VerticalSpec:
    """The barometer and the accelerometer to a vertical speed.

    tau_s: time constant of the third-order filter. gravity_gain: 1/s, of the accelerometer on the direction of gravity.
    restart_slots: each of two filters is restarted every 2·restart_slots, in turn. mean_slots: the reported
    speed is the mean over so many slots. innovation_m: RMS of barometer less filter above which the slope of the
    barometer is reported instead. alias_m_s2: RMS of a_z in the last band above which it is too, when the stream is
    decimated: aliased vibration would be integrated. threshold_m_s: more is climb, less than minus it descend.
    """

    tau_s: float = 4.0
    gravity_gain: float = 0.3
    restart_slots: int = 640
    mean_slots: int = 64
    innovation_m: float = 2.0
    alias_m_s2: float = 0.4
    threshold_m_s: float = 0.5

    def __post_init__(self) -> None:
        number("vertical.tau_s", self.tau_s, 0.5, 60.0)
        number("vertical.gravity_gain", self.gravity_gain, 0.01, 10.0)
        whole_number("vertical.restart_slots", self.restart_slots, 64, 100_000)
        whole_number("vertical.mean_slots", self.mean_slots, 8, 256)
        number("vertical.innovation_m", self.innovation_m, 0.1, 100.0)
        number("vertical.alias_m_s2", self.alias_m_s2, 0.01, 1000.0)
        number("vertical.threshold_m_s", self.threshold_m_s, 0.05, 20.0)
        if self.restart_slots < self.mean_slots:
            raise SpecError(f"vertical.restart_slots = {self.restart_slots}: expected at least mean_slots")


@dataclass(frozen=True)
class LimitsSpec:
    """Beyond these a window is not judged. Band RMS over 0.35–2 Hz (the first two bands), a_xy over the first four.

    "manoeuvring": g_xy, g_z or a_z above its limit; a_xy above its limit while g_xy or g_z is above turning_deg_s
    (vibration alone does not turn the vehicle); or a mean a_z weaker than least_a_z_m_s2 (free fall, on its side).
    "unfamiliar": a Mahalanobis distance |(q − centre)·whiten|² above `distance`, in the int8 units of the network's
    input; whiten is lower triangular, row by row. Empty: not fitted.
    """

    g_xy_deg_s: float = 45.0
    g_z_deg_s: float = 45.0
    a_z_m_s2: float = 2.0
    a_xy_m_s2: float = 2.0
    turning_deg_s: float = 15.0
    least_a_z_m_s2: float = 7.5
    centre: tuple[int, ...] = ()
    whiten: tuple[int, ...] = ()
    distance: int = 0

    def __post_init__(self) -> None:
        for name in ("g_xy_deg_s", "g_z_deg_s", "a_z_m_s2", "a_xy_m_s2", "turning_deg_s"):
            number(f"limits.{name}", getattr(self, name), 1e-3, 1e4)
        number("limits.least_a_z_m_s2", self.least_a_z_m_s2, -100.0, 9.0)
        for name, low, high in (("centre", -128, 127), ("whiten", -32768, 32767)):
            if not isinstance(getattr(self, name), tuple):
                raise SpecError(f"limits.{name}: expected a list")
            for value in getattr(self, name):
                whole_number(f"limits.{name}", value, low, high)
        n = len(self.centre)
        if n > MAX_FEATURES or len(self.whiten) != n * (n + 1) // 2:
            raise SpecError(f"limits.whiten has {len(self.whiten)} values: expected {n * (n + 1) // 2}")
        whole_number("limits.distance", self.distance, 0, 2**62)


@dataclass(frozen=True)
class EdrSpec:
    """The network's ln EDR to turbulence. Thresholds are EDR as the network reads it, m^⅔/s.

    window: a single window above it is turbulent (reported, not decided by). enter, leave: of the smoothed value.
    rise_q8, fall_q8: weight of the newest window, 1…256, where it is above or below the smoothed value.
    forget_windows: after so many windows without judgement the smoothed value is forgotten. read, true: the calibration
    curve, rising: the EDR read and the EDR it means.
    """

    window: float = 0.13
    enter: float = 0.15
    leave: float = 0.115
    rise_q8: int = 128
    fall_q8: int = 51
    forget_windows: int = 8
    read: tuple[float, ...] = (0.01, 1.0)
    true: tuple[float, ...] = (0.01, 1.0)

    def __post_init__(self) -> None:
        whole_number("edr.rise_q8", self.rise_q8, 1, 256)
        whole_number("edr.fall_q8", self.fall_q8, 1, 256)
        whole_number("edr.forget_windows", self.forget_windows, 1, 1000)
        for name in ("window", "enter", "leave"):
            number(f"edr.{name}", getattr(self, name), 0.01, 2.0)
        if self.leave > self.enter:
            raise SpecError(f"edr.leave = {self.leave}, enter = {self.enter}: expected leave <= enter")
        for name in ("read", "true"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not 2 <= len(values) <= 16:
                raise SpecError(f"edr.{name} = {values!r}: expected 2…16 values")
            for value in values:
                number(f"edr.{name}", value, 1e-3, 3.0)
            if any(a >= b for a, b in itertools.pairwise(values)):
                raise SpecError(f"edr.{name} = {values}: expected rising values")
        if len(self.read) != len(self.true):
            raise SpecError("edr.read and edr.true: expected the same number of values")


def table_names(kind: type[Any]) -> list[str]:
    """Names of the fields of a table."""
    return [f.name for f in fields(kind)]
