"""The C++ classifier in this process: libmotion.so, built with the system's compiler, behind its C interface.

The structures are those of templates/motion.h; the library's ABI version, spec hash and sizes are checked first.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import ParityError, ToolchainError
from px4_tinyml.signal.classifier import COUNTERS
from px4_tinyml.signal.decision import DECISION
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.streaming import Decided
from px4_tinyml.targets.host.build import LIBRARY, build_host

ABI_VERSION = 1
"""MOTION_ABI_VERSION of motion.h."""

_Floats = ctypes.c_float * 3


class _Counters(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in COUNTERS]


class HostPipeline:
    """The whole signal path, model and decisions of a bundle in C++. One thread at a time."""

    def __init__(self, library: Path, spec: PipelineSpec) -> None:
        """library: libmotion.so of this spec. Raises ToolchainError, or ParityError for another spec."""
        self._motion = _load(library, spec)
        self._decisions = np.zeros(self._motion.motion_max_decisions(), DECISION)
        self._buffer = self._decisions.ctypes.data
        self._accel, self._gyro = _Floats(), _Floats()
        self._push_imu, self._push_baro = self._motion.motion_push_imu, self._motion.motion_push_baro
        self._pipeline = self._motion.motion_create()
        if not self._pipeline:
            raise ToolchainError(f"{library}: cannot allocate its pipeline")
        problem = self._motion.motion_problem(self._pipeline)
        if problem:
            raise ToolchainError(f"{library}: {problem.decode(errors='replace')}")

    @classmethod
    def build(cls, bundle: ModelBundle, cache_dir: Path | None = None) -> HostPipeline:
        """Build the library of a bundle, or find it in the cache. Raises ToolchainError."""
        return cls(build_host(bundle, cache_dir).parent / LIBRARY, bundle.spec)

    def __del__(self) -> None:
        if getattr(self, "_pipeline", None):
            self._motion.motion_destroy(self._pipeline)
            self._pipeline = None

    @property
    def counts(self) -> dict[str, int]:
        """See pipeline.COUNTERS."""
        counters = self._motion.motion_get_counters(self._pipeline)
        return {name: getattr(counters, name) for name in COUNTERS}

    def push_baro(self, time_us: int, altitude_m: float) -> None:
        """A barometric altitude: µs, m."""
        self._push_baro(self._pipeline, time_us, altitude_m)

    def push_ground(self, on_ground: bool) -> None:
        """The landed state. Not used: a `samples` spec classifies on the ground, too."""

    def set_judged(self, judged: bool) -> None:
        """Whether the vehicle is judged. Not used: a `samples` spec classifies every vehicle."""

    def push_imu(self, time_us: int, values: Sequence[float]) -> list[Decided]:
        """A sample: µs, ax ay az gx gy gz in m/s² and rad/s, FRD. Returns the decisions it completed."""
        self._accel[:] = list(values[:3])
        self._gyro[:] = list(values[3:])
        started = time.perf_counter_ns()
        count = self._push_imu(self._pipeline, time_us, self._accel, self._gyro, self._buffer)
        if not count:
            return []
        spent_us = (time.perf_counter_ns() - started) // 1000 // count
        return [Decided(row.copy(), spent_us) for row in self._decisions[:count]]


def _load(path: Path, spec: PipelineSpec) -> ctypes.CDLL:
    """The library with its functions declared, after its ABI, spec and sizes were checked."""
    try:
        motion = ctypes.CDLL(str(path))
    except OSError as error:
        raise ToolchainError(f"{path} cannot be loaded: {error}; delete {path.parent}, it is built again") from error
    try:
        abi = motion.motion_abi_version()
    except AttributeError as error:
        raise ToolchainError(f"{path}: not a motion library (`px4-tinyml generate host` writes its project)") from error
    if abi != ABI_VERSION:
        raise ToolchainError(f"{path}: ABI version {abi} found, {ABI_VERSION} expected; generate and build it again")
    pointer, size, number, text = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_char_p
    declare = {
        "motion_spec_hash": (text, []),
        "motion_label_count": (size, []),
        "motion_input_size": (size, []),
        "motion_max_decisions": (size, []),
        "motion_create": (pointer, []),
        "motion_problem": (text, [pointer]),
        "motion_destroy": (None, [pointer]),
        "motion_push_baro": (None, [pointer, number, ctypes.c_float]),
        "motion_push_imu": (size, [pointer, number, _Floats, _Floats, pointer]),
        "motion_get_counters": (_Counters, [pointer]),
    }
    for name, (result, arguments) in declare.items():
        function = getattr(motion, name)
        function.restype, function.argtypes = result, arguments
    found = motion.motion_spec_hash().decode()
    if found != spec.hash:
        raise ParityError(
            f"{path}: built for spec {found[:16]}, the bundle has {spec.short_hash}; generate and build it again"
        )
    sizes = motion.motion_label_count(), motion.motion_input_size()
    expected = len(spec.labels), spec.window * len(spec.channels)
    if sizes != expected:
        raise ParityError(f"{path}: labels and inputs {sizes} found, {expected} expected; generate and build it again")
    return motion
