"""One simulated flight, from its seed to the truth and the samples of every sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from px4_tinyml.sitl.airframes import Rotor, Vehicle, airframe, draw_vehicle
from px4_tinyml.sitl.autopilot import OUTER_HZ, Autopilot, Guidance
from px4_tinyml.sitl.missions import Segment, plan_mission
from px4_tinyml.sitl.rotors import Rotors
from px4_tinyml.sitl.sensors import SensorSuite, draw_sensors, lowpass_noise
from px4_tinyml.sitl.turbulence import GustField, gust_field, intensities, lengths, roll_gust_ratio
from px4_tinyml.sitl.weather import Condition, Weather, make_weather
from px4_tinyml.sitl.world import RATE_HZ, World

from px4_tinyml.types import F64
from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G

_EVERY = RATE_HZ // OUTER_HZ
_GROUND_S = 2.0
"""Standing still before the motors start, and again after they stop."""
_SPIN_UP_S = 1.2
_MAX_EXTRA_S = 60.0
_SIDE_NOISE_HZ = 6.0
_EVOLUTION_M_S = 0.5
"""A gust met at rest in still air changes by itself: the smallest speed at which the field goes by."""
_SLOW_COLUMNS = (
    "time_s", "x", "y", "z", "vx", "vy", "vz", "roll", "pitch", "yaw", "est_x", "est_y", "est_z", "est_vx", "est_vy",
    "est_vz", "sp_ax", "sp_ay", "sp_az", "thrust_ratio", "airspeed", "landed", "armed", "height", "w20", "wind",
    "gust_n", "gust_e", "gust_d", "sp_vz",
)  # fmt: skip


@dataclass(frozen=True)
class FlightPlan:
    """Everything that defines a flight; drawn from (seed, index) and nothing else."""

    seed: int
    index: int
    mission: str
    seconds: float
    vehicle: Vehicle
    sensors: SensorSuite
    weather: Weather
    segments: list[Segment]
    heading_rad: float
    elevation_m: float
    estimator_m_s: float
    rng: np.random.Generator = field(repr=False)


@dataclass(frozen=True)
class Flown:
    """Truth of a flight. fast: specific force and rates [n, 6] and rotors [n, 4] at RATE_HZ; slow: by name at 50 Hz."""

    fast: F64
    rotor_rad_s: F64
    slow: dict[str, F64]
    rest_height_m: float


def plan_flight(
    seed: int, index: int, mission: str, airframe_name: str, condition: Condition | None,
    edr: float | None, w20_m_s: float | None, seconds: float,
) -> FlightPlan:  # fmt: skip
    """Draw a flight."""
    rng = np.random.default_rng([seed, index])
    draw, simulate = rng.spawn(2)
    base = airframe(airframe_name)
    elevation = float(draw.uniform(0.0, 800.0))
    # ISA, which is also JSBSim's atmosphere.
    rho = 1.225 * (1.0 - 2.25577e-5 * elevation) ** 4.2559
    vehicle = draw_vehicle(base, draw, rho)
    weather = make_weather(condition, edr, w20_m_s, seconds, 0.75 * base.max_speed_m_s, draw)
    max_height = float(draw.uniform(10.0, 40.0))
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
    )


class _Air:
    """Wind and gusts where the vehicle is."""

    def __init__(self, plan: FlightPlan, distance_m: float) -> None:
        self._weather = plan.weather
        self._span = plan.vehicle.span_m
        self._field: GustField = gust_field(plan.rng, distance_m, self._span, (5.0, 40.0))
        self._direction = (math.cos(plan.weather.direction_rad), math.sin(plan.weather.direction_rad))
        self._at_uv = self._at_w = self._at_roll = 0.0
        self._filtered = [0.0, 0.0]
        self.rates = (0.0, 0.0, 0.0)
        self.gust = (0.0, 0.0, 0.0)
        self.w20 = self.mean = 0.0
        self._sigma_uv = self._sigma_w = self._sigma_p = 0.0
        self._step = (1.0, 1.0, 1.0)

    def slow(self, seconds: float, height_m: float) -> None:
        """Follow time and height (50 Hz is enough)."""
        self.w20 = self._weather.w20_at(seconds, height_m)
        self.mean = self._weather.mean_wind_at(self.w20, height_m)
        self._sigma_uv, self._sigma_w = intensities(self.w20, height_m)
        length_uv, length_w = lengths(height_m)
        self._sigma_p = self._sigma_w * roll_gust_ratio(self._span, length_w)
        gusts = self._field
        self._step = (
            1.0 / (length_uv * gusts.step_uv), 1.0 / (length_w * gusts.step_w), 1.0 / (self._span * gusts.step_roll),
        )  # fmt: skip

    def advance(self, airspeed_m_s: float, dt_s: float) -> None:
        """Move on through the field; then `gust` (NED, m/s) and `rates` (rad/s) hold what the vehicle meets."""
        if self._sigma_w == 0.0:
            self.gust = self.rates = (0.0, 0.0, 0.0)
            return
        gusts, mask = self._field, self._field.mask
        way = max(airspeed_m_s, _EVOLUTION_M_S) * dt_s
        self._at_uv += way * self._step[0]
        self._at_w += way * self._step[1]
        self._at_roll += way * self._step[2]
        whole = int(self._at_uv)
        part, i = self._at_uv - whole, whole & mask
        u = self._sigma_uv * (gusts.u[i] + part * (gusts.u[i + 1] - gusts.u[i]))
        v = self._sigma_uv * (gusts.v[i] + part * (gusts.v[i + 1] - gusts.v[i]))
        whole = int(self._at_w)
        part, i = self._at_w - whole, whole & mask
        w = self._sigma_w * (gusts.w[i] + part * (gusts.w[i + 1] - gusts.w[i]))
        whole = int(self._at_roll)
        part, i = self._at_roll - whole, whole & mask
        roll = self._sigma_p * (gusts.roll[i] + part * (gusts.roll[i + 1] - gusts.roll[i]))
        # MIL-F-8785C Φ_q and Φ_r: the slope of w and v along the path, averaged over 4b/π and 3b/π.
        low = self._filtered
        reach_q, reach_r = 4.0 / math.pi * self._span, 3.0 / math.pi * self._span
        pitch, yaw = (w - low[0]) / reach_q, (v - low[1]) / reach_r
        low[0] += (w - low[0]) * (1.0 - math.exp(-way / reach_q))
        low[1] += (v - low[1]) * (1.0 - math.exp(-way / reach_r))
        north, east = self._direction
        self.gust = (u * north - v * east, u * east + v * north, w)
        self.rates = (roll, pitch, yaw)

    def wind(self) -> tuple[float, float, float]:
        """Mean wind and gust together, the velocity of the air, NED."""
        return (
            self.mean * self._direction[0] + self.gust[0], self.mean * self._direction[1] + self.gust[1], self.gust[2],
        )  # fmt: skip


def _rotation(roll: float, pitch: float, yaw: float) -> tuple[float, ...]:
    """Body to NED, row by row."""
    cr, sr, cp, sp, cy, sy = (
        math.cos(roll), math.sin(roll), math.cos(pitch), math.sin(pitch), math.cos(yaw), math.sin(yaw),
    )  # fmt: skip
    return (
        cp * cy, sr * sp * cy - cr * sy, cr * sp * cy + sr * sy,
        cp * sy, sr * sp * sy + cr * cy, cr * sp * sy - sr * cy,
        -sp, sr * cp, cr * cp,
    )  # fmt: skip


class _Noise:
    """Series drawn before the flight, read by step: unit lists, periodic."""

    def __init__(self, rng: np.random.Generator, steps: int, rotor: Rotor) -> None:
        size = 1 << (steps - 1).bit_length()
        slow = size // 8
        self.mask, self.slow_mask = size - 1, slow - 1
        self.gyro = [rng.standard_normal(size).tolist() for _ in range(3)]
        # Eddies of the rotor's own size, carried through it by the inflow.
        eddies_hz = rotor.hover_inflow_m_s / (2.0 * math.pi * rotor.radius_m)
        self.lift = [lowpass_noise(rng, size, RATE_HZ, eddies_hz).tolist() for _ in range(4)]
        self.heave = lowpass_noise(rng, size, RATE_HZ, 5.0).tolist()
        self.side = [lowpass_noise(rng, size, RATE_HZ, _SIDE_NOISE_HZ).tolist() for _ in range(2)]
        self.velocity = [lowpass_noise(rng, slow, OUTER_HZ, 0.3).tolist() for _ in range(3)]
        self.position = [lowpass_noise(rng, slow, OUTER_HZ, 0.02).tolist() for _ in range(3)]
        self.tilt = [lowpass_noise(rng, slow, OUTER_HZ, 0.1).tolist() for _ in range(2)]
        self.stick = [lowpass_noise(rng, slow, OUTER_HZ, 0.7).tolist() for _ in range(3)]


class Simulator:
    """Flies one plan, step by step."""

    def __init__(self, plan: FlightPlan) -> None:
        self.plan = plan
        vehicle = plan.vehicle
        self._dt = 1.0 / RATE_HZ
        self._limit_s = plan.seconds + _MAX_EXTRA_S
        self._noise = _Noise(plan.rng, int(self._limit_s * RATE_HZ), vehicle.rotor)
        self._air = _Air(plan, 8.0 * plan.seconds)
        self._world = World(vehicle, plan.heading_rad, plan.elevation_m)
        self._rotors = Rotors(vehicle, self._dt)
        self._pilot = Autopilot(vehicle, plan.heading_rad, self._dt)
        self._guidance = Guidance(plan.segments, plan.heading_rad)
        self._position = [0.0, 0.0, 0.0]
        self._landed, self._armed = True, False
        self._touch_s = self._stopped_s = 0.0

    def fly(self) -> Flown:
        """The whole flight: on the ground, up, the mission, down, on the ground."""
        fast: list[tuple[float, ...]] = []
        spins: list[tuple[float, ...]] = []
        slow: list[tuple[float, ...]] = []
        command = [0.0] * 4
        step = 0
        while step * self._dt < self._limit_s:
            state, angles = self._world.state()
            if step % _EVERY == 0:
                command = self._slow_step(step, state, angles, slow)
                if self._stopped_s > _GROUND_S:
                    slow.pop()
                    break
            self._fast_step(step, state, angles, command)
            fast.append((*state[7:10], *angles[:3]))
            spins.append(tuple(self._rotors.speed))
            step += 1
        columns = np.array(slow).T
        return Flown(
            fast=np.array(fast), rotor_rad_s=np.array(spins),
            slow=dict(zip(_SLOW_COLUMNS, columns, strict=True)), rest_height_m=self._world.rest_height_m,
        )  # fmt: skip

    def _fast_step(self, step: int, state: list[float], angles: list[float], command: list[float]) -> None:
        noise, plan, air = self._noise, self.plan, self._air
        rotation = _rotation(angles[3], angles[4], angles[5])
        r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation
        wn, we, wd = air.wind()
        u = state[0] - (r00 * wn + r10 * we + r20 * wd)
        v = state[1] - (r01 * wn + r11 * we + r21 * wd)
        w = state[2] - (r02 * wn + r12 * we + r22 * wd)
        air.advance(math.sqrt(u * u + v * v + w * w), self._dt)
        i = step & noise.mask
        if self._armed and command[0] < 0.0:
            gyro = 0.01
            rates = (
                angles[0] + gyro * noise.gyro[0][i],
                angles[1] + gyro * noise.gyro[1][i],
                angles[2] + gyro * noise.gyro[2][i],
            )
            speeds = self._pilot.inner(rates, rotation, angles[5])
        else:
            speeds = command
        self._rotors.spin(speeds)
        unsteady = self._unsteady
        factor = self._ground_factor * (1.0 + plan.vehicle.heave_noise * noise.heave[i])
        lift = [factor * (1.0 + unsteady * series[i]) for series in noise.lift]
        gp, gq, gr = air.rates
        fx, fy, fz, mx, my, mz = self._rotors.wrench(u, v, w, angles[0] - gp, angles[1] - gq, angles[2] - gr, lift)
        side = plan.vehicle.side_noise_m_s2 * plan.vehicle.mass_kg if self._armed else 0.0
        self._world.step(fx + side * noise.side[0][i], fy + side * noise.side[1][i], fz, mx, my, mz)

    def _slow_step(
        self, step: int, state: list[float], angles: list[float], rows: list[tuple[float, ...]]
    ) -> list[float]:
        """Estimates, guidance, outer loops and the log; returns rotor commands, or −1 where the loops decide."""
        seconds = step * self._dt
        plan, noise, pilot = self.plan, self._noise, self._pilot
        height = state[6] - self._world.rest_height_m
        velocity = state[3:6]
        position = self._position
        position[0] += velocity[0] / OUTER_HZ
        position[1] += velocity[1] / OUTER_HZ
        position[2] = -height
        i = (step // _EVERY) & noise.slow_mask
        error = plan.estimator_m_s
        # The barometer and accelerometer hold the vertical speed better than GPS the horizontal one.
        est_velocity = [velocity[a] + error * (1.0, 1.0, 0.5)[a] * noise.velocity[a][i] for a in range(3)]
        est_position = [position[a] + 6.0 * error * noise.position[a][i] for a in range(3)]
        self._air.slow(seconds - _GROUND_S, max(height, 0.0))
        radius = plan.vehicle.rotor.radius_m
        reach = max(height + self._world.rest_height_m, 0.6 * radius)
        # Towards the vortex ring state the rotor meets its own wake; forward speed blows it away.
        inflow = plan.vehicle.rotor.hover_inflow_m_s
        depth = min(max((velocity[2] / inflow - 0.25) / 0.5, 0.0), 1.0)
        clear = max(1.0 - math.hypot(velocity[0], velocity[1]) / (1.5 * inflow), 0.0)
        self._unsteady = plan.vehicle.thrust_noise * (1.0 + 2.5 * depth * clear)
        # Cheeseman and Bennett 1955.
        self._ground_factor = 1.0 / (1.0 - (radius / (4.0 * reach)) ** 2)
        command = self._state_machine(seconds, -est_position[2], est_velocity[2])
        if command[0] < 0.0:
            self._guidance.step((noise.stick[0][i], noise.stick[1][i], noise.stick[2][i]))
            if self._touch_s > 0.1:
                pilot.settle()
            else:
                pilot.outer(self._guidance, est_position, est_velocity)
            if self._landed:
                pilot.reset()
        wn, we, wd = self._air.wind()
        airspeed = math.hypot(velocity[0] - wn, velocity[1] - we, velocity[2] - wd)
        rows.append((
            seconds, *position, *velocity, *angles[3:6], *est_position, *est_velocity, *pilot.acceleration,
            pilot.thrust / (plan.vehicle.mass_kg * G), airspeed, float(self._landed), float(self._armed), height,
            self._air.w20, self._air.mean, *self._air.gust, self._guidance.velocity[2],
        ))  # fmt: skip
        return command

    def _state_machine(self, seconds: float, height_m: float, down_m_s: float) -> list[float]:
        """Arming, take-off and landing detection, as PX4's land detector does it from thrust and movement."""
        idle = 0.2 * self.plan.vehicle.rotor.hover_rad_s
        period = 1.0 / OUTER_HZ
        if self._stopped_s > 0.0:
            self._stopped_s += period
            return [0.0] * 4
        if seconds < _GROUND_S:
            return [0.0] * 4
        self._armed = True
        if seconds < _GROUND_S + _SPIN_UP_S:
            return [idle] * 4
        if not self._guidance.landing:
            if down_m_s < -0.25 and self._pilot.thrust > 0.8 * self.plan.vehicle.mass_kg * G:
                self._landed = False
            return [-1.0] * 4
        low_thrust = self._pilot.thrust < 0.8 * self.plan.vehicle.mass_kg * G
        down = low_thrust and abs(down_m_s) < 0.3 and height_m < 0.8
        self._touch_s = self._touch_s + period if down else 0.0
        if self._touch_s > 0.4:
            self._landed = True
        if self._touch_s > 1.4:
            self._armed = False
            self._stopped_s = period
            return [0.0] * 4
        return [-1.0] * 4
