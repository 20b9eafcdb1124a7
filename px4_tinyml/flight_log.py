"""A recorded flight: its series of samples, references, gaps and label spans.

Frozen dataclasses, checked on construction. The body frame is FRD, the world frame is NED, time is unsigned 64-bit
microseconds of the *sample*. Arrays are in arrival order: a clock that ran backwards is still visible here. Only the
signal path (signal/slots.py) handles it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import LogError
from px4_tinyml.units import US_PER_S

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
I32 = NDArray[np.int32]
U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

LabelSource = Literal["truth", "autolabel", "person", "file"]
VehicleClass = Literal["multirotor", "fixed_wing", "vtol", "other", "unknown"]
"""What kind of vehicle it is, as far as the source reports it. A VTOL is "vtol" in every phase of its flight."""


@dataclass(frozen=True)
class Columns:
    """Arrays of one length N, converted to their dtypes, checked on construction and read-only.

    SHAPES: dtype and shape of one row (None: any length), by field. Raises LogError for another shape.
    """

    SHAPES: ClassVar[dict[str, tuple[Any, ...]]]

    def __post_init__(self) -> None:
        rows = len(self)
        for name, (dtype, *row) in self.SHAPES.items():
            array, shape = np.ascontiguousarray(getattr(self, name), dtype=dtype), (rows, *row)
            if array.ndim != len(shape) or any(b not in (None, a) for a, b in zip(array.shape, shape, strict=True)):
                raise LogError(f"{type(self).__name__}.{name}: shape {array.shape} found, {shape} expected")
            array = array.view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(getattr(self, next(iter(self.SHAPES))))

    def take(self, rows: NDArray[Any]) -> Self:
        """Some of the rows, by index or mask."""
        return type(self)(**{name: getattr(self, name)[rows] for name in self.SHAPES})

    def with_rows_of(self, other: Self) -> Self:
        """The rows of both."""
        names = self.SHAPES
        return type(self)(**{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names})


@dataclass(frozen=True)
class Series(Columns):
    """Samples in arrival order. timestamp_us[N]: time of each sample."""

    timestamp_us: U64

    @property
    def span_s(self) -> float:
        """Time between the earliest and the latest sample, seconds (0 when there are fewer than two)."""
        return int(np.ptp(self.timestamp_us)) / US_PER_S if len(self) else 0.0

    @property
    def rate_hz(self) -> float:
        """Typical sample rate: one over the median positive time step (0 when unknown)."""
        step_us = np.diff(self.timestamp_us.astype(np.int64)).astype(np.float64)
        step_us = step_us[step_us > 0]
        return US_PER_S / float(np.median(step_us)) if len(step_us) else 0.0


@dataclass(frozen=True)
class ImuSeries(Series):
    """Accelerometer and gyroscope samples: specific force in m/s² and rate in rad/s, body FRD."""

    accel_m_s2: F32
    gyro_rad_s: F32

    SHAPES: ClassVar = {"timestamp_us": (np.uint64,), "accel_m_s2": (np.float32, 3), "gyro_rad_s": (np.float32, 3)}


@dataclass(frozen=True)
class BaroSeries(Series):
    """Barometric altitude in metres, up positive; only its changes matter."""

    altitude_m: F32

    SHAPES: ClassVar = {"timestamp_us": (np.uint64,), "altitude_m": (np.float32,)}


@dataclass(frozen=True)
class ReferenceSeries(Series):
    """The vehicle's motion and state by references other than the IMU, on one time base.

    velocity_down_m_s is NED z velocity (climbing is negative), NaN where invalid. airborne and armed are
    1, 0, or -1 where unknown. edr_m23_s is the true eddy dissipation rate ε^⅓ in m^⅔/s and
    wind_speed_m_s the mean wind, NaN where unknown (both are known in simulation).
    """

    velocity_down_m_s: F32
    airborne: I8
    armed: I8
    edr_m23_s: F32
    wind_speed_m_s: F32

    SHAPES: ClassVar = {
        "timestamp_us": (np.uint64,), "velocity_down_m_s": (np.float32,), "airborne": (np.int8,), "armed": (np.int8,),
        "edr_m23_s": (np.float32,), "wind_speed_m_s": (np.float32,),
    }  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """A time interval [start, end) without samples, and why."""

    start_us: int
    end_us: int
    why: str


@dataclass(frozen=True)
class LabelSpan:
    """A labelled time interval [start, end)."""

    start_us: int
    end_us: int
    label: str
    by: LabelSource


@dataclass(frozen=True)
class FlightLog:
    """One vehicle's recording, in SI units and FRD, from any kind of file.

    source: file path as the user gave it; when one file holds several recordings, "path#part".
    sha256: of the file. vehicle: the airframe key used to split by airframe (for example
    "quad 4001 PX4_FMU_V6C"). complete: a capture whose first and last samples fill their slots
    (an Arduino capture of 119 rows), not a part of a stream. baro_before: number of barometer samples received
    before each IMU sample, where the source has this order (a recorded link). on_ground: the landed state received
    before each IMU sample (False: airborne or unknown), where the source has this order; else it is derived from
    the reference (signal/slots.py). info: facts for `inspect` that the source has.
    """

    source: str
    sha256: str
    kind: str
    vehicle: str
    imu: ImuSeries
    baro: BaroSeries | None = None
    reference: ReferenceSeries | None = None
    labels: tuple[LabelSpan, ...] = ()
    gaps: tuple[Gap, ...] = ()
    warnings: tuple[str, ...] = ()
    complete: bool = False
    baro_before: NDArray[np.int64] | None = None
    on_ground: Bool | None = None
    vehicle_class: VehicleClass = "unknown"
    info: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
