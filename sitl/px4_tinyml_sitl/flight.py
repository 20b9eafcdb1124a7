"""One simulated flight, from its seed to the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from px4_tinyml.flight_log import F64, ImuSeries
from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G
from px4_tinyml_sitl.air import Air
from px4_tinyml_sitl.airframes import Rotor, VehicleModel, airframe, draw_vehicle
from px4_tinyml_sitl.attitude import body_to_ned
from px4_tinyml_sitl.autopilot import OUTER_HZ, Autopilot, Guidance
from px4_tinyml_sitl.missions import Segment, Tap, draw_taps, plan_mission
from px4_tinyml_sitl.rotors import Rotors
from px4_tinyml_sitl.sensors import SensorSuite, draw_sensors, imu_times, lowpass_noise, measure_imu
from px4_tinyml_sitl.weather import CommandedWeather, Condition, Weather, make_weather
from px4_tinyml_sitl.world import RATE_HZ, World

_EVERY = RATE_HZ // OUTER_HZ
_GROUND_S = 2.0
"""Time on the ground before the motors start, and after they stop."""
_SPIN_UP_S = 1.2
TIPPED_RAD = 1.4
_MAX_EXTRA_S = 60.0
"""Time limit of a landing that takes longer than planned."""
SMALL_SCALE = (1.0, 6.0)
"""Range of the drawn FlightPlan.small_scale."""
_HEAVE_NOISE_HZ, _SIDE_NOISE_HZ = 5.0, 6.0


class SlowRow(NamedTuple):
    """The state at OUTER_HZ: truth, estimates (est_), air and setpoint. SI, NED, rad; landed and armed are 0 or 1."""

    time_s: float
    x: float
    y: float
    z: float
    vx: float
    vy: float
    vz: float
    roll: float
    pitch: float
    yaw: float
    est_x: float
    est_y: float
    est_z: float
    est_vx: float
    est_vy: float
    est_vz: float
    thrust_ratio: float
    airspeed: float
    landed: float
    armed: float
    height: float
    w20: float
    wind: float
    gust_n: float
    gust_e: float
    gust_d: float
    sp_vz: float


@dataclass(frozen=True)
class FlightPlan:
    """Everything that defines a flight; drawn from (seed, index) only.

    estimator_m_s: error of the estimated velocity. gyro_noise_rad_s: noise and vibration in the rate loop, after PX4's
    filters. tilt_error_rad: of the estimated roll and pitch. small_scale: of small gusts (air.py).
    """

    seed: int
    index: int
    mission: str
    seconds: float
    vehicle: VehicleModel
    sensors: SensorSuite
    weather: Weather
    segments: list[Segment]
    heading_rad: float
    elevation_m: float
    estimator_m_s: float
    rng: np.random.Generator = field(repr=False)
    gyro_noise_rad_s: float = 0.01
    tilt_error_rad: float = 0.006
    small_scale: float = 1.0
    taps: tuple[Tap, ...] = ()


@dataclass(frozen=True)
class Flown:
    """Truth of a flight. fast: specific force and rates [n, 6] and rotors [n, 4] at RATE_HZ; slow: by name at 50 Hz."""

    fast: F64
    rotor_rad_s: F64
    slow: dict[str, F64]


def plan_flight(
    seed: int, index: int, mission: str, airframe_name: str, condition: Condition | None,
    edr: float | None, w20_m_s: float | None, seconds: float,
) -> FlightPlan:  # fmt: skip
    """Draw the plan of a flight."""
    rng = np.random.default_rng([seed, index])
    draw, simulate = rng.spawn(2)
    base = airframe(airframe_name)
    elevation = float(draw.uniform(0.0, 800.0))
    # ISA, as JSBSim's atmosphere.
    rho = 1.225 * (1.0 - 2.25577e-5 * elevation) ** 4.2559
    vehicle = draw_vehicle(base, draw, rho)
    weather = make_weather(condition, edr, w20_m_s, seconds, 0.75 * base.max_speed_m_s, draw)
    max_height = float(draw.uniform(10.0, 40.0))
    more = draw.spawn(1)[0]
    return FlightPlan(
        seed=seed,
        index=index,
        mission=mission,
        seconds=seconds,
        vehicle=vehicle,
        sensors=draw_sensors(draw),
        weather=weather,
        segments=plan_mission(mission, base, seconds, max_height, draw),
        heading_rad=float(draw.uniform(-np.pi, np.pi)),
        elevation_m=elevation,
        estimator_m_s=float(draw.uniform(0.006, 0.04)),
        rng=simulate,
        small_scale=float(np.exp(more.uniform(*np.log(SMALL_SCALE)))),
        taps=draw_taps(vehicle, seconds, more) if mission == "taps" else (),
    )


def measured_imu(plan: FlightPlan, flown: Flown, rng: np.random.Generator) -> ImuSeries:
    """What the IMU measured on a flight; times from its start."""
    time_us = imu_times(plan.sensors, len(flown.fast) / RATE_HZ, rng)
    hover = plan.vehicle.rotor.hover_rad_s
    samples = measure_imu(plan.sensors, time_us, flown.fast, flown.rotor_rad_s, hover, RATE_HZ, rng)
    return ImuSeries(time_us, *np.split(samples.astype(np.float32), 2, axis=1))


class _Noise:
    """Unit noise drawn before the flight, read by step: periodic lists."""

    def __init__(self, rng: np.random.Generator, steps: int, rotor: Rotor) -> None:
        size = 1 << (steps - 1).bit_length()
        slow = size // 8
        self.mask, self.slow_mask = size - 1, slow - 1
        self.gyro = [rng.standard_normal(size).tolist() for _ in range(3)]
        # Eddies of the rotor's size, carried through it by the inflow.
        eddies_hz = rotor.hover_inflow_m_s / (2.0 * math.pi * rotor.radius_m)
        self.lift = [lowpass_noise(rng, size, RATE_HZ, eddies_hz).tolist() for _ in range(4)]
        self.heave = lowpass_noise(rng, size, RATE_HZ, _HEAVE_NOISE_HZ).tolist()
        self.side = [lowpass_noise(rng, size, RATE_HZ, _SIDE_NOISE_HZ).tolist() for _ in range(2)]
        self.velocity = [lowpass_noise(rng, slow, OUTER_HZ, 0.3).tolist() for _ in range(3)]
        self.position = [lowpass_noise(rng, slow, OUTER_HZ, 0.02).tolist() for _ in range(3)]
        self.tilt = [lowpass_noise(rng, slow, OUTER_HZ, 0.1).tolist() for _ in range(2)]
        self.stick = [lowpass_noise(rng, slow, OUTER_HZ, 0.7).tolist() for _ in range(3)]


class Simulator:
    """Flies one plan, step by step. guidance: the active source of setpoints."""

    def __init__(self, plan: FlightPlan, weather: CommandedWeather | None = None) -> None:
        """weather: instead of the plan's."""
        self.plan = plan
        vehicle = plan.vehicle
        self._dt = 1.0 / RATE_HZ
        self._limit_s = plan.seconds + _MAX_EXTRA_S
        self._noise = _Noise(plan.rng, int(self._limit_s * RATE_HZ), vehicle.rotor)
        self._air = Air(weather or plan.weather, vehicle.frame, 8.0 * plan.seconds, plan.rng, plan.small_scale)
        self._world = World(vehicle, plan.heading_rad, plan.elevation_m)
        self._rotors = Rotors(vehicle, self._dt)
        self._pilot = Autopilot(vehicle, plan.heading_rad, self._dt)
        self.guidance: Guidance = Guidance(plan.segments, plan.heading_rad)
        self._position = [0.0, 0.0, 0.0]
        self.landed, self.armed = True, False
        self._touch_s = self._stopped_s = 0.0
        self._tilt_error = (0.0, 0.0)
        self._unsteady, self._ground_factor = 0.0, 1.0

    def fly(self, seconds: float = math.inf) -> Flown:
        """Fly the whole plan, from the ground to the ground, or its first seconds."""
        fast: list[tuple[float, ...]] = []
        spins: list[tuple[float, ...]] = []
        slow: list[SlowRow] = []
        command = [0.0] * 4
        step = 0
        while step * self._dt < min(self._limit_s, seconds):
            state, angles = self._world.state()
            if step % _EVERY == 0:
                command, row = self._slow_step(step, state, angles)
                if self._stopped_s > _GROUND_S:
                    break
                slow.append(row)
            self._fast_step(step, state, angles, command)
            fast.append((*state[7:10], *angles[:3]))
            spins.append(tuple(self._rotors.speed))
            step += 1
        columns = np.array(slow).T
        return Flown(
            fast=np.array(fast), rotor_rad_s=np.array(spins),
            slow=dict(zip(SlowRow._fields, columns, strict=True)),
        )  # fmt: skip

    def _fast_step(self, step: int, state: list[float], angles: list[float], command: list[float]) -> None:
        noise, plan, air = self._noise, self.plan, self._air
        rotation = body_to_ned(angles[3], angles[4], angles[5])
        r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation
        wn, we, wd = air.wind()
        u = state[0] - (r00 * wn + r10 * we + r20 * wd)
        v = state[1] - (r01 * wn + r11 * we + r21 * wd)
        w = state[2] - (r02 * wn + r12 * we + r22 * wd)
        air.advance(math.sqrt(u * u + v * v + w * w), self._dt)
        i = step & noise.mask
        if command[0] < 0.0:
            rates = [angles[axis] + plan.gyro_noise_rad_s * noise.gyro[axis][i] for axis in range(3)]
            command = self._pilot.inner(rates, rotation, angles[5], self._tilt_error)
        self._rotors.spin(command)
        unsteady = self._unsteady
        factor = self._ground_factor * (1.0 + plan.vehicle.heave_noise * noise.heave[i])
        lift = [factor * (1.0 + unsteady * series[i]) for series in noise.lift]
        p, q, r = angles[0], angles[1], angles[2] - air.yaw_rate
        fx, fy, fz, mx, my, mz = self._rotors.wrench(u, v, w, p, q, r, lift, air.at_rotors)
        side = plan.vehicle.side_noise_m_s2 * plan.vehicle.mass_kg if self.armed else 0.0
        fx, fy = fx + side * noise.side[0][i], fy + side * noise.side[1][i]
        if plan.taps:
            fx, fy, fz, mx, my, mz = self._tapped(step * self._dt, (fx, fy, fz, mx, my, mz))
        self._world.step(fx, fy, fz, mx, my, mz)

    def _tapped(self, seconds: float, wrench: tuple[float, ...]) -> tuple[float, ...]:
        """Forces and moments with those of a tap, if there is one at this time."""
        for tap in self.plan.taps:
            if tap.start_s <= seconds < tap.start_s + tap.seconds and not self.landed:
                share = tap.at(seconds)
                return tuple(w + share * t for w, t in zip(wrench, (*tap.force, *tap.moment), strict=True))
        return wrench

    def _weather_s(self, seconds: float) -> float:
        """Time of the weather at a time of the simulation."""
        return seconds - _GROUND_S

    def _slow_step(self, step: int, state: list[float], angles: list[float]) -> tuple[list[float], SlowRow]:
        """Estimates, guidance and outer loops: (rotor commands, or −1 for the control loops; the state)."""
        seconds = step * self._dt
        plan, noise, pilot = self.plan, self._noise, self._pilot
        height, velocity, position = state[6] - self._world.rest_height_m, state[3:6], self._position
        position[0] += velocity[0] / OUTER_HZ
        position[1] += velocity[1] / OUTER_HZ
        position[2] = -height
        i = (step // _EVERY) & noise.slow_mask
        error = plan.estimator_m_s
        # Vertical speed (barometer, accelerometer) is estimated better than horizontal speed (GPS).
        est_velocity = [velocity[a] + error * (1.0, 1.0, 0.35)[a] * noise.velocity[a][i] for a in range(3)]
        est_position = [position[a] + 6.0 * error * noise.position[a][i] for a in range(3)]
        self._tilt_error = (plan.tilt_error_rad * noise.tilt[0][i], plan.tilt_error_rad * noise.tilt[1][i])
        self._air.slow(self._weather_s(seconds), max(height, 0.0))
        self._wake(height, velocity)
        command = self._state_machine(seconds, -est_position[2], est_velocity[2], math.hypot(angles[3], angles[4]))
        if command[0] < 0.0:
            self.guidance.step((noise.stick[0][i], noise.stick[1][i], noise.stick[2][i]))
            if self._touch_s > 0.1:
                pilot.settle()
            else:
                pilot.outer(self.guidance, est_position, est_velocity)
            if self.landed:
                pilot.reset()
        wn, we, wd = self._air.wind()
        airspeed = math.hypot(velocity[0] - wn, velocity[1] - we, velocity[2] - wd)
        row = SlowRow._make((
            seconds, *position, *velocity, angles[3] + self._tilt_error[0], angles[4] + self._tilt_error[1], angles[5],
            *est_position, *est_velocity, pilot.thrust / (plan.vehicle.mass_kg * G), airspeed, float(self.landed),
            float(self.armed), height, self._air.w20, self._air.mean, *self._air.gust, self.guidance.velocity[2],
        ))  # fmt: skip
        return command, row

    def _wake(self, height: float, velocity: list[float]) -> None:
        """Effects of the rotors' wake on thrust: ground effect, unsteadiness in descent."""
        rotor = self.plan.vehicle.rotor
        # Towards the vortex ring state the rotor is in its own wake; forward speed clears it.
        depth = min(max((velocity[2] / rotor.hover_inflow_m_s - 0.25) / 0.5, 0.0), 1.0)
        clear = max(1.0 - math.hypot(velocity[0], velocity[1]) / (1.5 * rotor.hover_inflow_m_s), 0.0)
        self._unsteady = self.plan.vehicle.thrust_noise * (1.0 + 2.5 * depth * clear)
        # Cheeseman and Bennett 1955.
        reach = max(height + self._world.rest_height_m, 0.6 * rotor.radius_m)
        self._ground_factor = 1.0 / (1.0 - (rotor.radius_m / (4.0 * reach)) ** 2)

    def _state_machine(self, seconds: float, height_m: float, down_m_s: float, tilt_rad: float) -> list[float]:
        """Arming, take-off and landing; motor commands, or −1 for the control loops."""
        idle = 0.2 * self.plan.vehicle.rotor.hover_rad_s
        period = 1.0 / OUTER_HZ
        if self._stopped_s > 0.0:
            self._stopped_s += period
            return [0.0] * 4
        if seconds < _GROUND_S:
            return [0.0] * 4
        self.armed = True
        if tilt_rad > TIPPED_RAD:
            # PX4's failure detector: the flight ends when the vehicle lies on its side.
            self.landed, self.armed, self._stopped_s = True, False, period
            return [0.0] * 4
        if seconds < _GROUND_S + _SPIN_UP_S:
            return [idle] * 4
        self._feel_ground(height_m, down_m_s)
        if self.guidance.landing and self._touch_s > 1.4:
            self.armed = False
            self._stopped_s = period
            return [0.0] * 4
        return [-1.0] * 4

    def _feel_ground(self, height_m: float, down_m_s: float) -> None:
        """Detect landing from thrust and movement, as PX4's land detector; `_touch_s`: time of ground contact."""
        period = 1.0 / OUTER_HZ
        if not self.guidance.landing:
            if down_m_s < -0.25 and self._pilot.thrust > 0.8 * self.plan.vehicle.mass_kg * G:
                self.landed = False
            # No mission flies this low: a descent that overshot rests on the ground until it climbs again.
            resting = height_m < 0.5 and abs(down_m_s) < 0.15
            self._touch_s = self._touch_s + period if resting and not self.landed else 0.0
            if self._touch_s > 1.0:
                self.landed = True
            return
        low_thrust = self._pilot.thrust < 0.8 * self.plan.vehicle.mass_kg * G
        # A gust or a height error can keep the thrust up: no descent on command is ground contact, too.
        blocked = self.guidance.velocity[2] > 0.3 and abs(down_m_s) < 0.15
        down = (low_thrust or blocked) and abs(down_m_s) < 0.3 and height_m < 2.5
        self._touch_s = self._touch_s + period if down else 0.0
        if self._touch_s > 0.4:
            self.landed = True
