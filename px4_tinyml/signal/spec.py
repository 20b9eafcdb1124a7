"""PipelineSpec: the whole signal path in one place, and its hash.

Every parameter between samples and decisions (docs/signal_path.md explains each field).
The hash is part of every artefact; artefacts with different hashes refuse to work together.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from px4_tinyml.emit.shipped import BANDS_INSTEAD
from px4_tinyml.errors import SpecError
from px4_tinyml.files import read_toml, reject_unknown
from px4_tinyml.signal.spec_tables import (
    BAND_GROUPS,
    BandsSpec,
    DecisionSpec,
    EdrSpec,
    LimitsSpec,
    VerticalSpec,
    as_float32,
    table_names,
    whole_number,
)

log = logging.getLogger(__name__)

SPEC_VERSION = 2
SAMPLES_VERSION = 1
"""Of specs with input = "samples": unchanged since 0.1.0, so that their hashes are."""
INPUTS, OUTPUTS = ("samples", "bands"), ("classes", "edr")
FFT_SLOTS = 128
IMU_CHANNELS = ("ax", "ay", "az", "gx", "gy", "gz")
ALTITUDE_CHANNEL = "alt"
VERTICAL_SPEED = "vertical speed"
"""The last feature of `bands` with output = "classes"."""
TURBULENCE_LABEL = "turbulence"
MOTION_LABELS = ("level", "climb", "descend", TURBULENCE_LABEL)
MAX_LABELS = 8
"""The MAVLink report and the uORB message carry this many probabilities."""


@dataclass(frozen=True)
class PipelineSpec:
    """The signal path. Slots are 1/rate_hz long; a window is `window` slots; one window every `hop` slots.

    input: the network's input, `samples` of the window or log energies of its `bands`. output: a softmax over the
    labels (`classes`), or ln `edr`, from which turbulence is decided by threshold, climb and descend by the vertical
    speed. bands, vertical, limits and edr are used with input = "bands" only.
    imu_about_mean: the window mean of each IMU channel is subtracted (gravity and tilt in a steady wind
    are twenty times what turbulence adds); that of the altitude always is.
    offset, inv_scale (one a channel) are fitted on the training part; a spec without them (None) is an
    unfitted one, good for making a data set but not for classifying.
    """

    rate_hz: int = 50
    window: int = 128
    hop: int = 32
    channels: tuple[str, ...] = (*IMU_CHANNELS, ALTITUDE_CHANNEL)
    labels: tuple[str, ...] = MOTION_LABELS
    max_gap_slots: int = 3
    max_repeated_slots: int = 25
    baro_stale_slots: int = 30
    baro_lag_slots: int = 5
    imu_about_mean: bool = True
    clip: float = 2.0
    offset: tuple[float, ...] | None = None
    inv_scale: tuple[float, ...] | None = None
    decision: DecisionSpec = dataclasses.field(default_factory=DecisionSpec)
    input: str = "samples"
    output: str = "classes"
    bands: BandsSpec = dataclasses.field(default_factory=BandsSpec)
    vertical: VerticalSpec = dataclasses.field(default_factory=VerticalSpec)
    limits: LimitsSpec = dataclasses.field(default_factory=LimitsSpec)
    edr: EdrSpec = dataclasses.field(default_factory=EdrSpec)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rate_hz", 1, 1000), ("window", 8, 1024), ("hop", 1, 1024), ("max_gap_slots", 0, 100),
            ("max_repeated_slots", 0, 1024), ("baro_stale_slots", 1, 10_000), ("baro_lag_slots", 0, 100),
        ):  # fmt: skip
            whole_number(name, getattr(self, name), low, high)
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
        self._check_kind()
        if not 0.1 <= self.clip <= 100.0:
            raise SpecError(f"clip = {self.clip}: expected 0.1…100")
        object.__setattr__(self, "clip", as_float32(self.clip))
        if (self.offset is None) != (self.inv_scale is None):
            raise SpecError("offset and inv_scale: expected both or neither")
        for name in ("offset", "inv_scale"):
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != self.input_shape[1] or not all(math.isfinite(v) for v in values):
                raise SpecError(f"{name} = {values}: expected {self.input_shape[1]} finite numbers")
            object.__setattr__(self, name, tuple(as_float32(v) for v in values))
        if self.inv_scale is not None and not all(v > 0.0 for v in self.inv_scale):
            raise SpecError(f"inv_scale = {self.inv_scale}: expected positive numbers")

    def _check_kind(self) -> None:
        """SpecError for an unknown input or output, or one that does not fit the rest."""
        if self.input not in INPUTS:
            raise SpecError(f"input = {self.input!r}: expected one of {', '.join(INPUTS)}")
        if self.output not in OUTPUTS:
            raise SpecError(f"output = {self.output!r}: expected one of {', '.join(OUTPUTS)}")
        if self.output == "edr" and (self.input != "bands" or self.labels != MOTION_LABELS):
            raise SpecError(f"output = 'edr': expected input = 'bands' and labels {list(MOTION_LABELS)}")
        if self.input == "samples":
            return
        if self.window != FFT_SLOTS or not set(IMU_CHANNELS) <= set(self.channels):
            raise SpecError(f"input = 'bands': expected window = {FFT_SLOTS} and all of {', '.join(IMU_CHANNELS)}")
        if self.bands.high_hz[-1] > self.rate_hz / 2 or len(self.bands.low_hz) < 4:
            raise SpecError(f"bands: expected at least 4 bands, up to {self.rate_hz / 2:g} Hz (half of rate_hz)")
        if self.vertical.restart_slots % self.hop:
            raise SpecError(f"vertical.restart_slots = {self.vertical.restart_slots}: expected a multiple of hop")
        if self.vertical.mean_slots > self.window:
            raise SpecError(f"vertical.mean_slots = {self.vertical.mean_slots}: expected at most the window")
        if self.limits.centre and len(self.limits.centre) != self.input_shape[1]:
            raise SpecError(f"limits.centre: expected {self.input_shape[1]} values")

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns of the network's input."""
        if self.input == "samples":
            return self.channels
        names = [f"{g} {low:g}-{high:g} Hz" for g in BAND_GROUPS for low, high in self.bands.edges_hz]
        return (*names, *((VERTICAL_SPEED,) if self.uses_baro and self.output == "classes" else ()))

    @property
    def input_shape(self) -> tuple[int, int]:
        """Rows and columns of the network's input: slots and channels, or one row of features."""
        return (self.window if self.input == "samples" else 1), len(self.features)

    @property
    def outputs(self) -> int:
        """Number of the network's outputs."""
        return 1 if self.output == "edr" else len(self.labels)

    @property
    def fitted(self) -> bool:
        """True once offsets and scales are known."""
        return self.offset is not None

    @property
    def unfitted(self) -> PipelineSpec:
        """The spec without what `train` fits: scaling, limits of the familiar, EDR curve."""
        limits = dataclasses.replace(self.limits, centre=(), whiten=(), distance=0)
        edr = dataclasses.replace(self.edr, read=EdrSpec.read, true=EdrSpec.true)
        return dataclasses.replace(self, offset=None, inv_scale=None, limits=limits, edr=edr)

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
        if self.input == "samples":
            data = {k: v for k, v in data.items() if k not in SINCE_VERSION_2}
            data["version"] = SAMPLES_VERSION
        return {k: _plain(v) for k, v in sorted(data.items())}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "spec") -> PipelineSpec:
        """Build from plain data; unknown keys are an error that lists the known ones."""
        data = dict(data)
        version = data.pop("version", SPEC_VERSION)
        if version not in (SAMPLES_VERSION, SPEC_VERSION) or version is True:
            raise SpecError(f"{where}: spec version {version!r} found, {SPEC_VERSION} expected")
        reject_unknown(data, table_names(cls), where)
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
            tables = {name: _table(name, values.pop(name, {}), where) for name in TABLES}
            return cls(**values, **tables)
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


TABLES: dict[str, Any] = {
    "decision": DecisionSpec, "bands": BandsSpec, "vertical": VerticalSpec, "limits": LimitsSpec, "edr": EdrSpec,
}  # fmt: skip
SINCE_VERSION_2 = ("input", "output", "bands", "vertical", "limits", "edr")


def _plain(value: Any) -> Any:
    """Tuples as lists, in tables too."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in sorted(value.items())}
    return list(value) if isinstance(value, tuple) else value


def _table(name: str, data: object, where: str) -> Any:
    """One table of plain data."""
    if not isinstance(data, Mapping):
        raise SpecError(f"{name} = {data!r}: expected a table")
    reject_unknown(data, table_names(TABLES[name]), f"{where}: {name}")
    return TABLES[name](**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})


PRESETS: dict[str, PipelineSpec] = {
    "bands": PipelineSpec(
        rate_hz=25,
        hop=16,
        max_gap_slots=5,
        max_repeated_slots=60,
        baro_stale_slots=15,
        baro_lag_slots=3,
        clip=5.3,
        input="bands",
        output="edr",
    ),
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


def preset(name: str) -> PipelineSpec:
    """A named spec; logs one line for a deprecated one. KeyError for an unknown name."""
    if name == "link50":
        log.warning("preset link50 is deprecated: %s", BANDS_INSTEAD)
    return PRESETS[name]


def load_spec(path: Path) -> PipelineSpec:
    """Read a pipeline.toml: `preset = "default"` plus any fields to change, `[decision]` as a table."""
    data = read_toml(path)
    name = data.pop("preset", "default")
    if not isinstance(name, str) or name not in PRESETS:
        raise SpecError(f"{path}: preset {name!r} is not known; expected one of {', '.join(PRESETS)}")
    base = preset(name).to_dict()
    if data.get("labels", base["labels"]) != base["labels"] and base.get("output") == "edr":
        base["output"] = "classes"
    for name in TABLES:
        if isinstance(data.get(name), dict):
            data[name] = {**base.get(name, {}), **data[name]}
    return PipelineSpec.from_dict({**base, **data}, where=str(path))
