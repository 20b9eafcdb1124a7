"""The simulator's end of PX4's HIL link, against a double of PX4's end."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from px4_double import Px4Double
from vehicle_field import wait_until

from px4_tinyml.errors import LinkError
from px4_tinyml.signal.spec import PRESETS, PipelineSpec
from px4_tinyml_sitl.px4 import hil_link, hil_loop
from px4_tinyml_sitl.px4.hil_link import ACCEL, BARO, GYRO, MAG, Controls, Fix, HilLink
from px4_tinyml_sitl.px4.player import LAG, StreamSource, playable

Connect = Callable[..., tuple[HilLink, Px4Double]]
ACCEL_SAMPLE, GYRO_SAMPLE = (0.1, -0.2, -9.8), (0.01, 0.02, -0.03)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """(link, double) on a free port; the arguments are Px4Double's, and lag."""
    with contextlib.ExitStack() as stack:

        def connect(lag: int = 0, **behaviour: int) -> tuple[HilLink, Px4Double]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            link = HilLink(listener, lag)
            double = Px4Double(listener.getsockname()[1], **behaviour)
            link.accept(lambda: None)
            stack.callback(double.close)
            stack.callback(link.close)
            return link, double

        yield connect


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The link waits for the first answer of a double on a busy computer, too."""
    monkeypatch.setattr(hil_link, "_FREE_RUN_S", 1.0)


def step(link: HilLink, number: int) -> Controls | None:
    link.sensors(number * 2500, ACCEL_SAMPLE, GYRO_SAMPLE)
    return link.exchange(number * 2500)


@pytest.fixture
def expired(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Timeouts, s, that the link has waited in vain, in order."""
    waited: list[float] = []

    def recording_select(*arguments: Any) -> tuple[list[Any], ...]:
        ready = select.select(*arguments)
        if not ready[0] and arguments[3]:
            waited.append(arguments[3])
        return ready

    monkeypatch.setattr(hil_link, "select", SimpleNamespace(select=recording_select))
    return waited


@pytest.mark.usefixtures("patient")
def test_sample_arrives_as_it_was_sent(connect: Connect) -> None:
    link, double = connect()
    link.sensors(1000, ACCEL_SAMPLE, GYRO_SAMPLE, mag_gauss=(0.2, 0.0, 0.4), pressure_hpa=950.0)
    link.gps(1000, Fix(47.25, 8.5, 123.456, (1.0, -2.0, 0.5)))
    link.truth(1000, (1.0, 0.0, 0.0, 0.0), GYRO_SAMPLE, Fix(47.25, 8.5, 123.456, (1.0, -2.0, 0.5)), ACCEL_SAMPLE)
    controls = link.exchange(1000)
    link.sensors(2000, ACCEL_SAMPLE, GYRO_SAMPLE)
    link.exchange(2000)
    assert controls == Controls(1000, (0.25, 0.5, 0.75, 1.0), armed=True)
    first, second = double.sensors
    assert (first.xacc, first.yacc, first.zacc) == pytest.approx(ACCEL_SAMPLE)
    assert (first.xgyro, first.ygyro, first.zgyro) == pytest.approx(GYRO_SAMPLE)
    assert (first.id, first.fields_updated, first.abs_pressure) == (0, ACCEL | GYRO | MAG | BARO, 950.0)
    assert second.fields_updated == ACCEL | GYRO
    gps, truth = double.others
    assert (gps.lat, gps.lon, gps.alt, gps.vn, gps.ve, gps.vd) == (472500000, 85000000, 123456, 100, -200, 50)
    assert (truth.lat, truth.vx, truth.vy, truth.vz) == (472500000, 100, -200, 50)


@pytest.mark.usefixtures("patient")
def test_every_step_waits_for_its_own_answer(connect: Connect) -> None:
    link, _ = connect()
    for number in range(1, 200):
        controls = step(link, number)
        assert controls is not None
        assert controls.time_us == number * 2500
    assert link.late == 0


@pytest.mark.usefixtures("patient")
def test_one_answer_to_two_steps_when_that_is_allowed(connect: Connect) -> None:
    link, _ = connect(lag=1, every=2)
    for number in range(1, 200):
        controls = step(link, number)
        if number > 1:
            assert controls is not None
            assert controls.time_us == (number - number % 2) * 2500
    assert link.late == 0


def test_starts_up_without_answers(connect: Connect, expired: list[float]) -> None:
    link, _ = connect(first=30)
    answers = [step(link, number) for number in range(1, 200)]
    first = next(i for i, answer in enumerate(answers) if answer)
    assert first >= 30
    assert all(answers[first:])
    assert max(expired) < 2.0 * hil_link._FREE_RUN_S


def test_a_silence_is_counted_once_and_does_not_stop_the_clock(connect: Connect, expired: list[float]) -> None:
    link, double = connect(silent_after=10)
    for number in range(1, 60):
        step(link, number)
    assert link.late == 1
    assert sum(timeout > 2.0 * hil_link._FREE_RUN_S for timeout in expired) == 1
    wait_until(lambda: len(double.sensors) == 59)


def test_px4_closes_the_link(connect: Connect) -> None:
    link, double = connect()
    step(link, 1)
    double.close()
    with pytest.raises(LinkError, match="PX4 has closed the link"):
        for number in range(2, 50):
            step(link, number)


def test_px4_does_not_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(LinkError, match=f"TCP {port} within"):
            HilLink(listener, 0).accept(lambda: None, timeout_s=0.3)


def test_waiting_ends_with_px4(connect: Connect) -> None:
    """The error is why PX4 has ended, not that it does not connect."""

    def check() -> None:
        raise LinkError("PX4 has ended with 255")

    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(LinkError, match="ended with 255"):
        HilLink(listener, 0).accept(check)


SPEC = PRESETS["default"]


def times_of(rate_hz: int | None, seconds: float = 4.0) -> np.ndarray:
    """IMU samples of a recording; None: of every interval from 2.5 to 32 ms."""
    step = np.full(int(seconds * (rate_hz or 100)), 1_000_000 // (rate_hz or 100))
    if rate_hz is None:
        step = np.random.default_rng(1).integers(2_500, 32_000, len(step))
    return 5_000_000 + np.cumsum(step)


def steps_without_answer(link: HilLink, source: StreamSource) -> list[int]:
    """Play a stream, with a second at rest before and after it; returns the steps that timed out."""
    times: list[int] = []
    waited = []
    while not source.done or times[-1] < source.last_us + 1_000_000:
        times.append(source.time_us)
        source.send(link)
        controls = link.exchange(times[-1])
        if controls is None or controls.time_us < times[-1 - min(LAG, len(times) - 1)]:
            waited.append(len(times) - 1)
        source.advance(controls)
        source.play = len(times) >= 500
    return waited


def played(rate_hz: int | None, spec: PipelineSpec) -> StreamSource:
    time_us = times_of(rate_hz).astype(np.uint64)
    imu = np.random.default_rng(2).normal(0.0, 1.0, (len(time_us), 6)).astype(np.float32)
    stream, _ = playable(time_us, imu, time_us[:0], imu[:0, 0], spec)
    return StreamSource(stream, 1_000_000)


@pytest.mark.parametrize("slots_hz", [50, 10])
@pytest.mark.parametrize("rate_hz", [10, 25, 43, 50, 100, 250, 400, 1000, None])
def test_no_step_of_a_replay_times_out(connect: Connect, rate_hz: int | None, slots_hz: int) -> None:
    """At every rate of a recording, for held samples and for gaps."""
    link, double = connect(lag=LAG, integrates=True)
    waited = steps_without_answer(link, played(rate_hz, replace(SPEC, rate_hz=slots_hz)))
    assert [step for step in waited if step > 20] == []  # PX4 knows no interval before
    assert link.late == 0
    assert len(double.sensors) > 1000


def test_a_step_that_px4_does_not_answer_is_waited_for(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lag must be PX4's: with another one steps time out."""
    monkeypatch.setattr(hil_link, "_PATIENCE_S", 0.02)
    link, _ = connect(lag=0, integrates=True)
    for number in range(1, 100):
        step(link, number)
    assert link.late > 30


class Clock:
    """A source that counts its steps."""

    def __init__(self) -> None:
        self.steps = 0
        self.failing = False

    @property
    def time_us(self) -> int:
        return self.steps * 2500

    def send(self, link: HilLink) -> None:
        if self.failing:
            raise ValueError("a bug")
        link.sensors(self.time_us, ACCEL_SAMPLE, GYRO_SAMPLE)

    def advance(self, controls: Controls | None) -> None:
        self.steps += 1


class Sleeps:
    """Time that passes in the loop's sleeps only. Stands in for its time module and its event."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._ended = threading.Event()
        self.is_set, self.set, self.sleep = self._ended.is_set, self._ended.set, time.sleep

    def monotonic(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


@contextlib.contextmanager
def loop_of(clock: Clock, speed: float) -> Iterator[hil_loop.HilLoop]:
    """A loop that a double of PX4 is connected to, not started."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        double = Px4Double(listener.getsockname()[1])
        yield hil_loop.HilLoop(clock, HilLink(listener, 0), lambda: None, speed)
        double.close()


@pytest.mark.parametrize("speed", [2.0, 8.0])
def test_loop_keeps_to_its_speed(speed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, sleeps = Clock(), Sleeps()
    monkeypatch.setattr(hil_loop, "time", sleeps)
    with loop_of(clock, speed) as loop:
        loop._ending = sleeps
        with loop:
            assert loop.wait(lambda: clock.steps > 4000, 60.0)
    assert clock.time_us / 1e6 / sleeps.now_s == pytest.approx(speed, rel=0.03)


def test_loop_reports_the_error_that_ended_it() -> None:
    clock = Clock()
    with loop_of(clock, 50.0) as loop, loop:
        assert loop.wait(lambda: clock.steps > 10, 5.0)
        clock.failing = True
        with pytest.raises(RuntimeError, match="simulation under PX4 failed"):
            loop.wait(lambda: False, 5.0)
    assert isinstance(loop.error, ValueError)
