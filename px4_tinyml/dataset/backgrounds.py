"""Calm stretches of flights, into which gusts are injected: backgrounds, and their split into parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle.manifest import Part, SplitBy
from px4_tinyml.dataset.autolabel import EXCLUDE, label_slots, reference_at, slot_middles
from px4_tinyml.dataset.split import AIRFRAMES_FOR_A_SPLIT, PARTS, SHARES, by_hash
from px4_tinyml.flight_log import F32, I32, I64, U64, Bool, Columns, FlightLog, LabelSpan
from px4_tinyml.signal.decimate import thinned
from px4_tinyml.signal.energies import slot_steps
from px4_tinyml.signal.slots import SlotStream, feed, make_slots
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.signal.vertical import UNKNOWN_MM_S, slope_m_s, window_mm_s

BACKGROUND_EDR = 0.05
"""m^⅔/s. Air with a larger true EDR is no background."""
COPIES = ((None, 0.6), (2, 0.2), (1, 0.2))
"""Copies of a log, decimated without a filter to so many samples a slot (None: the log itself), and their shares."""
FOREVER = 2**62
"""A slot after every log's."""
LEFT_OUT = ("on the ground", "labelled turbulence or exclude", f"true EDR not known to be {BACKGROUND_EDR} or less")
TOO_SHORT = "in stretches shorter than a window"
NO_LANDED_STATE = "no landed state: taken as airborne throughout"


@dataclass(frozen=True)
class Slots(Columns):
    """Slots of one copy of a log. why[S]: 0 for calm air, else 1 + index into LEFT_OUT.

    index: absolute slot; label: as of autolabel.label_slots. baro_ok, vertical_mm_s (UNKNOWN_MM_S: unknown) and
    baro_slope_m_s are of a window that ends with the slot.
    """

    index: I64
    imu: F32
    repeated: Bool
    segment: I64
    why: NDArray[np.int8]
    label: I32
    velocity_down_m_s: F32
    baro_ok: Bool
    vertical_mm_s: I64
    baro_slope_m_s: F32

    SHAPES: ClassVar = {
        "index": (np.int64,), "imu": (np.float32, 6), "repeated": (np.bool_,), "segment": (np.int64,),
        "why": (np.int8,), "label": (np.int32,), "velocity_down_m_s": (np.float32,), "baro_ok": (np.bool_,),
        "vertical_mm_s": (np.int64,), "baro_slope_m_s": (np.float32,),
    }  # fmt: skip

    def stretches(self, low: int, high: int, window: int) -> I64:
        """First and last row + 1 of each calm stretch of at least a window, of absolute slots in [low, high): [K,2]."""
        usable = (self.why == 0) & (self.index >= low) & (self.index < high)
        run = np.where(usable, self.segment, -1)
        start = np.flatnonzero(np.diff(run, prepend=-2) != 0)
        end = np.append(start[1:], len(run))[: len(start)]
        long = (run[start] >= 0) & (end - start >= window)
        return np.stack([start[long], end[long]], axis=1)

    @classmethod
    def joined(cls, many: Sequence[Slots]) -> Slots:
        """Slots of several stretches, one after the other."""
        return cls(*(np.concatenate([getattr(slots, f.name) for slots in many]) for f in fields(cls)))

    def windows(self, low: int, high: int, spec: PipelineSpec) -> F32:
        """IMU of the calm windows that end with a hop, of absolute slots in [low, high): [W,window,6]."""
        first = [np.arange(start, end - spec.window + 1) for start, end in self.stretches(low, high, spec.window)]
        rows = np.concatenate([*first, np.zeros(0, np.int64)])
        rows = rows[(self.index[rows] + spec.window) % spec.hop == 0]
        return np.asarray(self.imu[rows[:, None] + np.arange(spec.window)])

    def rows(self, start: int, end: int) -> Slots:
        """Some rows."""
        return Slots(*(getattr(self, f.name)[start:end] for f in fields(self)))


@dataclass(frozen=True)
class Background:
    """A flight in air that counts as calm. flight: its key. copies: by COPIES, None where the log is too slow for one.

    simulated: its air is known. seconds: of usable background; left_out: seconds by reason.
    """

    log: FlightLog
    flight: str
    simulated: bool
    copies: tuple[Slots | None, ...]
    seconds: float
    left_out: Mapping[str, float]
    resets: Mapping[str, int]

    @property
    def full(self) -> Slots:
        """The log's own slots."""
        assert self.copies[0] is not None
        return self.copies[0]


@dataclass(frozen=True)
class Piece:
    """The slots of a background that are in one part: absolute slots in [low, high)."""

    background: Background
    part: Part
    low: int
    high: int


def read_background(log: FlightLog, spans: tuple[LabelSpan, ...], flight: str, spec: PipelineSpec) -> Background:
    """Calm stretches of a log and of its decimated copies."""
    simulated = log.reference is not None and bool(np.isfinite(log.reference.edr_m23_s).any())
    stream = make_slots(feed(log, spec), spec)
    full = _slots(log, stream, spans, simulated, None, spec)
    copies: list[Slots | None] = [full]
    for samples in (samples for samples, _ in COPIES if samples and len(full)):
        copy = thinned(log, samples * spec.rate_hz)
        slots = make_slots(feed(copy, spec), spec) if copy else None
        copies.append(_slots(copy, slots, spans, simulated, full, spec) if copy and slots else None)
    stretches = full.stretches(0, FOREVER, spec.window)
    used = int((stretches[:, 1] - stretches[:, 0]).sum())
    counts = {why: int((full.why == 1 + i).sum()) for i, why in enumerate(LEFT_OUT)}
    counts[TOO_SHORT] = int((full.why == 0).sum()) - used
    left_out = {why: n / spec.rate_hz for why, n in counts.items() if n}
    if not _has_landed_state(log):
        log = replace(log, warnings=(*log.warnings, NO_LANDED_STATE))
    return Background(log, flight, simulated, tuple(copies), used / spec.rate_hz, left_out, stream.resets)


def _has_landed_state(log: FlightLog) -> bool:
    reference = log.reference
    known = reference is not None and ((reference.airborne >= 0) | (reference.armed >= 0)).any()
    return log.on_ground is not None or bool(known)


def _slots(
    log: FlightLog,
    stream: SlotStream,
    spans: tuple[LabelSpan, ...],
    simulated: bool,
    full: Slots | None,
    spec: PipelineSpec,
) -> Slots:
    """Slots of a copy. full: those of the log itself, whose vertical speeds the others take."""
    middle = slot_middles(stream, spec)
    why = np.zeros(len(middle), np.int8)
    if simulated:
        with np.errstate(invalid="ignore"):
            why[~(reference_at(log, "edr_m23_s", middle) <= BACKGROUND_EDR)] = 3
    why[_labelled(middle, (*log.labels, *spans))] = 2
    why[stream.on_ground] = 1
    vertical, slope, baro_ok = _vertical(stream, spec) if full is None else _vertical_of(full, stream, spec)
    return Slots(
        index=stream.index,
        imu=stream.imu,
        repeated=stream.repeated,
        segment=stream.segment,
        why=why,
        label=label_slots(log, middle, spec, spans),
        velocity_down_m_s=reference_at(log, "velocity_down_m_s", middle),
        baro_ok=baro_ok,
        vertical_mm_s=vertical,
        baro_slope_m_s=slope,
    )


def _vertical(stream: SlotStream, spec: PipelineSpec) -> tuple[I64, F32, Bool]:
    """Vertical speed, mm/s, slope of the barometer, m/s, and whether it is good, of windows that end with each slot."""
    count, n = len(stream.index), spec.vertical.mean_slots
    vertical, slope = np.full(count, UNKNOWN_MM_S), np.full(count, np.nan, np.float32)
    baro_ok = np.full(count, not spec.uses_baro)
    if spec.uses_baro:
        end = np.flatnonzero(np.arange(count) - np.searchsorted(stream.segment, stream.segment) >= n - 1)
        stale = np.concatenate([[0], np.cumsum(stream.stale)])
        baro_ok[end] = stale[end + 1] == stale[end + 1 - n]
        vertical[end] = window_mm_s(slot_steps(stream.imu, spec.bands).astype(np.int64), stream, end, spec)
        slope[end] = slope_m_s(stream, end, baro_ok[end], spec)
    return vertical, slope, baro_ok


def _vertical_of(full: Slots, stream: SlotStream, spec: PipelineSpec) -> tuple[I64, F32, Bool]:
    """The same of the slots of a decimated copy, unknown where the log itself has no such slot."""
    order = np.argsort(full.index, kind="stable")
    at = order[np.minimum(np.searchsorted(full.index[order], stream.index), len(order) - 1)]
    found = full.index[at] == stream.index
    return (
        np.where(found, full.vertical_mm_s[at], UNKNOWN_MM_S),
        np.where(found, full.baro_slope_m_s[at], np.float32(np.nan)),
        np.where(found, full.baro_ok[at], not spec.uses_baro),
    )


def _labelled(time_us: U64, spans: tuple[LabelSpan, ...]) -> Bool:
    """Times within spans of turbulence, or excluded ones."""
    inside = np.zeros(len(time_us), np.bool_)
    for span in spans:
        if span.label in (TURBULENCE_LABEL, EXCLUDE):
            inside |= (time_us >= span.start_us) & (time_us < span.end_us)
    return inside


def split_backgrounds(
    backgrounds: Sequence[Background], window: int, by: SplitBy | None = None
) -> tuple[list[Piece], SplitBy]:
    """Parts of backgrounds: by the hash of the vehicle's key, so that it is in the same part of every data set.

    Where that leaves a part empty and there are at least 5 vehicles, the nearest by hash is moved there; with fewer,
    flights are split, and with fewer than three flights each flight by time. A part may be empty even so.
    by: split so, however many there are.
    """
    vehicles = [b.log.vehicle for b in backgrounds]
    of_vehicle = by_hash(vehicles, fill=len(set(vehicles)) >= AIRFRAMES_FOR_A_SPLIT)
    if by == "airframe" or (by is None and set(of_vehicle.values()) == set(PARTS)):
        return [_whole(b, of_vehicle[b.log.vehicle]) for b in backgrounds], "airframe"
    of_flight = by_hash([b.flight for b in backgrounds])
    if by == "flight" or (by is None and set(of_flight.values()) == set(PARTS)):
        return [_whole(b, of_flight[b.flight]) for b in backgrounds], "flight"
    return [piece for b in backgrounds for piece in _by_time(b, window)], "stretch"


def _whole(background: Background, part: Part) -> Piece:
    return Piece(background, part, 0, int(background.full.index.max()) + 1)


def _by_time(background: Background, window: int) -> list[Piece]:
    """A flight cut into three at 60 and 80 % of its calm slots; without those parts that have no window."""
    full = background.full
    usable = np.sort(np.concatenate([full.index[a:b] for a, b in full.stretches(0, FOREVER, window)]))
    cuts = [int(usable[round(share * len(usable))]) for share in (SHARES[0], SHARES[0] + SHARES[1])]
    edges = [0, *cuts, int(full.index.max()) + 1]
    pieces = [Piece(background, part, edges[i], edges[i + 1]) for i, part in enumerate(PARTS)]
    return [p for p in pieces if len(full.stretches(p.low, p.high, window))]
