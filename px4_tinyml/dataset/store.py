"""The data set on disk: one Parquet file a flight and `dataset.json` (Description).

Parquet columns, one row a window: start_us (uint64), label (string; "between" for EDR between calm and
turbulent, "mixed" for a calm injected one whose background changes its label), baro_ok (bool), altitude_m,
velocity_down_m_s (float32 at the window's end, for plots; NaN where unknown), edr_m23_s (float32: true or injected
EDR, at the window's end, of `bands` specs at its middle; NaN where unknown), vertical_speed_m_s, baro_slope_m_s
(float32, of `bands` specs: as reported, and over the same slots by the barometer alone; up positive, NaN where
unknown), response (int32, with injected gusts only), x (fixed-size list of float32: the network's input before
scaling, time-major).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import UNSET, Meta, UnsetType

from px4_tinyml.bundle.manifest import Count, Finite, Part, SplitBy, TrainedFlight, WindowCounts
from px4_tinyml.dataset.autolabel import BETWEEN, BETWEEN_NAME, MIXED, reason_code
from px4_tinyml.errors import DatasetError, ToolchainError
from px4_tinyml.files import JsonObject, checked, parse_json, read_file
from px4_tinyml.flight_log import F32, I32, U64, Bool, Columns
from px4_tinyml.signal.spec import PipelineSpec

DATASET_VERSION = 1
DATASET_FILE = "dataset.json"
FLIGHTS_FOLDER = "flights"
STORED_REASONS = {BETWEEN_NAME: BETWEEN, MIXED: reason_code(MIXED)}
"""Windows without a label that are stored: their EDR is known. `mixed` ones with injected gusts only."""
MAX_DESCRIPTION_BYTES, MAX_FLIGHT_BYTES = 1 << 28, 1 << 30


class FlightEntry(TrainedFlight, frozen=True, kw_only=True):
    """One flight in `dataset.json`. sha256: of its log; without_baro: windows with a stale barometer."""

    file: Annotated[str, Meta(pattern=rf"^{FLIGHTS_FOLDER}/[^/\\]+$")]
    sha256: str
    kind: str
    between: Count
    without_baro: Count
    dropped: dict[str, Count]
    resets: dict[str, Count]
    warnings: tuple[str, ...]
    file_sha256: str | None = None


class UnusedLog(JsonObject, frozen=True):
    """A log that gave no labelled window, and the reason."""

    source: str
    why: str


class BackgroundEntry(JsonObject, frozen=True):
    """Calm air of one vehicle. seconds: into which gusts were injected; left_out: seconds by reason.

    simulated: the air is known; else it is taken as calm.
    """

    vehicle: str
    simulated: bool
    flights: Count
    seconds: Finite
    left_out: dict[str, Finite]


class Injected(JsonObject, frozen=True):
    """How gusts were injected. examples: windows by part. dropped: examples by reason.

    airframes: of each response of the library; response_parts: its part. split_by: of `simulated` and `real`
    backgrounds.
    """

    examples: dict[Part, Count]
    dropped: dict[str, Count]
    airframes: tuple[str, ...]
    response_parts: tuple[Part, ...]
    split_by: dict[str, SplitBy]
    backgrounds: tuple[BackgroundEntry, ...]


class Description(JsonObject, frozen=True):
    """`dataset.json`. The position of a flight is its log_id. thinned_hz: rate of the decimated copies, if any.

    inject: of a data set whose windows have injected gusts.
    """

    dataset_version: int
    px4_tinyml: str
    spec: dict[str, Any]
    spec_hash: str
    labels: tuple[str, ...]
    seed: int
    split_by: SplitBy
    counts: WindowCounts
    flights: tuple[FlightEntry, ...]
    unusable: tuple[UnusedLog, ...]
    thinned_hz: Finite | UnsetType | None = UNSET
    inject: Injected | UnsetType = UNSET


@dataclass(frozen=True)
class FlightWindows:
    """Labelled windows of one flight. y: label index or a code of STORED_REASONS; altitude and velocity are for plots.

    edr_m23_s: true or injected EDR, NaN where unknown. response: row of the library of gust responses that was
    injected, −1 for none. vertical_speed_m_s, baro_slope_m_s: of `bands` specs, up positive; NaN where unknown.
    """

    x: F32
    y: I32
    start_us: U64
    baro_ok: Bool
    altitude_m: F32
    velocity_down_m_s: F32
    edr_m23_s: F32
    response: I32
    vertical_speed_m_s: F32
    baro_slope_m_s: F32


@dataclass(frozen=True)
class Windows(Columns):
    """Labelled windows of several flights before scaling: x[W,T,C] float32, the network's input of the spec.

    y[W]: index into spec.labels, or a code of STORED_REASONS; log_id[W]: index of the flight; start_us[W]: time of the
    first slot; baro_ok[W]: False where the barometer was stale: the alt channel is zero there. edr_m23_s[W]: true or
    injected EDR, m^⅔/s, NaN where unknown. vertical_speed_m_s[W], baro_slope_m_s[W]: of `bands` specs, reported with
    the window and by the barometer alone; up positive, NaN where unknown.
    """

    x: F32
    y: I32
    log_id: I32
    start_us: U64
    baro_ok: Bool
    edr_m23_s: F32
    vertical_speed_m_s: F32
    baro_slope_m_s: F32

    SHAPES: ClassVar = {
        "x": (np.float32, None, None), "y": (np.int32,), "log_id": (np.int32,), "start_us": (np.uint64,),
        "baro_ok": (np.bool_,), "edr_m23_s": (np.float32,), "vertical_speed_m_s": (np.float32,),
        "baro_slope_m_s": (np.float32,),
    }  # fmt: skip


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ToolchainError("pyarrow is missing: pip install 'px4-tinyml[train]'") from error
    return pyarrow


VERTICAL_COLUMNS = ("vertical_speed_m_s", "baro_slope_m_s")


def _schema(pa: Any, spec: PipelineSpec, injected: bool) -> dict[str, Any]:
    """Type of each Parquet column. injected: with the column `response`."""
    vertical = VERTICAL_COLUMNS if spec.input == "bands" else ()
    values = {name: pa.float32() for name in ("altitude_m", "velocity_down_m_s", "edr_m23_s", *vertical)}
    response = {"response": pa.int32()} if injected else {}
    x = pa.list_(pa.float32(), math.prod(spec.input_shape))
    return {"start_us": pa.uint64(), "label": pa.string(), "baro_ok": pa.bool_(), **values, **response, "x": x}


def write_flight(path: Path, flight: FlightWindows, spec: PipelineSpec) -> str:
    """Write one flight's Parquet file; returns its SHA-256, hex."""
    pa = _pyarrow()
    names = dict(enumerate(spec.labels)) | {code: name for name, code in STORED_REASONS.items()}
    size = math.prod(spec.input_shape)
    values = pa.array(np.ascontiguousarray(flight.x, np.float32).reshape(-1))
    columns = {
        **vars(flight),
        "label": [names[i] for i in flight.y.tolist()],
        "x": pa.FixedSizeListArray.from_arrays(values, size),
    }
    schema = _schema(pa, spec, injected=bool((flight.response >= 0).any()))
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in schema.items()})
    pa.parquet.write_table(table, path, compression="zstd")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_flight(path: Path, spec: PipelineSpec, sha256: str | None = None) -> FlightWindows:
    """Read one flight's Parquet file. Raises DatasetError unless it has this hash and holds windows of the spec."""
    pa = _pyarrow()
    index = {name: i for i, name in enumerate(spec.labels)} | STORED_REASONS
    size = math.prod(spec.input_shape)
    try:
        data = read_file(path, MAX_FLIGHT_BYTES)
        if sha256 not in (None, hashlib.sha256(data).hexdigest()):
            raise ValueError("its content was changed")
        file = pa.parquet.ParquetFile(pa.BufferReader(data))
        rows = file.metadata.num_rows
        for name, expected in _schema(pa, spec, injected="response" in file.schema_arrow.names).items():
            found = file.schema_arrow.field(name).type
            if found != expected:
                raise ValueError(f"column {name} is {found}, {expected} expected")
        if rows * size > MAX_FLIGHT_BYTES // 4:
            raise ValueError(f"{rows} windows, at most {MAX_FLIGHT_BYTES // 4 // size} expected")
        table = file.read()
        if any(column.null_count for column in table.columns):
            raise ValueError("empty cells found")
        x = table["x"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        if not np.isfinite(x).all():
            raise ValueError("column x has values that are not finite")
        columns = {name: table[name].to_numpy() for name in table.column_names if name not in ("x", "label")}
        y = np.array([index[label] for label in table["label"].to_pylist()], np.int32)
        columns.setdefault("response", np.full(len(y), -1, np.int32))
        for name in VERTICAL_COLUMNS:
            columns.setdefault(name, np.full(len(y), np.nan, np.float32))
        return FlightWindows(x=x.reshape(len(y), *spec.input_shape), y=y, **columns)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error}); run `dataset` again") from error
    except (KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise DatasetError(f"{path}: not a flight of this data set: {error}; run `dataset` again") from error


@dataclass(frozen=True)
class Dataset:
    """A data set folder: its description and, on demand, its flights."""

    folder: Path
    spec: PipelineSpec
    about: Description

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Read and check `dataset.json`. Raises DatasetError, or SpecError for its spec."""
        path = folder / DATASET_FILE
        try:
            data = parse_json(read_file(path, MAX_DESCRIPTION_BYTES))
        except OSError as error:
            raise DatasetError(
                f"{folder}: not a data set ({DATASET_FILE}: {error.strerror}); `px4-tinyml dataset` writes one"
            ) from error
        except ValueError as error:
            raise DatasetError(f"{path}: damaged: {error}; run `dataset` again") from error
        version = data.get("dataset_version") if isinstance(data, dict) else None
        if version is True or version != DATASET_VERSION:
            raise DatasetError(f"{path}: not a data set of version {DATASET_VERSION}; run `dataset` again")
        about = checked(Description, data, f"{path}: damaged", DatasetError, "run `dataset` again")
        spec = PipelineSpec.from_dict(about.spec, where=str(path))
        if spec.hash != about.spec_hash:
            raise DatasetError(f"{path}: the spec was changed by hand (hash {spec.short_hash}); run `dataset` again")
        counted = [*about.counts.windows.values(), *(flight.labels for flight in about.flights)]
        if any(set(labels) != set(spec.labels) for labels in counted):
            raise DatasetError(
                f"{path}: counts of other labels than the spec's ({', '.join(spec.labels)}); make it again"
            )
        return cls(folder, spec, about)

    @property
    def flights(self) -> tuple[FlightEntry, ...]:
        """Descriptions of the flights, in order; the position is the log_id."""
        return self.about.flights

    def flight(self, log_id: int) -> FlightWindows:
        """One flight's windows."""
        entry = self.flights[log_id]
        return read_flight(self.folder / entry.file, self.spec, entry.file_sha256)

    def windows(self, parts: Iterable[str], between: bool = False, every: bool = False) -> Windows:
        """All labelled windows of some parts; `between` gives the ones left out for their EDR instead, `every` all."""
        wanted = set(parts)
        kinds = (np.int32, np.int32, np.uint64, np.bool_, np.float32, np.float32, np.float32)
        empty = (np.zeros(0, kind) for kind in kinds)
        columns = [(np.zeros((0, *self.spec.input_shape), np.float32), *empty)]
        for i in (i for i, entry in enumerate(self.flights) if entry.part in wanted):
            f = self.flight(i)
            kept = np.ones(len(f.y), np.bool_) if every else (f.y == BETWEEN) if between else (f.y >= 0)
            log_id = np.full(len(f.y), i, np.int32)
            vertical = (f.vertical_speed_m_s, f.baro_slope_m_s)
            held = (f.x, f.y, log_id, f.start_us, f.baro_ok, f.edr_m23_s, *vertical)
            columns.append(tuple(column[kept] for column in held))
        return Windows(*(np.concatenate(column) for column in zip(*columns, strict=True)))
