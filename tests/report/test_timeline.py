"""The timeline of a flight: every slot once, holes where they are, the vehicle's own decisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import Part, TrainedFlight
from px4_tinyml.dataset.build import prepare
from px4_tinyml.flight_log import U64, FlightLog
from px4_tinyml.report.charts import timeline_chart
from px4_tinyml.report.timeline import Timeline, build_timeline, choose_flights
from px4_tinyml.signal.slots import feed, make_slots

from .conftest import make_flight

US = 1_000_000


def timeline_of(log: FlightLog, bundle: ModelBundle) -> Timeline:
    return build_timeline(bundle, prepare(log, replace(bundle.spec, offset=None, inv_scale=None)).windows)


def test_decisions_and_slots_equal_those_of_the_log(bundle: ModelBundle) -> None:
    """Up to the first hole, decisions from stored windows equal those from samples."""
    log = make_flight("a.ulg", "quad", 3)
    timeline = timeline_of(log, bundle)
    stored = prepare(log, replace(bundle.spec, offset=None, inv_scale=None)).windows
    decided = bundle.classifier().classify(log).decisions
    first_run = int(np.argmax(np.diff(stored.start_us.astype(np.int64)) > 0.65 * US)) + 1
    assert first_run > 10
    # Restarted where the stored windows begin: the filter has not seen the ground before them.
    at = int(np.searchsorted(decided["start_us"], stored.start_us[0]))
    settled = slice(8, first_run)
    assert timeline.decision[settled].tolist() == decided["class_index"][at:][settled].tolist()
    assert np.allclose(timeline.confidence[settled] * 65536, decided["confidence_q16"][at:][settled], atol=300)

    stream = make_slots(feed(log, bundle.spec), bundle.spec)
    slot = bundle.spec.slot_of(int(stored.start_us[0]))
    rows = slice(int(np.searchsorted(stream.index, slot)), None)
    count = bundle.spec.window + (first_run - 1) * bundle.spec.hop
    first = stream.imu[rows][: bundle.spec.window, 2]
    assert np.allclose(timeline.slots["az"][: bundle.spec.window], first - first.mean(), atol=1e-5)
    assert np.allclose(np.diff(timeline.slot_s[:count]), 0.02)


def test_truth_and_agreement(bundle: ModelBundle) -> None:
    timeline = timeline_of(make_flight("a.ulg", "quad", 3), bundle)
    right, uncertain, labelled = timeline.agreement
    assert labelled == (timeline.truth >= 0).sum() < len(timeline.truth)
    assert right == sum(t == d for t, d in zip(timeline.truth, timeline.decision, strict=True) if t >= 0)
    assert uncertain == sum(d < 0 for t, d in zip(timeline.truth, timeline.decision, strict=True) if t >= 0)
    turbulence = bundle.spec.labels.index("turbulence")
    assert np.median(timeline.edr_m23_s[timeline.truth == turbulence]) == pytest.approx(0.3)
    assert np.median(timeline.climb_m_s[timeline.truth == bundle.spec.labels.index("climb")]) == pytest.approx(1.5)


@pytest.mark.parametrize("jump_us", [3600 * US, -20 * US], ids=["an hour of nothing", "a clock that runs back"])
def test_long_holes_are_shortened(jump_us: int, bundle: ModelBundle) -> None:
    log = make_flight("a.ulg", "quad", 3)
    late = int(log.imu.timestamp_us[len(log.imu) // 2])

    def moved(time_us: U64) -> U64:
        return np.where(time_us < late, time_us, time_us.astype(np.int64) + jump_us).astype(np.uint64)

    assert log.reference is not None
    imu = replace(log.imu, timestamp_us=moved(log.imu.timestamp_us))
    reference = replace(log.reference, timestamp_us=moved(log.reference.timestamp_us))
    timeline = timeline_of(replace(log, imu=imu, reference=reference), bundle)
    assert timeline.cut and timeline.broken.any()
    step = np.diff(timeline.end_s)
    assert step.min() > 0 and step.max() == pytest.approx(10.0)
    assert np.isnan(timeline.slots["az"]).sum() == timeline.broken.sum()
    assert (np.diff(timeline.slot_s) >= 0).all()


def test_chart_is_drawn_for_both_widths_and_stays_small(bundle: ModelBundle) -> None:
    log = make_flight("long.ulg", "quad", 4, leg_s=300.0)
    chart = timeline_chart(timeline_of(log, bundle), bundle.spec, "t")
    assert 'class="chart laptop"' in chart and 'class="chart phone"' in chart
    assert "#fe00" not in chart and "var(--label-3)" in chart and "EDR" in chart
    assert len(chart) < 400_000  # half an hour of flight


def test_the_richest_and_the_worst_flight_are_chosen() -> None:
    def flight(source: str, part: Part, **labels: int) -> TrainedFlight:
        return TrainedFlight(source, "quad", part, labels)

    flights = [
        flight("train", "train", level=9, climb=9, turbulence=9),
        flight("calm", "test", level=50, climb=50, turbulence=0),
        flight("gusty", "test", level=5, climb=0, turbulence=5),
        flight("bad", "test", level=5, climb=0, turbulence=0),
    ]
    assert choose_flights(flights, {"calm": 0.9, "gusty": 0.8, "bad": 0.1}) == [2, 3]
    assert choose_flights(flights, {"calm": 0.9, "gusty": 0.1, "bad": 0.8}) == [2]
    assert choose_flights(flights[:1], {}) == []


def test_a_flight_without_a_labelled_window_is_not_chosen() -> None:
    """All its windows lie between calm and turbulent: it has no accuracy."""
    flights = [TrainedFlight(source, "quad", "test", {"level": n}) for source, n in (("open", 0), ("calm", 9))]
    assert choose_flights(flights, {"calm": 1.0}) == [1]
