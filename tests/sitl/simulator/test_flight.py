"""Whole flights: hover, climb, descent, landing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from px4_tinyml.flight_log import F64, ImuSeries
from px4_tinyml.units import M_S_PER_KT
from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G
from px4_tinyml_sitl.airframes import airframe, draw_vehicle
from px4_tinyml_sitl.catalog import AIRFRAMES, MISSIONS
from px4_tinyml_sitl.flight import FlightPlan, Flown, Simulator, measured_imu, plan_flight
from px4_tinyml_sitl.realism import fly_hover, hovering_s, median_bands
from px4_tinyml_sitl.sensors import draw_sensors, measure_imu
from px4_tinyml_sitl.world import RATE_HZ, World


def test_the_world_obeys_newtons_laws() -> None:
    """1 g on the ground, free fall, a force and a moment, each against its closed form."""
    vehicle = dataclasses.replace(draw_vehicle(airframe("450"), np.random.default_rng(0)), imu_offset_m=(0.0,) * 3)
    world = World(vehicle)

    def push(seconds: float, fx: float = 0.0, fz: float = 0.0, mz: float = 0.0) -> tuple[list[float], list[float]]:
        for _ in range(round(seconds * RATE_HZ)):
            world.step(fx, 0.0, fz, 0.0, 0.0, mz)
        return world.state()

    state, _ = push(1.0)
    assert state[7:10] == pytest.approx([0.0, 0.0, -G], abs=0.02)
    assert state[6] == pytest.approx(world.rest_height_m, abs=0.001)
    lift = -1.5 * vehicle.mass_kg * G
    before, _ = push(0.1, fz=lift)
    state, angles = push(1.0, fx=0.2, fz=lift, mz=0.01 * vehicle.inertia_kg_m2[2])
    assert state[5] - before[5] == pytest.approx(-0.5 * G, rel=0.005)
    assert state[6] - before[6] == pytest.approx(0.25 * G - before[5], rel=0.005)
    assert state[3] - before[3] == pytest.approx(0.2 / vehicle.mass_kg, rel=0.02)
    assert state[7:10] == pytest.approx([0.2 / vehicle.mass_kg, 0.0, -1.5 * G], abs=0.01)
    assert angles[2] == pytest.approx(0.01, rel=0.02)
    assert push(0.25)[0][7:10] == pytest.approx([0.0, 0.0, 0.0], abs=0.005)


@pytest.mark.parametrize("name", ["cine3", "450", "680h"])
def test_hover_holds_its_height_in_severe_turbulence(name: str) -> None:
    flown = Simulator(plan_flight(4, 0, "hover", name, None, None, 45.0 * M_S_PER_KT, 40.0)).fly()
    s = flown.slow
    begin, end = hovering_s(flown)
    holding = (s["time_s"] > begin) & (s["time_s"] < end)
    assert s["w20"][holding] == pytest.approx(45.0 * M_S_PER_KT)
    assert np.ptp(s["height"][holding]) < 2.5
    assert s["landed"][-1] == 1.0


@pytest.mark.parametrize("mission", list(MISSIONS))
def test_missions_do_what_their_names_mean(mission: str) -> None:
    s = Simulator(plan_flight(2, 0, mission, "500", "calm", None, None, 90.0)).fly().slow
    air = s["landed"] == 0.0
    up, down = s["vz"] < -0.5, s["vz"] > 0.5
    speed = np.hypot(s["vx"], s["vy"])
    assert s["time_s"][-1] == pytest.approx(90.0, abs=12.0)
    assert s["height"][air].max() > 3.0
    assert s["height"][-1] == pytest.approx(0.0, abs=0.05)
    # Brisk climbs and descents are reversed before they are reached.
    assert np.abs(np.cumsum(s["sp_vz"][air]) / 50.0 + s["height"][air]).max() < (3.0 if mission == "brisk" else 1.5)
    assert np.sum(air & up) > 100
    assert np.sum(air & down) > 100
    if mission in ("hover", "ladder", "taps"):
        assert speed.max() < 1.5
    if mission in ("hover", "taps"):
        assert np.mean(up[air] | down[air]) < 0.4
    if mission == "ladder":
        assert np.mean(up[air] | down[air]) > 0.4
    if mission in ("cruise", "survey"):
        assert np.mean(speed[air] > 1.5) > 0.5
        heading = np.unwrap(np.arctan2(s["vy"], s["vx"])[speed > 1.5])
        assert np.ptp(heading) > 1.0


def slow_band(plan: FlightPlan, flown: Flown) -> tuple[F64, float]:
    """(RMS of a_xy, a_z in m/s² and g_xy in deg/s in 0.4 to 2 Hz, the same of g_xy in 2 to 10 Hz), in flight."""
    imu = measured_imu(plan, flown, np.random.default_rng(0))
    rows = median_bands(imu, (14.0, float(flown.slow["time_s"][-1]) - 12.0))
    return rows[:, 0], float(np.hypot(rows[2, 1], rows[2, 2]))


@pytest.mark.parametrize("name", ["cine3", "250", "500"])
def test_brisk_flight_is_rougher_than_severe_turbulence(name: str) -> None:
    plan = plan_flight(5, 0, "brisk", name, "calm", 0.0, None, 60.0)
    (_, up, turn), _ = slow_band(plan, Simulator(plan).fly())
    assert turn > 45.0 and up > 2.0


def test_taps_turn_a_hovering_vehicle_in_still_air() -> None:
    plan = plan_flight(3, 0, "taps", "450", "calm", 0.0, None, 60.0)
    tapped = Simulator(plan).fly()
    calm = Simulator(dataclasses.replace(plan_flight(3, 0, "taps", "450", "calm", 0.0, None, 60.0), taps=())).fly()
    assert len(plan.taps) > 20 and not tapped.slow["w20"].any()
    (quick, quiet), (_, before) = (slow_band(plan, flown) for flown in (tapped, calm))
    assert quiet > 3.0 * before and quick[2] < 20.0
    first = round(plan.taps[0].start_s * RATE_HZ)
    assert np.array_equal(tapped.fast[:first], calm.fast[:first])


def test_some_mixed_flights_are_brisk() -> None:
    plans = [plan_flight(seed, 0, "mixed", "500", "calm", None, None, 90.0) for seed in range(120)]
    assert 0.05 < np.mean([any(segment.direct for segment in plan.segments) for plan in plans]) < 0.25


@pytest.mark.parametrize("index", range(4))
def test_landed_is_true_on_the_ground_and_only_there(index: int) -> None:
    name, edr = list(AIRFRAMES)[2 * index], (0.0, 0.4)[index % 2]
    s = Simulator(plan_flight(7, index, "mixed", name, None, edr, None, 40.0)).fly().slow
    landed = s["landed"] == 1.0
    changes = np.flatnonzero(np.diff(landed))
    assert len(changes) == 2
    assert s["height"][landed].max() < 0.15
    lift_off = s["time_s"][np.argmax(s["height"] > 0.15)]
    touch_down = s["time_s"][len(landed) - np.argmax(s["height"][::-1] > 0.15)]
    taken_off, down = s["time_s"][changes]
    assert abs(taken_off - lift_off) < 1.0
    assert 0.0 < down - touch_down < 2.5
    assert not s["armed"][landed & (s["time_s"] < 1.9)].any()
    assert s["armed"][-1] == 0.0


def test_the_same_seed_gives_the_same_flight() -> None:
    first, again, other = (fly_hover("330", seed, 0.2, 40.0)[1] for seed in (5, 5, 6))
    assert np.array_equal(first.fast, again.fast)
    assert all(np.array_equal(first.slow[name], again.slow[name]) for name in first.slow)
    assert not np.array_equal(first.fast[:4000], other.fast[:4000])


def test_strong_vibration_is_not_in_the_low_bands() -> None:
    """Vibration lines of several m/s² in raw samples are absent from the slots' low bands."""
    plan, flown = fly_hover("450", 1, 0.0, 40.0)

    def imu_with_lines(m_s2: float) -> ImuSeries:
        sensors = dataclasses.replace(plan.sensors, line_m_s2=np.full((4, 2, 3), m_s2))
        return measured_imu(dataclasses.replace(plan, sensors=sensors), flown, np.random.default_rng(0))

    span = hovering_s(flown)
    smooth, shaken = imu_with_lines(0.0), imu_with_lines(3.0)
    inside = (shaken.timestamp_us > span[0] * 1e6) & (shaken.timestamp_us < span[1] * 1e6)
    assert shaken.accel_m_s2[inside, 2].std() > 3.0
    assert (median_bands(shaken, span)[:2, :2] < median_bands(smooth, span)[:2, :2] + 0.05).all()


def test_vibration_lines_are_at_the_rotors_frequencies() -> None:
    """A rotor at 70 Hz sampled at 250 Hz: lines at 70 Hz and, of 140 Hz, at 110 Hz."""
    suite = draw_sensors(np.random.default_rng(0))
    suite = dataclasses.replace(
        suite, imu_interval_us=4000, line_m_s2=np.ones((4, 2, 3)), broad_m_s2=np.zeros(3), accel_noise_m_s2=0.0
    )
    n, hover = 20 * RATE_HZ, 2.0 * np.pi * 70.0
    time = np.arange(1, 20 * 250 - 5, dtype=np.uint64) * np.uint64(4000)
    still, rotors = np.zeros((n, 6)), np.full((n, 4), hover)
    x = measure_imu(suite, time, still, rotors, hover, RATE_HZ, np.random.default_rng(1))[:, 2]
    power = np.abs(np.fft.rfft((x - x.mean()) * np.hanning(len(x)))) ** 2
    frequency = np.fft.rfftfreq(len(x), 0.004)
    near = (np.abs(frequency - 70.0) < 1.0) | (np.abs(frequency - 110.0) < 1.0)
    assert power[near].sum() > 0.99 * power.sum()
    assert power[np.abs(frequency - 110.0) < 1.0].sum() > 0.01 * power.sum()
