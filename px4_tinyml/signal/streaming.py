"""The signal path sample by sample, in Python: for computers without a C++ compiler.

docs/signal_path.md is the contract. Windows go through the same functions as a log's (windows.py, scaling.py).
core/Pipeline.hpp is the same in C++ (targets/host/library.py), and far faster.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from px4_tinyml.flight_log import F32
from px4_tinyml.signal.air_decision import AirFilter
from px4_tinyml.signal.classifier import COUNTERS, Model, further_reasons
from px4_tinyml.signal.decision import DecisionFilter
from px4_tinyml.signal.energies import slot_steps
from px4_tinyml.signal.scaling import quantize
from px4_tinyml.signal.slots import MAX_ALTITUDE_M, MAX_SAMPLE, SlotStream
from px4_tinyml.signal.spec import IMU_CHANNELS, PipelineSpec
from px4_tinyml.signal.vertical import VerticalStream
from px4_tinyml.signal.windows import make_windows


class Decided(NamedTuple):
    """A decision (dtype decision.DECISION) and the µs it took from its last sample, the model included."""

    decision: np.void
    spent_us: int


class StreamPipeline(Protocol):
    """Samples in, decisions out."""

    @property
    def counts(self) -> dict[str, int]: ...

    def push_baro(self, time_us: int, altitude_m: float) -> None: ...

    def push_ground(self, on_ground: bool) -> None: ...

    def set_judged(self, judged: bool) -> None: ...

    def push_imu(self, time_us: int, values: Sequence[float]) -> list[Decided]: ...


class _Barometer:
    """Step 2: the newest slots' altitudes."""

    def __init__(self, spec: PipelineSpec) -> None:
        self._spec = spec
        self._kept: deque[tuple[int, np.float32]] = deque(maxlen=spec.baro_ring_slots)

    def push(self, time_us: int, altitude_m: float) -> None:
        value = np.float32(altitude_m)
        if not abs(value) <= MAX_ALTITUDE_M:
            return
        slot = self._spec.slot_of(time_us)
        if self._kept and slot < self._kept[-1][0]:
            self._kept.clear()
        elif self._kept and slot == self._kept[-1][0]:
            self._kept.pop()
        self._kept.append((slot, value))

    def altitude(self, slot: int) -> tuple[np.float32, bool]:
        """Altitude of a slot and whether it is stale."""
        wanted = slot - self._spec.baro_lag_slots
        for kept, value in reversed(self._kept):
            if kept <= wanted:
                stale = slot - kept > self._spec.baro_stale_slots
                return (np.float32(0.0), True) if stale else (value, False)
        return np.float32(0.0), True


class _Row(NamedTuple):
    """An emitted slot."""

    slot: int
    means: F32
    altitude_m: np.float32
    repeated: bool
    stale: bool
    samples: int
    on_ground: bool


class NumpyPipeline:
    """A classifier that takes one sample at a time. ModelBundle.pipeline() makes one."""

    def __init__(self, spec: PipelineSpec, model: Model) -> None:
        self._spec, self._model, self._judged = spec, model, True
        bands = spec.input == "bands"
        self._classes = None if bands else DecisionFilter(spec)
        self._air = AirFilter(spec, model.output_scale, model.output_zero_point) if bands else None
        self._vertical = VerticalStream(spec) if bands and spec.uses_baro else None
        self._on_ground = self._slot_on_ground = False
        self._barometer = _Barometer(spec)
        self._rows: deque[_Row] = deque(maxlen=spec.window)
        self._slot: int | None = None
        self._partial = True
        self._sum, self._samples = np.zeros(len(IMU_CHANNELS), np.float32), 0
        self._last_us = 0
        self.counts = dict.fromkeys(COUNTERS, 0)

    def push_baro(self, time_us: int, altitude_m: float) -> None:
        """A barometric altitude: µs, m."""
        self._barometer.push(time_us, altitude_m)

    def push_ground(self, on_ground: bool) -> None:
        """The landed state from here on; False for airborne or unknown."""
        self._on_ground = on_ground

    def set_judged(self, judged: bool) -> None:
        """Whether a `bands` spec judges the air around this vehicle (classifier.is_judged); True at first."""
        self._judged = judged

    def push_imu(self, time_us: int, values: Sequence[float]) -> list[Decided]:
        """A sample: µs, ax ay az gx gy gz in m/s² and rad/s, FRD. The decisions it completed."""
        started = time.perf_counter_ns()
        sample = np.array(values, np.float32)
        with np.errstate(invalid="ignore"):
            plausible = bool((np.abs(sample) <= MAX_SAMPLE).all())
        if not plausible:
            self._reset("non_finite")
            return []
        if time_us < self._last_us:
            self._reset("backwards")
        self._last_us = time_us
        slot, decided = self._spec.slot_of(time_us), []
        if slot == self._slot:
            self._sum += sample
            self._samples += 1
            self._slot_on_ground |= self._on_ground
            return []
        partial = True
        if self._slot is not None:
            missing = slot - self._slot - 1
            gap = missing > self._spec.max_gap_slots
            if not self._partial:
                decided = self._close(self._slot, 0 if gap else missing, started)
            if gap:
                self._reset("gap")
            else:
                partial = self._partial and missing > 0
        self._slot, self._partial = slot, partial
        self._sum, self._samples = np.zeros_like(self._sum) + sample, 1
        self._slot_on_ground = self._on_ground
        return decided

    def _close(self, slot: int, repeats: int, started: int) -> list[Decided]:
        """Emit the open slot and its repeats."""
        means = self._sum / np.float32(self._samples)
        decided = []
        for index in range(slot, slot + 1 + repeats):
            altitude_m, stale = self._barometer.altitude(index)
            samples = 0 if index > slot else self._samples
            self._rows.append(_Row(index, means, altitude_m, index > slot, stale, samples, self._slot_on_ground))
            if self._vertical is not None:
                steps = slot_steps(means, self._spec.bands).astype(np.int64)
                self._vertical.push(index, steps, altitude_m, stale)
            decision = self._window()
            if decision is not None:
                decided.append(Decided(decision, (time.perf_counter_ns() - started) // 1000))
        return decided

    def _window(self) -> np.void | None:
        """Steps 3 to 5, when the newest slot completes a window."""
        spec = self._spec
        if len(self._rows) < spec.window or (self._rows[-1].slot + 1) % spec.hop:
            return None
        index, means, altitude, repeated, stale, samples, ground = map(np.array, zip(*self._rows, strict=True))
        segment = np.zeros(spec.window, np.int64)
        stream = SlotStream(index, means, altitude, repeated, stale, segment, samples, ground, {})
        vertical = self._vertical
        raw = make_windows(stream, spec, (lambda aliased: np.array([vertical.mm_s(aliased[0])])) if vertical else None)
        if raw.sparse[0]:
            self.counts["sparse"] += 1
            return None
        self.counts["decisions"] += 1
        model = self._model
        inputs = quantize(raw.x, spec, model.input_scale, model.input_zero_point)
        output = model.engine.invoke(inputs)[0].tolist()
        times, baro_ok = (int(raw.start_us[0]), int(raw.end_us[0])), bool(raw.baro_ok[0])
        if self._classes is not None:
            return self._classes.update(output, not baro_ok, *times)
        assert self._air is not None
        reasons = int((raw.reasons | further_reasons(inputs, self._judged, spec))[0])
        return self._air.update(output, reasons, int(raw.vertical_mm_s[0]), baro_ok, *times)

    def _reset(self, cause: str) -> None:
        """Forget all but the barometer."""
        self.counts[f"reset_{cause}"] += 1
        self._slot = None
        self._rows.clear()
        for part in (self._classes, self._air, self._vertical):
            if part is not None:
                part.reset()
