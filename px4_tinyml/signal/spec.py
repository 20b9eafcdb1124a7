"""PipelineSpec: the whole signal path in one place, and its hash.

Every parameter between samples and decisions (docs/signal_path.md explains each field).
The hash is part of every artefact; artefacts with different hashes refuse to work together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from px4_tinyml.errors import SpecError
from px4_tinyml.files import read_toml, reject_unknown

SPEC_VERSION = 1
IMU_CHANNELS = ("ax", "ay", "az", "gx", "gy", "gz")
ALTITUDE_CHANNEL = "alt"
TURBULENCE_LABEL = "turbulence"
MAX_LABELS = 8
"""The MAVLink report and the uORB message carry this many probabilities."""


def as_float32(value: float) -> float:
    """The nearest float32, as a Python float: what C++ will hold."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


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
        _whole_number("decision.smoothing_q8", self.smoothing_q8, 1, 256)
        _whole_number("decision.hold_windows", self.hold_windows, 0, 1000)
        if not 0.0 < self.leave <= self.enter < 1.0:
            raise SpecError(f"decision.leave = {self.leave}, enter = {self.enter}: expected 0 < leave <= enter < 1")

    def threshold_q16(self, threshold: float) -> int:
        """A threshold in the units of the smoothed probability: 65536 is 1."""
        return math.floor(threshold * 65536.0 + 0.5)


@dataclass(frozen=True)
class PipelineSpec:
    """The signal path. Slots are 1/rate_hz long; a window is `window` slots; one window every `hop` slots.

    imu_about_mean: the window mean of each IMU channel is subtracted (gravity and tilt in a steady wind
    are twenty times what turbulence adds); that of the altitude always is.
    offset, inv_scale (one a channel) are fitted on the training part; a spec without them (None) is an
    unfitted one, good for making a data set but not for classifying.
    """

    rate_hz: int = 50
    window: int = 128
    hop: int = 32
    channels: tuple[str, ...] = (*IMU_CHANNELS, ALTITUDE_CHANNEL)
    labels: tuple[str, ...] = ("level", "climb", "descend", TURBULENCE_LABEL)
    max_gap_slots: int = 3
    max_repeated_slots: int = 25
    baro_stale_slots: int = 30
    baro_lag_slots: int = 5
    imu_about_mean: bool = True
    clip: float = 2.0
    offset: tuple[float, ...] | None = None
    inv_scale: tuple[float, ...] | None = None
    decision: DecisionSpec = dataclasses.field(default_factory=DecisionSpec)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rate_hz", 1, 1000), ("window", 8, 1024), ("hop", 1, 1024), ("max_gap_slots", 0, 100),
            ("max_repeated_slots", 0, 1024), ("baro_stale_slots", 1, 10_000), ("baro_lag_slots", 0, 100),
        ):  # fmt: skip
            _whole_number(name, getattr(self, name), low, high)
        for name in ("channels", "labels"):
            names = getattr(self, name)
            if not isinstance(names, tuple) or not all(isinstance(n, str) for n in names):
                raise SpecError(f"{name} = {names!r}: expected a list of names")
        known = (*IMU_CHANNELS, ALTITUDE_CHANNEL)
        if tuple(c for c in known if c in self.channels) != tuple(self.channels) or not self.channels:
            raise SpecError(f"channels = {list(self.channels)}: expected some of {list(known)}, in this order")
        if not 2 <= len(self.labels) <= MAX_LABELS or len(set(self.labels)) != len(self.labels):
            raise SpecError(f"labels = {list(self.labels)}: expected 2…{MAX_LABELS} different names")
        for label in self.labels:
            if not (label.isascii() and label.isidentifier() and len(label) <= 20):
                raise SpecError(f"label {label!r}: expected an ASCII identifier of at most 20 characters")
        if not isinstance(self.imu_about_mean, bool):
            raise SpecError(f"imu_about_mean = {self.imu_about_mean!r}: expected true or false")
        if not 0.1 <= self.clip <= 100.0:
            raise SpecError(f"clip = {self.clip}: expected 0.1…100")
        object.__setattr__(self, "clip", as_float32(self.clip))
        if (self.offset is None) != (self.inv_scale is None):
            raise SpecError("offset and inv_scale: expected both or neither")
        for name in ("offset", "inv_scale"):
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != len(self.channels) or not all(math.isfinite(v) for v in values):
                raise SpecError(f"{name} = {values}: expected {len(self.channels)} finite numbers")
            object.__setattr__(self, name, tuple(as_float32(v) for v in values))
        if self.inv_scale is not None and not all(v > 0.0 for v in self.inv_scale):
            raise SpecError(f"inv_scale = {self.inv_scale}: expected positive numbers")

    @property
    def fitted(self) -> bool:
        """True once offsets and scales are known."""
        return self.offset is not None

    @property
    def uses_baro(self) -> bool:
        """True when the altitude channel is one of the inputs."""
        return ALTITUDE_CHANNEL in self.channels

    @property
    def baro_ring_slots(self) -> int:
        """How many slots of barometer history the pipeline keeps (enough for lag and gap filling)."""
        return self.baro_lag_slots + self.max_gap_slots + 2

    @property
    def min_imu_rate_hz(self) -> float:
        """Lowest steady IMU rate, Hz, that still gives windows (max_repeated_slots of a window may lack samples)."""
        return self.rate_hz * (1.0 - self.max_repeated_slots / self.window)

    def slot_of(self, timestamp_us: int) -> int:
        """Absolute slot index: floor(t · rate / 10⁶), exact in integers for every 64-bit time."""
        seconds, rest = divmod(int(timestamp_us), 1_000_000)
        return seconds * self.rate_hz + rest * self.rate_hz // 1_000_000

    def slot_start_us(self, slot: int) -> int:
        """First microsecond of a slot: ceil(slot · 10⁶ / rate)."""
        seconds, rest = divmod(int(slot), self.rate_hz)
        return seconds * 1_000_000 + -(-rest * 1_000_000 // self.rate_hz)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; `from_dict` gives the same spec back."""
        data = dataclasses.asdict(self)
        data["version"] = SPEC_VERSION
        return {k: list(v) if isinstance(v, tuple) else v for k, v in sorted(data.items())}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "spec") -> PipelineSpec:
        """Build from plain data; unknown keys are an error that lists the known ones."""
        data = dict(data)
        version = data.pop("version", SPEC_VERSION)
        if version != SPEC_VERSION:
            raise SpecError(f"{where}: spec version {version} found, {SPEC_VERSION} expected")
        decision = data.pop("decision", {})
        if not isinstance(decision, Mapping):
            raise SpecError(f"{where}: decision = {decision!r}: expected a table")
        reject_unknown(data, [f.name for f in dataclasses.fields(cls)], where)
        reject_unknown(decision, [f.name for f in dataclasses.fields(DecisionSpec)], f"{where}: decision")
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
            return cls(**values, decision=DecisionSpec(**decision))
        except (TypeError, ValueError, OverflowError, SpecError) as error:
            raise SpecError(f"{where}: {error}") from error

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON form, hex."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def short_hash(self) -> str:
        """First 16 hex digits of the hash: what people read."""
        return self.hash[:16]

    @property
    def hash24(self) -> int:
        """First 24 bits of the hash: exact in a float32, as the MAVLink report carries it."""
        return int(self.hash[:6], 16)


def _whole_number(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise SpecError(f"{name} = {value!r}: expected a whole number {low}…{high}")


PRESETS: dict[str, PipelineSpec] = {
    "default": PipelineSpec(),
    "imu6": PipelineSpec(channels=IMU_CHANNELS),
    # For links that carry about one sample a slot. Where these fall near the ends of slots, up to every other slot is
    # empty and its neighbour has two.
    "link50": PipelineSpec(max_repeated_slots=70),
    "arduino119": PipelineSpec(
        rate_hz=119,
        window=119,
        hop=17,
        channels=IMU_CHANNELS,
        labels=("vert", "hori"),
        max_repeated_slots=23,
        imu_about_mean=False,
    ),
}


def load_spec(path: Path) -> PipelineSpec:
    """Read a pipeline.toml: `preset = "default"` plus any fields to change, `[decision]` as a table."""
    data = read_toml(path)
    preset = data.pop("preset", "default")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SpecError(f"{path}: preset {preset!r} is not known; expected one of {', '.join(PRESETS)}")
    base = PRESETS[preset].to_dict()
    decision = data.pop("decision", {})
    if isinstance(decision, dict):
        decision = {**base["decision"], **decision}
    return PipelineSpec.from_dict({**base, **data, "decision": decision}, where=str(path))
