"""Names, types and shapes of the arrays in a golden.npz (their meaning: golden.py).

A bundle may be a stranger's: its arrays are checked before they are used.
"""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import ConversionError
from px4_tinyml.signal.air_decision import AIR_DECISION
from px4_tinyml.signal.classifier import COUNTERS
from px4_tinyml.signal.decision import DECISION, DECISION_FIELDS
from px4_tinyml.signal.spec import IMU_CHANNELS, PipelineSpec

ADVICE = "do not use this bundle: copy it again from where it was made, or train again"
MAX_BYTES = 1 << 26
"""Of all arrays; `train` writes about a thousandth of it."""

Dimension = int | str
"""A name is a length that is the same in all arrays: imu, baro (samples), windows."""

MALFORMED = (
    ValueError, TypeError, AttributeError, KeyError, EOFError, MemoryError, RecursionError, RuntimeError,
    zipfile.BadZipFile, zlib.error, tokenize.TokenError,
)  # fmt: skip
"""Raised by NumPy and zipfile for a damaged file."""


def decision_kind(spec: PipelineSpec) -> tuple[np.dtype[Any], tuple[str, ...]]:
    """The dtype of a spec's decisions, and the fields that golden vectors hold."""
    if spec.input == "samples":
        return DECISION, DECISION_FIELDS
    return AIR_DECISION, tuple(name for name in AIR_DECISION.names or () if name != "padding")


def feed_fields(spec: PipelineSpec) -> tuple[str, ...]:
    """The fields of a feed that decisions of a spec depend on."""
    fields = ("imu_time_us", "imu", "baro_time_us", "baro_altitude_m", "baro_before")
    return fields if spec.input == "samples" else (*fields, "on_ground")


def expected(spec: PipelineSpec) -> dict[str, tuple[str, tuple[Dimension, ...]]]:
    """Type and shape by name. imu may hold NaN: the feed has faults on purpose."""
    decision, names = decision_kind(spec)
    ground: dict[str, tuple[str, tuple[Dimension, ...]]] = {"on_ground": ("bool", ("imu",))}
    return {
        "imu_time_us": ("uint64", ("imu",)),
        "imu": ("float32", ("imu", len(IMU_CHANNELS))),
        "baro_time_us": ("uint64", ("baro",)),
        "baro_altitude_m": ("float32", ("baro",)),
        "baro_before": ("int64", ("imu",)),
        **(ground if "on_ground" in feed_fields(spec) else {}),
        "input": ("int8", ("windows", spec.input_shape[0] * spec.input_shape[1])),
        "output": ("int8", ("windows", spec.outputs)),
        **{f"decision_{name}": (decision[name].base.name, ("windows", *decision[name].shape)) for name in names},
        "counts": ("int64", (len(COUNTERS),)),
    }


def check_arrays(golden: Mapping[str, NDArray[Any]], spec: PipelineSpec, where: str) -> None:
    """ConversionError for a missing or unknown array, a wrong type, shape or range. where: the file, for the error."""
    wanted = expected(spec)
    _check_names(golden, wanted, where)
    lengths: dict[str, int] = {}
    for name, (kind, shape) in wanted.items():
        array = golden[name]
        for dimension, length in zip(shape, array.shape, strict=False):
            if isinstance(dimension, str):
                lengths.setdefault(dimension, length)
        size = tuple(lengths.get(d, 0) if isinstance(d, str) else d for d in shape)
        if array.dtype != np.dtype(kind) or array.shape != size:
            raise ConversionError(
                f"{where}: array {name} is {_form(array.dtype, array.shape)}, {_form(np.dtype(kind), size)} expected; "
                f"{ADVICE}"
            )
    before = golden["baro_before"]
    if np.any((before < 0) | (before > lengths["baro"])):
        raise ConversionError(
            f"{where}: array baro_before has values from {before.min()} to {before.max()}, "
            f"0 to {lengths['baro']} expected (the barometer's samples); {ADVICE}"
        )


def read_arrays(data: bytes, spec: PipelineSpec, where: str) -> dict[str, NDArray[Any]]:
    """The arrays of a golden.npz, checked. where: the file, for the error."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            _check_names(file.files, expected(spec), where)
            size = sum(entry.file_size for entry in file.zip.infolist())
            if size > MAX_BYTES:
                raise ConversionError(f"{where}: {size} bytes of arrays found, {MAX_BYTES} at most expected; {ADVICE}")
            golden = {name: file[name] for name in file.files}
    except MALFORMED as error:
        raise ConversionError(f"{where}: damaged golden vectors: {error}; {ADVICE}") from error
    check_arrays(golden, spec, where)
    return golden


def _check_names(found: Iterable[str], wanted: Iterable[str], where: str) -> None:
    unknown, missing = sorted(set(found) - set(wanted)), sorted(set(wanted) - set(found))
    if unknown:
        raise ConversionError(f"{where}: array {unknown[0][:40]!a} found, which a bundle does not have; {ADVICE}")
    if missing:
        raise ConversionError(f"{where}: array {missing[0]} not found; {ADVICE}")


def _form(dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    return f"{dtype}[{', '.join(map(str, shape))}]"
