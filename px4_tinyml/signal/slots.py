"""Steps 0 to 2 of the signal path: samples in order of delivery, averaged into slots, with the altitude of each slot.

docs/signal_path.md is the contract. Everything is vectorised over a whole log, and every float32 sum is done in
arrival order, so that the streaming C++ gives the same bits.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import LogError
from px4_tinyml.flight_log import F32, U64, Bool, FlightLog, ReferenceSeries
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.units import US_PER_S

I64 = NDArray[np.int64]

MAX_SAMPLE = np.float32(10_000.0)
"""IMU values beyond this (m/s² or rad/s), infinite or NaN are no measurement: sums can then not overflow."""
MAX_ALTITUDE_M = np.float32(100_000.0)
"""Barometer values beyond this are ignored, for the same reason."""


@dataclass(frozen=True)
class Feed:
    """One log as the events every target consumes, in one order.

    imu[N,6] is ax ay az gx gy gz (m/s², rad/s, FRD); baro_before[N] is the number of barometer samples that are
    delivered before each IMU sample; on_ground[N] is the landed state delivered before it (False: airborne or
    unknown; by default unknown throughout). LogError when on_ground has another length.
    """

    imu_time_us: U64
    imu: F32
    baro_time_us: U64
    baro_altitude_m: F32
    baro_before: I64
    on_ground: Bool = field(default_factory=lambda: np.zeros(0, np.bool_))

    def __post_init__(self) -> None:
        if not len(self.on_ground):
            object.__setattr__(self, "on_ground", np.zeros(len(self.imu_time_us), np.bool_))
        if len(self.on_ground) != len(self.imu_time_us):
            raise LogError(f"feed: {len(self.on_ground)} landed states for {len(self.imu_time_us)} IMU samples")


@dataclass(frozen=True)
class SlotStream:
    """Emitted slots in order: absolute index, imu[S,6] means, altitude, flags, segment between resets.

    samples[S]: number of IMU samples of each slot, 0 for a repeated one. on_ground[S]: landed at one of its samples.
    """

    index: I64
    imu: F32
    altitude_m: F32
    repeated: Bool
    stale: Bool
    segment: I64
    samples: I64
    on_ground: Bool
    resets: dict[str, int]


def feed(log: FlightLog, spec: PipelineSpec) -> Feed:
    """Step 0: IMU, barometer and landed state in order of reception if known, else by time, the IMU last."""
    time = log.imu.timestamp_us
    ground = _on_ground(time, log.reference) if log.on_ground is None else log.on_ground
    imu = np.concatenate([log.imu.accel_m_s2, log.imu.gyro_rad_s], axis=1)
    if log.complete and len(time):
        # A complete capture fills its first and last slot: one more sample on either side closes them.
        first = spec.slot_start_us(max(spec.slot_of(int(time[0])) - 1, 0))
        last = spec.slot_start_us(spec.slot_of(int(time[-1])) + 1)
        time = np.concatenate([np.array([first], np.uint64), time, np.array([last], np.uint64)])
        imu = np.concatenate([imu[:1], imu, imu[-1:]])
        ground = np.concatenate([ground[:1], ground, ground[-1:]])
    if log.baro is None or not spec.uses_baro:
        empty_time, empty = np.zeros(0, np.uint64), np.zeros(0, np.float32)
        return Feed(time, imu, empty_time, empty, np.zeros(len(time), np.int64), ground)
    baro_time = log.baro.timestamp_us
    before = delivered_before(time, baro_time) if log.baro_before is None else log.baro_before
    return Feed(time, imu, baro_time, log.baro.altitude_m, before, ground)


def _on_ground(imu_time: U64, reference: ReferenceSeries | None) -> Bool:
    """The newest landed state of a reference at each IMU sample: landed, or not armed where landed is unknown."""
    if reference is None or not len(reference):
        return np.zeros(len(imu_time), np.bool_)
    state = (reference.airborne == 0) | ((reference.airborne < 0) & (reference.armed == 0))
    newest = delivered_before(imu_time, reference.timestamp_us) - 1
    return np.asarray((newest >= 0) & state[np.maximum(newest, 0)])


def delivered_before(imu_time: U64, baro_time: U64) -> I64:
    """How many barometer samples (or other events) are delivered before each IMU sample.

    Where the clock ran backwards equally often in both series, the stretches between are matched one to one;
    otherwise both are merged by the latest time seen so far, which is a rule good for any input.
    """
    imu_cuts, baro_cuts = _backward_steps(imu_time), _backward_steps(baro_time)
    if len(imu_cuts) != len(baro_cuts):
        imu_time, baro_time = np.maximum.accumulate(imu_time), np.maximum.accumulate(baro_time)
        imu_cuts = baro_cuts = np.zeros(0, np.int64)
    before = np.zeros(len(imu_time), np.int64)
    imu_parts = itertools.pairwise([0, *imu_cuts.tolist(), len(imu_time)])
    baro_parts = itertools.pairwise([0, *baro_cuts.tolist(), len(baro_time)])
    for (i0, i1), (b0, b1) in zip(imu_parts, baro_parts, strict=True):
        before[i0:i1] = b0 + np.searchsorted(baro_time[b0:b1], imu_time[i0:i1], side="right")
    return before


def _backward_steps(time: U64 | I64) -> I64:
    return np.flatnonzero(time[1:] < time[:-1]) + 1


def slot_of(time_us: U64, spec: PipelineSpec) -> I64:
    """Absolute slot index of each time."""
    seconds, rest = np.divmod(time_us, np.uint64(US_PER_S))
    rate = np.uint64(spec.rate_hz)
    slot: I64 = (seconds * rate + rest * rate // np.uint64(US_PER_S)).astype(np.int64)
    return slot


def make_slots(events: Feed, spec: PipelineSpec) -> SlotStream:
    """Steps 1 and 2: average samples into slots, fill short gaps, reset at everything else."""
    with np.errstate(invalid="ignore"):
        plausible = (np.abs(events.imu) <= MAX_SAMPLE).all(axis=1)
    sample = np.flatnonzero(plausible)
    time, imu = events.imu_time_us[sample], events.imu[sample]
    slot = slot_of(time, spec)

    # A group is a run of samples that share one open slot; `fresh` groups follow a reset.
    after_bad = np.diff(sample, prepend=-1) > 1
    backwards = np.zeros(len(sample), np.bool_)
    backwards[1:] = time[1:] < time[:-1]
    restart = after_bad | backwards
    restart[:1] = True
    first = np.flatnonzero(restart | (np.diff(slot, prepend=-1) != 0))
    group_slot = slot[first]
    fresh = restart[first]
    missing = np.diff(group_slot, prepend=0) - 1
    gap = ~fresh & (missing > spec.max_gap_slots)
    start = fresh | gap
    segment = np.cumsum(start) - 1

    # Partial: no slot that follows another without a hole has been seen since the reset.
    adjacent = np.cumsum(~start & (missing == 0))
    partial = adjacent == adjacent[np.flatnonzero(start)][segment] if len(first) else np.zeros(0, np.bool_)
    closed = np.append(~fresh[1:], False) if len(first) else np.zeros(0, np.bool_)
    emitted = np.flatnonzero(closed & ~partial)

    following = emitted + 1
    repeats = np.where(start[following], 0, missing[following])
    source = np.repeat(emitted, repeats + 1)
    step = np.arange(len(source)) - np.repeat(np.cumsum(repeats + 1) - (repeats + 1), repeats + 1)
    index = group_slot[source] + step
    delivered = events.baro_before[sample[first[source + 1]]]
    altitude, stale = _altitude(events, spec, index, delivered)
    means = _means(imu, first)
    counts = {"non_finite": int((~plausible).sum()), "backwards": int(backwards.sum()), "gap": int(gap.sum())}
    samples = np.where(step > 0, 0, np.diff(first, append=len(imu))[source])
    ground = np.logical_or.reduceat(events.on_ground[sample], first) if len(first) else np.zeros(0, np.bool_)
    return SlotStream(
        index, means[source], altitude, step > 0, stale, segment[source], samples, ground[source], counts
    )  # fmt: skip


def _means(imu: F32, first: I64) -> F32:
    """Mean of each group, float32, summed in arrival order (np.add.at adds one by one; reduceat does not)."""
    count = np.diff(first, append=len(imu))
    group = np.repeat(np.arange(len(first)), count)
    sums = np.zeros((imu.shape[1], len(first)), np.float32)
    for channel, values in enumerate(imu.T):
        np.add.at(sums[channel], group, values)
    return np.asarray((sums / count.astype(np.float32)).T, np.float32)


def _altitude(events: Feed, spec: PipelineSpec, index: I64, delivered: I64) -> tuple[F32, Bool]:
    """Step 2: altitude of each emitted slot and whether it is stale, given the samples delivered by then."""
    with np.errstate(invalid="ignore"):
        good = np.abs(events.baro_altitude_m) <= MAX_ALTITUDE_M
    slot = slot_of(events.baro_time_us[good], spec)
    value = events.baro_altitude_m[good]
    delivered = np.concatenate([[0], np.cumsum(good)])[delivered]
    rank = np.cumsum(np.diff(slot, prepend=-1) != 0)

    found = np.full(len(index), -1)
    wanted = index - spec.baro_lag_slots
    cuts = _backward_steps(slot).tolist()  # the barometer's clock ran backwards: drop all
    for low, high in itertools.pairwise([0, *cuts, len(slot)]):
        at = np.flatnonzero((delivered > low) & (delivered <= high))
        newest = delivered[at] - 1
        entry = np.minimum(low + np.searchsorted(slot[low:high], wanted[at], side="right") - 1, newest)
        kept = (entry >= low) & (rank[newest] - rank[np.maximum(entry, 0)] < spec.baro_ring_slots)
        found[at] = np.where(kept, entry, -1)
    known = found >= 0
    stale = np.ones(len(index), np.bool_)
    stale[known] = index[known] - slot[found[known]] > spec.baro_stale_slots
    altitude = np.zeros(len(index), np.float32)
    altitude[~stale] = value[found[~stale]]
    return altitude, stale
