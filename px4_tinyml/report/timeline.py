"""One stored flight as a timeline: signals, truth and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import TrainedFlight
from px4_tinyml.dataset.autolabel import BETWEEN
from px4_tinyml.dataset.store import FlightWindows
from px4_tinyml.flight_log import F32, I32, I64, U64
from px4_tinyml.signal.air_decision import decide_air
from px4_tinyml.signal.classifier import further_reasons
from px4_tinyml.signal.decision import ONE_Q16, decide
from px4_tinyml.signal.scaling import quantize
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.signal.vertical import UNKNOWN_MM_S
from px4_tinyml.signal.windows import Reason
from px4_tinyml.training.quantize import run_int8

F64 = NDArray[np.float64]

SHOWN_HOLE_S = 10.0
"""Longer holes (and jumps of the clock) are drawn this long."""


@dataclass(frozen=True)
class Timeline:
    """What the chart draws; times are seconds on the chart's axis.

    end_s[W]: end of each window, which is drawn as the hop before it. truth[W]: label index or BETWEEN.
    decision[W]: class index or UNCERTAIN; confidence[W] 0…1. altitude_m, climb_m_s, edr_m23_s [W] at the
    window's end, NaN where unknown. slot_s[S], slots[S]: slot means by channel (m/s², about their mean), with a
    NaN row where slots are missing. broken[W]: slots are missing before this window. cut: a hole was shortened.
    """

    end_s: F64
    hop_s: float
    truth: I32
    decision: I32
    confidence: F64
    altitude_m: F32
    climb_m_s: F32
    edr_m23_s: F32
    slot_s: F64
    slots: dict[str, F64]
    broken: NDArray[np.bool_]
    cut: bool

    @property
    def has_between(self) -> bool:
        """True when the truth has windows with EDR between calm and turbulent."""
        return bool((self.truth == BETWEEN).any())

    @property
    def agreement(self) -> tuple[int, int, int]:
        """Labelled windows whose decision is the truth, is uncertain, and all labelled windows."""
        labelled = self.truth >= 0
        right = int((self.decision == self.truth)[labelled].sum())
        return right, int((self.decision[labelled] < 0).sum()), int(labelled.sum())


def build_timeline(bundle: ModelBundle, flight: FlightWindows) -> Timeline:
    """The timeline of one flight. The decision filter restarts after a hole, as it does after a gap."""
    spec = bundle.spec
    end_slot = np.array([spec.slot_of(int(t)) for t in flight.start_us], np.int64) + spec.window
    step = np.diff(end_slot, prepend=end_slot[:1] - spec.window)
    segment = np.cumsum(step != spec.hop)
    end_us = np.array([spec.slot_start_us(int(k)) for k in end_slot], np.uint64)
    decisions = _decide(bundle, flight, segment, end_us)

    longest = max(round(SHOWN_HOLE_S * spec.rate_hz), spec.window)
    shown = np.where((step <= 0) | (step > longest), longest, step)
    shown[:1] = spec.window
    end_s = np.cumsum(shown) / spec.rate_hz
    slot_s, slots = _slot_means(flight, spec, end_s, np.minimum(shown, spec.window), shown > spec.window)
    return Timeline(
        end_s=end_s,
        hop_s=spec.hop / spec.rate_hz,
        truth=flight.y,
        decision=decisions["class_index"].astype(np.int32),
        confidence=decisions["confidence_q16"] / ONE_Q16,
        altitude_m=flight.altitude_m,
        climb_m_s=-flight.velocity_down_m_s,
        edr_m23_s=flight.edr_m23_s,
        slot_s=slot_s,
        slots=slots,
        broken=shown > spec.window,
        cut=bool((shown != step).any()),
    )


def _decide(bundle: ModelBundle, flight: FlightWindows, segment: I64, end_us: U64) -> NDArray[np.void]:
    """Decisions of stored windows; none of them is on the ground or manoeuvring."""
    spec, output = bundle.spec, bundle.graph.output
    outputs = run_int8(bundle.model, flight.x, spec)
    if spec.input == "samples":
        return decide(outputs, ~flight.baro_ok, segment, flight.start_us, end_us, spec)
    source = bundle.graph.input
    inputs = quantize(flight.x, spec, source.scale, source.zero_point)
    reasons = np.asarray(further_reasons(inputs, True, spec) | np.where(flight.baro_ok, 0, Reason.BARO_STALE), np.uint8)
    known = np.isfinite(flight.vertical_speed_m_s)
    vertical = np.where(known, np.rint(np.nan_to_num(flight.vertical_speed_m_s) * 1000.0), UNKNOWN_MM_S)
    quantization = (output.scale, output.zero_point)
    times = (flight.start_us, end_us)
    return decide_air(outputs, reasons, vertical.astype(np.int64), flight.baro_ok, segment, *times, spec, quantization)


def _slot_means(
    flight: FlightWindows, spec: PipelineSpec, end_s: F64, fresh: NDArray[np.int64], broken: NDArray[np.bool_]
) -> tuple[F64, dict[str, F64]]:
    """Every slot once: of each window its last `fresh` ones, and a NaN before a window after missing slots."""
    if spec.input == "bands":
        return np.zeros(0), {}
    channels: list[str] = [c for c in ("ax", "ay", "az") if c in spec.channels]
    at = [spec.channels.index(c) for c in channels]
    times, values = [], []
    for x, end, count, after_hole in zip(flight.x, end_s, fresh, broken, strict=True):
        time = end - (count - np.arange(count)) / spec.rate_hz
        if after_hole:
            times.append(time[:1])
            values.append(np.full((1, len(at)), np.nan))
        times.append(time)
        values.append(x[len(x) - count :, at])
    joined = np.concatenate(values).astype(np.float64)
    if not spec.imu_about_mean:
        joined = joined - np.nanmedian(joined, axis=0)
    return np.concatenate(times), {name: joined[:, i] for i, name in enumerate(channels)}


def choose_flights(flights: Sequence[TrainedFlight], accuracy: dict[str, float]) -> list[int]:
    """Positions of up to two test flights with labels: the one with the most, and the one with the lowest accuracy."""
    test = [i for i, flight in enumerate(flights) if flight.part == "test" and flight.source in accuracy]
    if not test:
        return []

    def richness(i: int) -> tuple[int, bool, int]:
        labels = flights[i].labels
        return sum(n > 0 for n in labels.values()), labels.get(TURBULENCE_LABEL, 0) > 0, sum(labels.values())

    richest = max(test, key=richness)
    worst = min(test, key=lambda i: accuracy[flights[i].source])
    return [richest] if worst == richest else [richest, worst]
