"""A live link and its recording give the same samples and decisions, also on a bad link."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_samples import FLIGHTS, RECEIVED_US, Sender, delivered, motion

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.companion import Companion
from px4_tinyml.classify.mavlink_report import MavlinkReport
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs.tlog.read_tlog import read_tlog
from px4_tinyml.logs.tlog.tlog_file import tlog_records
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.mavlink.samples import BARO_PAUSE_US, MavlinkStream
from px4_tinyml.signal.decision import DECISION, DECISION_FIELDS
from px4_tinyml.signal.slots import feed
from px4_tinyml.targets.host.library import HostPipeline


class Collected:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.imu: list[tuple[int, list[float]]] = []
        self.baro: list[tuple[int, float]] = []
        self.baro_before: list[int] = []
        self.ground: list[bool] = []
        self._on_ground = False

    def push_imu(self, time_us: int, values: Sequence[float]) -> None:
        self.imu.append((time_us, list(values)))
        self.baro_before.append(len(self.baro))
        self.ground.append(self._on_ground)

    def push_baro(self, time_us: int, altitude_m: float) -> None:
        self.baro.append((time_us, altitude_m))

    def push_ground(self, on_ground: bool) -> None:
        self._on_ground = on_ground


def streamed(frames: Sequence[Frame]) -> tuple[Collected, MavlinkStream]:
    """All frames of one component through the stream."""
    sink = Collected()
    stream = MavlinkStream(sink)
    for frame in frames:
        stream.frame(frame)
    return sink, stream


def recordings(frames: Sequence[Frame]) -> dict[tuple[int, int], FlightLog]:
    """The same frames, recorded and read back, by sender."""
    senders = sorted({(f.system, f.component) for f in frames if f.message_id in (105, 27, 116)})
    logs = read_tlog(Path("made.tlog"), tlog_records(frames), "0")
    assert len(logs) == len(senders)
    return dict(zip(senders, logs, strict=True))


BOOTS_US = (0, 3_000_000, 70_000_000, 4_294_966_000_000)
"""Times of the first sample; in the last flights 32-bit milliseconds run over."""


@st.composite
def arrivals(draw: st.DrawFn) -> list[Frame]:
    """Two vehicles on one port, one or both rebooting, over a link that loses, copies and reorders."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sent = []
    for system in (1, 7):
        flight = FLIGHTS[draw(st.sampled_from(sorted(FLIGHTS)))]
        sender = Sender(system, version=draw(st.sampled_from([1, 2])))
        start_s = 0.0
        for boot_us in draw(st.lists(st.sampled_from(BOOTS_US), min_size=1, max_size=2)):
            seconds = draw(st.sampled_from([1.0, 3.0]))
            sent += [(start_s + t_s, frame) for t_s, frame in flight(sender, rng, seconds, boot_us)]
            for at_s in (0.1, 0.6):
                landed_state = draw(st.integers(0, 4))
                state = sender.m.MAVLink_extended_sys_state_message(0, landed_state)
                sent.append((start_s + at_s, sender.frame(state)))
            start_s += seconds + draw(st.sampled_from([0.0, 0.5, 3.0]))
    sent.sort(key=lambda item: item[0])
    shares = [draw(st.sampled_from([0.0, 0.02, 0.1])) for _ in range(3)]
    return delivered(sent, rng, *shares)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(arrivals())
def test_samples_and_decisions_equal_those_of_the_recording(
    bundle: ModelBundle, library: Path, frames: list[Frame]
) -> None:
    classifier = bundle.classifier()
    for (system, component), log in recordings(frames).items():
        sink, _ = streamed([f for f in frames if (f.system, f.component) == (system, component)])
        assert np.array_equal(log.imu.timestamp_us, [t for t, _ in sink.imu])
        values = np.array([v for _, v in sink.imu], np.float32)
        assert np.array_equal(log.imu.accel_m_s2, values[:, :3]) and np.array_equal(log.imu.gyro_rad_s, values[:, 3:])
        assert log.baro_before is not None and np.array_equal(log.baro_before, sink.baro_before)
        assert log.on_ground is not None and np.array_equal(log.on_ground, sink.ground)
        if log.baro is None:
            assert not sink.baro
        else:
            assert np.array_equal(log.baro.timestamp_us, [t for t, _ in sink.baro])
            assert np.array_equal(log.baro.altitude_m, np.array([a for _, a in sink.baro], np.float32))

        companion = Companion(HostPipeline(library, bundle.spec), system, component)
        made = [d for i in range(0, len(frames), 7) for d in companion.take(frames[i : i + 7])]
        offline = classifier.run(feed(log, bundle.spec))
        assert companion.counts == offline.counts
        live = np.array([d.decision for d in made], DECISION)
        for name in DECISION_FIELDS:
            assert np.array_equal(live[name], offline.decisions[name]), name


def test_bad_links_lose_frames_and_many_windows_are_classified(bundle: ModelBundle, library: Path) -> None:
    """So that the property above is not empty."""
    rng = np.random.default_rng(4)
    sender = Sender(1)
    sent = list(FLIGHTS["px4"](sender, rng, 20.0, 5_000_000))
    frames = delivered(sent, rng, 0.02, 0.1, 0.1)
    companion = Companion(HostPipeline(library, bundle.spec), 1, 1)
    made = companion.take(frames)
    counts = companion.stream
    assert len(made) > 100 and len({int(d.decision["class_index"]) for d in made}) >= 3
    assert counts.duplicates > 30 and counts.late > 30 and counts.clock_restarts > 0 and counts.not_updated > 5
    assert companion.counts["sparse"] + companion.counts["reset_gap"] > 0


def test_a_reboot_restarts_and_late_frames_do_not() -> None:
    rng, sender = np.random.default_rng(1), Sender(1)
    before = [sender.highres(90_000_000 + i * 20_000, motion(rng, 0), 0.0) for i in range(100)]
    after = [sender.highres(2_000_000 + i * 20_000, motion(rng, 0), 0.0) for i in range(100)]
    late = [*before[:50], *before[60:80], *before[50:60], *before[80:]]
    sink, stream = streamed([*late, *after])
    assert stream.counts.late == 10 and stream.counts.clock_restarts == 1 and stream.counts.duplicates == 0
    assert len(sink.imu) == 190
    times = np.array([t for t, _ in sink.imu])
    assert (np.diff(times) < 0).sum() == 1


def test_a_copy_of_the_whole_link_changes_nothing() -> None:
    """Two routes to the same vehicle: every frame twice, the second 40 ms later."""
    rng = np.random.default_rng(3)
    frames = [frame for _, frame in FLIGHTS["px4"](Sender(1), rng, 5.0, 0)]
    once, _ = streamed(frames)
    doubled = []
    for i in range(len(frames) + 4):
        doubled += [*frames[i : i + 1], *(frames[i - 4 : i - 3] if i >= 4 else [])]
    twice, stream = streamed(doubled)
    assert twice.imu == once.imu and twice.baro == once.baro and twice.baro_before == once.baro_before
    assert stream.counts.duplicates == len(once.imu)


def test_times_of_32_bits_wrap_after_49_days() -> None:
    sender = Sender(1)
    m = sender.m
    start_ms = (1 << 32) - 1000
    frames = []
    for i in range(100):
        now_ms = (start_ms + 20 * i) % (1 << 32)
        frames.append(sender.frame(m.MAVLink_scaled_imu_message(now_ms, 0, 0, -1000, 0, 0, 0, 0, 0, 0)))
    frames[60], frames[45] = frames[45], frames[60]  # one from before the wrap is received after it
    sink, stream = streamed(frames)
    assert [t for t, _ in sink.imu] == [
        (start_ms + 20 * i) * 1000 for i in (*range(45), *range(60, 61), *range(61, 100))
    ]
    assert stream.counts.clock_restarts == 0 and stream.counts.late == 15


def test_the_imu_is_the_preferred_message_that_is_not_slow() -> None:
    rng, sender = np.random.default_rng(1), Sender(1)
    m = sender.m
    scaled = [m.MAVLink_scaled_imu_message(20 * i, 0, 0, -1000, 0, 0, 0, 0, 0, 0) for i in range(400)]
    frames = []
    for i, message in enumerate(scaled):
        frames.append(sender.frame(message))
        if (i < 200 and i % 50 == 0) or i >= 200:  # HIGHRES_IMU at 1 Hz, then asked for at 50 Hz
            frames.append(sender.highres(20_000 * i + 500, motion(rng, 0), 0.0))
    sink, stream = streamed(frames)
    assert stream.counts.imu["SCALED_IMU"] > 190 and stream.counts.imu["HIGHRES_IMU"] > 150
    last_scaled = max(t for t, _ in sink.imu if t % 20_000 == 0)
    first_highres = min(t for t, _ in sink.imu if t % 20_000 == 500)
    assert last_scaled < first_highres + 20_000 and 200 * 20_000 <= last_scaled < 300 * 20_000


def test_another_barometer_takes_over_after_a_pause_in_which_the_altitude_is_stale() -> None:
    rng, sender = np.random.default_rng(1), Sender(1)
    m = sender.m
    frames = []
    for i in range(500):
        now_us = i * 20_000
        fields = 0x1FFF if i < 250 else 0x3F  # the barometer of HIGHRES_IMU falls silent at 5 s
        frames.append(sender.highres(now_us, motion(rng, 0), 100.0, fields))
        if i % 5 == 0:
            frames.append(sender.frame(m.MAVLink_scaled_pressure_message(now_us // 1000, 955.0, 0, 0)))
    sink, stream = streamed(frames)
    highres = [t for t, a in sink.baro if a == 100.0]
    scaled = [t for t, a in sink.baro if a != 100.0]
    assert highres[-1] == 249 * 20_000 and set(stream.counts.baro) == {"HIGHRES_IMU", "SCALED_PRESSURE"}
    assert highres[-1] + 2_000_000 + BARO_PAUSE_US <= scaled[0] < highres[-1] + 2_200_000 + BARO_PAUSE_US
    assert np.diff(scaled) == pytest.approx(100_000)


def test_raw_imu_is_dropped_until_a_heartbeat_names_the_autopilot() -> None:
    rng = np.random.default_rng(5)
    frames = [frame for _, frame in FLIGHTS["ardupilot"](Sender(1), rng, 4.0, 0)]
    sink, stream = streamed(frames)
    assert stream.counts.raw_counts == 7 and stream.counts.imu["SCALED_IMU2"] <= 64
    assert stream.counts.imu["RAW_IMU"] > 100 and len(sink.baro) > 30


def test_implausible_samples_are_dropped() -> None:
    sender = Sender(1)
    sound = [0.0, 0.0, -9.8, 0.0, 0.0, 0.0]
    frames = []
    for i in range(40):
        values = list(sound)
        if i in (10, 11):
            values[i % 6] = float("nan")
        if i == 20:
            values[0] = 401.0
        altitude = {30: float("inf"), 31: -2000.0}.get(i, 100.0)
        frames.append(sender.highres(i * 20_000, values, altitude))
    frames.append(sender.highres(1 << 60, sound, 100.0))
    sink, stream = streamed(frames)
    assert len(sink.imu) == 37 and stream.counts.implausible == 4
    assert len(sink.baro) == 38 and stream.counts.implausible_baro == 3
    assert sink.imu[0] == (0, [float(np.float32(v)) for v in sound]) and RECEIVED_US > 0


def test_memory_stays_flat(bundle: ModelBundle, library: Path) -> None:
    """Memory after three boots is that after twelve (a day: bench_live.py); numpy's own caches fill slowly."""
    rng, sender = np.random.default_rng(1), Sender(1)
    frames = [frame for _, frame in FLIGHTS["px4"](sender, rng, 10.0, 0)]
    companion = Companion(HostPipeline(library, bundle.spec), 1, 1)
    report = MavlinkReport(bundle.spec, lambda message: True)
    held = []
    tracemalloc.start()
    try:
        for boot in range(12):
            for at in range(0, len(frames), 9):
                report.decided(companion.take(frames[at : at + 9]))
                report.repeat(companion.newest_us)
                report.heartbeat(10.0 * (boot + at / len(frames)))
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert companion.counts["reset_backwards"] == 11 and report.sent["DEBUG_FLOAT_ARRAY"] > 500
    assert held[-1] - held[2] < 20_000, held
