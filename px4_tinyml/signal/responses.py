"""Responses of multirotors to turbulence: what gusts of a known EDR add to the IMU of a flight.

`px4-tinyml fly --responses` writes such a library from simulated flights (docs/simulation.md); one ships with the
package. A response is close to linear in EDR: times e/edr it is that of turbulence of EDR e.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import DatasetError
from px4_tinyml.files import read_file
from px4_tinyml.flight_log import F32
from px4_tinyml.signal.golden_arrays import MALFORMED

SHIPPED = Path(__file__).with_name("responses.npz")
"""The library of the package, made by `make responses`."""
MAX_BYTES = 1 << 26
"""Of a file and of its arrays; the shipped file has 1.5 MB."""

_STEP = np.repeat([0.001, 0.0002], 3)
"""Steps of a file's int16: m/s² and rad/s. Fixed, so that rounding errors of the simulation do not reach the bytes."""
_TYPES = {"rate_hz": "i", "edr": "f", "airframe": "U", "step": "f", "samples": "i"}
"""Kind of each array's type, by name."""
_ADVICE = "write the file again with `px4-tinyml fly --responses`"


@dataclass(frozen=True)
class ResponseLibrary:
    """samples [N, T, 6]: ax ay az in m/s², gx gy gz in rad/s, body FRD, what turbulence of EDR `edr` (m^⅔/s) adds.

    airframe: of each of the N responses. Values are means over 1/rate_hz.
    """

    rate_hz: int
    edr: float
    airframe: tuple[str, ...]
    samples: F32


def save_responses(library: ResponseLibrary, path: Path) -> None:
    """Write a library as .npz: int16 steps, not compressed, no dates. The same library gives the same bytes."""
    steps = np.rint(library.samples.astype(np.float64) / _STEP)
    if not np.abs(steps).max(initial=0.0) <= np.iinfo(np.int16).max:
        raise DatasetError(f"{path}: a response is larger than {np.iinfo(np.int16).max * _STEP[[0, 3]]} m/s², rad/s")
    file = io.BytesIO()
    np.savez(
        file, rate_hz=np.int32(library.rate_hz), edr=np.float64(library.edr), airframe=np.array(library.airframe),
        step=_STEP, samples=steps.astype("<i2"),
    )  # fmt: skip
    path.write_bytes(file.getvalue())


def load_responses(path: Path = SHIPPED) -> ResponseLibrary:
    """Read a library. Raises DatasetError for a damaged file, OSError for one that cannot be read."""
    try:
        with np.load(io.BytesIO(read_file(path, MAX_BYTES)), allow_pickle=False) as file:
            if sum(entry.file_size for entry in file.zip.infolist()) > MAX_BYTES:
                raise DatasetError(f"{path}: more than {MAX_BYTES} bytes of arrays; {_ADVICE}")
            arrays = {name: file[name] for name in file.files if name in _TYPES}
    except MALFORMED as error:
        raise DatasetError(f"{path}: not a library of gust responses: {ascii(str(error))[:100]}; {_ADVICE}") from error
    problem = _problem(arrays)
    if problem:
        raise DatasetError(f"{path}: not a library of gust responses: {problem}; {_ADVICE}")
    samples: F32 = (arrays["samples"] * arrays["step"]).astype(np.float32)
    names = tuple(str(name) for name in arrays["airframe"].tolist())
    return ResponseLibrary(int(arrays["rate_hz"]), float(arrays["edr"]), names, samples)


def _problem(arrays: Mapping[str, NDArray[Any]]) -> str:
    """What is wrong with the arrays of a file, empty if nothing is."""
    for name, kind in _TYPES.items():
        if name not in arrays:
            return f"no array {name}"
        if arrays[name].dtype.kind != kind:
            return f"array {name} has type {arrays[name].dtype}"
    rate, edr, names, step, samples = (arrays[name] for name in _TYPES)
    if rate.shape or not 1 <= rate <= 1000:
        return "rate_hz is not a number from 1 to 1000"
    if edr.shape or not 0.0 < edr <= 10.0:
        return "edr is not a number above 0 and up to 10"
    if step.shape != (6,) or not (np.isfinite(step) & (step > 0.0) & (step < 1.0)).all():
        return "step is not six numbers between 0 and 1"
    if samples.dtype.itemsize != 2 or samples.ndim != 3 or samples.shape[2] != 6 or samples.size == 0:
        return f"samples is {samples.dtype} of shape {samples.shape}, int16 [N, T, 6] expected"
    if names.shape != samples.shape[:1] or not all(str(name).isprintable() for name in names.tolist()):
        return f"airframe does not have one name for each of {len(samples)} responses"
    return ""
