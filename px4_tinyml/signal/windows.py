"""Step 3 of the signal path: complete windows of a slot stream (docs/signal_path.md).

The network's input is the window about its mean (input = "samples") or its log energies by band (input = "bands").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import F32, I64, U64, Bool
from px4_tinyml.signal.energies import I16, energies, energy_of, log_energies, manoeuvring, slot_steps
from px4_tinyml.signal.slots import SlotStream
from px4_tinyml.signal.spec import IMU_CHANNELS, PipelineSpec
from px4_tinyml.signal.vertical import UNKNOWN_MM_S, window_mm_s

FULL_RATE_SAMPLES = 3
"""A window with fewer samples per slot than this is of a stream that was decimated: vibration aliases."""


class Reason(IntFlag):
    """Why a decision is uncertain. REDUCED_SENSITIVITY and BARO_STALE alone do not make it uncertain."""

    ON_GROUND = 1
    MANOEUVRING = 2
    UNFAMILIAR = 4
    LOW_CONFIDENCE = 8
    BARO_STALE = 16
    NOT_MULTIROTOR = 32
    REDUCED_SENSITIVITY = 64


NOT_JUDGED = Reason.ON_GROUND | Reason.MANOEUVRING | Reason.UNFAMILIAR | Reason.NOT_MULTIROTOR
"""With any of these the air is not judged: the decision filter is not updated."""
MAKES_UNCERTAIN = NOT_JUDGED | Reason.LOW_CONFIDENCE
"""The other bits are notes."""


@dataclass(frozen=True)
class RawWindows:
    """Complete windows in order; sparse ones are counted but not classified.

    x[W,T,C]: float32, physical units about the mean, or [W,1,F] log energies. end_row[W]: row of the SlotStream that
    holds each window's last slot. vertical_mm_s[W], UNKNOWN_MM_S without; reasons[W]: Reason bits known before the
    network. Both are of `bands` specs.
    """

    x: F32
    start_us: U64
    end_us: U64
    baro_ok: Bool
    sparse: Bool
    segment: I64
    end_row: I64
    vertical_mm_s: I64
    reasons: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.x)


def make_windows(
    stream: SlotStream, spec: PipelineSpec, vertical_mm_s: Callable[[Bool], I64] | None = None
) -> RawWindows:
    """Step 3: the complete windows of a slot stream.

    vertical_mm_s: the vertical speed of its windows, where the caller knows it, given which of them are aliased.
    """
    end = _window_ends(stream, spec)
    rows = window_rows(end, spec)
    if spec.input == "samples":
        x, baro_ok = _samples(stream, rows, spec)
        vertical, reasons = np.full(len(end), UNKNOWN_MM_S), np.zeros(len(end), np.uint8)
    else:
        steps = slot_steps(stream.imu, spec.bands)
        energy = energies(steps[rows], spec)
        thinned = np.asarray(stream.samples[rows].sum(axis=1) < FULL_RATE_SAMPLES * spec.window)
        aliased = thinned & (energy[:, 1, -1] > energy_of(spec.vertical.alias_m_s2, spec.bands.accel_per_unit))
        vertical = vertical_mm_s(aliased) if vertical_mm_s else _vertical(steps, stream, end, aliased, spec)
        x = features(energy, vertical, spec)[:, None]
        baro_ok, reasons = _reasons(steps[rows], energy, thinned, stream, rows, spec)
    last = stream.index[end]
    return RawWindows(
        x=x,
        start_us=np.array([spec.slot_start_us(k - spec.window + 1) for k in last.tolist()], np.uint64),
        end_us=np.array([spec.slot_start_us(k + 1) for k in last.tolist()], np.uint64),
        baro_ok=baro_ok,
        sparse=_sparse(stream, rows, spec),
        segment=stream.segment[end],
        end_row=end,
        vertical_mm_s=vertical,
        reasons=reasons,
    )


def count_windows(stream: SlotStream, spec: PipelineSpec) -> int:
    """Number of complete windows that are not sparse, without their content."""
    return int((~_sparse(stream, window_rows(_window_ends(stream, spec), spec), spec)).sum())


def _window_ends(stream: SlotStream, spec: PipelineSpec) -> I64:
    """Row of the last slot of each complete window."""
    position = np.arange(len(stream.index))
    starts = np.flatnonzero(np.diff(stream.segment, prepend=-1) != 0)
    emitted = position - np.repeat(starts, np.diff(starts, append=len(position))) + 1
    return np.flatnonzero((emitted >= spec.window) & ((stream.index + 1) % spec.hop == 0))


def _sparse(stream: SlotStream, rows: I64, spec: PipelineSpec) -> Bool:
    """Windows with too many repeated slots, by their rows [W,T]."""
    return np.asarray(stream.repeated[rows].sum(axis=1) > spec.max_repeated_slots)


def window_rows(end: I64, spec: PipelineSpec) -> I64:
    """Rows of the SlotStream of each window [W,T], given its last one."""
    return np.asarray(end[:, None] + np.arange(1 - spec.window, 1), np.int64)


def _samples(stream: SlotStream, rows: I64, spec: PipelineSpec) -> tuple[F32, Bool]:
    """Windows [W,T,C] in physical units, and whether the barometer is good."""
    imu = stream.imu[:, [IMU_CHANNELS.index(c) for c in spec.channels if c in IMU_CHANNELS]][rows]
    x = about_mean(imu) if spec.imu_about_mean else imu
    baro_ok: Bool = np.ones(len(rows), np.bool_)
    if spec.uses_baro:
        baro_ok = np.asarray(~stream.stale[rows].any(axis=1))
        altitude = about_mean(stream.altitude_m[rows])
        altitude[~baro_ok] = 0.0
        x = np.concatenate([x, altitude[:, :, None]], axis=2)
    return x, baro_ok


def _vertical(steps: I16, stream: SlotStream, end: I64, aliased: Bool, spec: PipelineSpec) -> I64:
    if not spec.uses_baro:
        return np.full(len(end), UNKNOWN_MM_S)
    return window_mm_s(steps.astype(np.int64), stream, end, spec, aliased)


def _reasons(
    steps: I16, energy: I64, thinned: Bool, stream: SlotStream, rows: I64, spec: PipelineSpec
) -> tuple[Bool, NDArray[np.uint8]]:
    """Whether the barometer is good, and reasons of each window. steps[W,128,6], energy[W,group,band]."""
    baro_ok: Bool = np.ones(len(rows), np.bool_)
    if spec.uses_baro:
        baro_ok = np.asarray(~stream.stale[rows[:, -spec.vertical.mean_slots :]].any(axis=1))
    reasons = (
        np.where(stream.on_ground[rows[:, -1]], Reason.ON_GROUND, 0)
        | np.where(manoeuvring(steps, energy, spec), Reason.MANOEUVRING, 0)
        | np.where(baro_ok, 0, Reason.BARO_STALE)
        | np.where(thinned, Reason.REDUCED_SENSITIVITY, 0)
    )
    return baro_ok, reasons.astype(np.uint8)


def features(energy: I64, vertical_mm_s: I64, spec: PipelineSpec) -> F32:
    """The network's input before scaling, [W,F]: log energies, and the vertical speed in m/s where it is one."""
    x = log_energies(energy, spec)
    if len(spec.features) > x.shape[1]:
        known = np.where(vertical_mm_s == UNKNOWN_MM_S, 0, vertical_mm_s)
        x = np.concatenate([x, (known.astype(np.float32) / np.float32(1000.0))[:, None]], axis=1)
    return x


def about_mean(x: F32) -> F32:
    """x[W,T,…] minus its mean over T, in the order of operations of the contract."""
    difference = x - x[:, :1]
    total = np.add.accumulate(difference, axis=1, dtype=np.float32)[:, -1:]  # in order, unlike np.sum
    return np.asarray(difference - total / np.float32(x.shape[1]), np.float32)
