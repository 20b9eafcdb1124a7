"""Step 3 of the signal path: complete windows of a slot stream, about their means (docs/signal_path.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from px4_tinyml.flight_log import F32, U64, Bool
from px4_tinyml.signal.slots import I64, SlotStream
from px4_tinyml.signal.spec import IMU_CHANNELS, PipelineSpec


@dataclass(frozen=True)
class RawWindows:
    """Complete windows in order: x[W,T,C] float32 physical; sparse ones are counted but not classified.

    end_row[W]: row of the SlotStream that holds each window's last slot.
    """

    x: F32
    start_us: U64
    end_us: U64
    baro_ok: Bool
    sparse: Bool
    segment: I64
    end_row: I64

    def __len__(self) -> int:
        return len(self.x)


def make_windows(stream: SlotStream, spec: PipelineSpec) -> RawWindows:
    """Step 3: the complete windows of a slot stream."""
    position = np.arange(len(stream.index))
    starts = np.flatnonzero(np.diff(stream.segment, prepend=-1) != 0)
    emitted = position - np.repeat(starts, np.diff(starts, append=len(position))) + 1
    end = np.flatnonzero((emitted >= spec.window) & ((stream.index + 1) % spec.hop == 0))
    rows = end[:, None] + np.arange(1 - spec.window, 1)

    imu = stream.imu[:, [IMU_CHANNELS.index(c) for c in spec.channels if c in IMU_CHANNELS]][rows]
    x = about_mean(imu) if spec.imu_about_mean else imu
    baro_ok = np.ones(len(end), np.bool_)
    if spec.uses_baro:
        baro_ok = ~stream.stale[rows].any(axis=1)
        altitude = about_mean(stream.altitude_m[rows])
        altitude[~baro_ok] = 0.0
        x = np.concatenate([x, altitude[:, :, None]], axis=2)
    last = stream.index[end]
    return RawWindows(
        x=x,
        start_us=np.array([spec.slot_start_us(k - spec.window + 1) for k in last.tolist()], np.uint64),
        end_us=np.array([spec.slot_start_us(k + 1) for k in last.tolist()], np.uint64),
        baro_ok=baro_ok,
        sparse=stream.repeated[rows].sum(axis=1) > spec.max_repeated_slots,
        segment=stream.segment[end],
        end_row=end,
    )


def about_mean(x: F32) -> F32:
    """x[W,T,…] minus its mean over T, in the order of operations of the contract."""
    difference = x - x[:, :1]
    total = np.add.accumulate(difference, axis=1, dtype=np.float32)[:, -1:]  # in order, unlike np.sum
    return np.asarray(difference - total / np.float32(x.shape[1]), np.float32)
