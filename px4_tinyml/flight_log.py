"""A recorded flight: its series of samples, references, gaps and label spans.

Frozen dataclasses, checked on construction. The body frame is FRD, the world frame is NED, time is unsigned 64-bit
microseconds of the *sample*. Arrays are in arrival order: a clock that ran backwards is still visible here. Only the
signal path (signal/slots.py) handles it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

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


def set_array(obj: object, name: str, dtype: Any, shape: tuple[int | None, ...]) -> None:
    """Convert an array field of a frozen dataclass to its dtype, check its shape (None: any), make it read-only.

    Raises LogError for another shape.
    """
    array = np.ascontiguousarray(getattr(obj, name), dtype=dtype)
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise LogError(f"{type(obj).__name__}.{name}: shape {array.shape} found, {shape} expected")
    array = array.view()
    array.flags.writeable = False
    object.__setattr__(obj, name, array)


@dataclass(frozen=True)
class ImuSeries:
    """Accelerometer and gyroscope samples: specific force in m/s² and rate in rad/s, body FRD."""

    timestamp_us: U64
    accel_m_s2: F32
    gyro_rad_s: F32

    def __post_init__(self) -> None:
        n = len(self.timestamp_us)
        set_array(self, "timestamp_us", np.uint64, (n,))
        set_array(self, "accel_m_s2", np.float32, (n, 3))
        set_array(self, "gyro_rad_s", np.float32, (n, 3))

    def __len__(self) -> int:
        return len(self.timestamp_us)

    @property
    def span_s(self) -> float:
        """Time between the earliest and the latest sample, seconds (0 when there are fewer than two)."""
        if len(self) < 2:
            return 0.0
        return float(int(self.timestamp_us.max()) - int(self.timestamp_us.min())) / US_PER_S

    @property
    def rate_hz(self) -> float:
        """Typical sample rate: one over the median positive time step (0 when unknown)."""
        step_us = np.diff(self.timestamp_us.astype(np.int64)).astype(np.float64)
        step_us = step_us[step_us > 0]
        return US_PER_S / float(np.median(step_us)) if len(step_us) else 0.0


@dataclass(frozen=True)
class BaroSeries:
    """Barometric altitude in metres, up positive; only its changes matter."""

    timestamp_us: U64
    altitude_m: F32

    def __post_init__(self) -> None:
        n = len(self.timestamp_us)
        set_array(self, "timestamp_us", np.uint64, (n,))
        set_array(self, "altitude_m", np.float32, (n,))

    def __len__(self) -> int:
        return len(self.timestamp_us)


@dataclass(frozen=True)
class ReferenceSeries:
    """The vehicle's motion and state by references other than the IMU, on one time base.

    velocity_down_m_s is NED z velocity (climbing is negative), NaN where invalid. airborne and armed are
    1, 0, or -1 where unknown. edr_m23_s is the true eddy dissipation rate ε^⅓ in m^⅔/s and
    wind_speed_m_s the mean wind, NaN where unknown (both are known in simulation).
    """

    timestamp_us: U64
    velocity_down_m_s: F32
    airborne: I8
    armed: I8
    edr_m23_s: F32
    wind_speed_m_s: F32

    def __post_init__(self) -> None:
        n = len(self.timestamp_us)
        set_array(self, "timestamp_us", np.uint64, (n,))
        for name in ("velocity_down_m_s", "edr_m23_s", "wind_speed_m_s"):
            set_array(self, name, np.float32, (n,))
        for name in ("airborne", "armed"):
            set_array(self, name, np.int8, (n,))

    def __len__(self) -> int:
        return len(self.timestamp_us)


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
    before each IMU sample, where the source has this order (a recorded link). info: facts for `inspect` that
    the source has.
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
    info: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
