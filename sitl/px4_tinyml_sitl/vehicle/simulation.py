"""A simulated flight without end, step by step, under a commander."""

from __future__ import annotations

import dataclasses
import math

from px4_tinyml_sitl.autopilot import OUTER_HZ, Guidance
from px4_tinyml_sitl.flight import TIPPED_RAD, FlightPlan, Simulator, SlowRow
from px4_tinyml_sitl.turbulence import edr_from_w20
from px4_tinyml_sitl.vehicle.guidance import CommandedGuidance
from px4_tinyml_sitl.vehicle.live_sensors import LiveBaro, LiveImu
from px4_tinyml_sitl.weather import CommandedWeather
from px4_tinyml_sitl.world import RATE_HZ

STEP_US = 1_000_000 // RATE_HZ
_EVERY = RATE_HZ // OUTER_HZ
_SPIN_UP_S = 1.2
_UPRIGHT_RAD = 0.6


class LiveFlight(Simulator):
    """One vehicle, on the ground at the start, stepped by advance().

    arm(), disarm(), wants_flight and guide() command it; row, angles, imu and baro are its state. steps counts from
    the start of the simulation, which is time zero of all its sensors.
    """

    def __init__(self, plan: FlightPlan, edr: float, wind_m_s: float) -> None:
        self.weather = CommandedWeather(plan.weather.direction_rad, plan.weather.wind_limit_m_s, edr, wind_m_s)
        super().__init__(plan, self.weather)
        self.steps = 0
        self.wants_flight = False
        self.commanded = CommandedGuidance(plan.heading_rad)
        self.guidance = self.commanded
        rng = plan.rng.spawn(1)[0]
        # On board the barometer is read faster than it is logged, and fails on command only.
        period = min(plan.sensors.baro_interval_us, 50_000)
        sensors = dataclasses.replace(plan.sensors, baro_interval_us=period, baro_silence_s=None)
        self.imu = LiveImu(sensors, plan.vehicle.rotor.hover_rad_s, float(RATE_HZ), rng)
        self.baro = LiveBaro(sensors, plan.vehicle.span_m, float(OUTER_HZ), rng)
        self._motors = [0.0] * 4
        self._armed_s = 0.0
        self.state, self.angles = self._world.state()
        self.row = SlowRow(*[0.0] * len(SlowRow._fields))
        self.advance()

    def advance(self) -> None:
        """One step of 1/RATE_HZ."""
        self.state, self.angles = self._world.state()
        if self.steps % _EVERY == 0:
            self.weather.follow()
            self._motors, row = self._slow_step(self.steps, self.state, self.angles)
            self.row = row
            self.baro.update(row.time_s, row.height, row.airspeed, row.thrust_ratio * row.armed)
        self._fast_step(self.steps, self.state, self.angles, self._motors)
        self.imu.update((*self.state[7:10], *self.angles[:3], *self._rotors.speed))
        self.steps += 1

    @property
    def time_us(self) -> int:
        """Since the start of the simulation."""
        return self.steps * STEP_US

    @property
    def edr(self) -> float:
        """True EDR at the vehicle, m^⅔/s."""
        return edr_from_w20(self.row.w20, self.row.height)

    @property
    def mean_wind(self) -> tuple[float, float]:
        """Mean wind at the vehicle, north and east, m/s."""
        direction = self.weather.direction_rad
        return self.row.wind * math.cos(direction), self.row.wind * math.sin(direction)

    @property
    def motor_share(self) -> list[float]:
        """Rotor speeds, 0 to 1."""
        vehicle = self.plan.vehicle
        top = vehicle.rotor.hover_rad_s * vehicle.thrust_ratio**0.5
        return [min(speed / top, 1.0) for speed in self._rotors.speed]

    @property
    def tipped(self) -> bool:
        """Whether it lies on its side."""
        return math.hypot(self.angles[3], self.angles[4]) > _UPRIGHT_RAD

    def pick_up(self) -> None:
        """Stand the vehicle upright on the ground, at rest."""
        self._world.stand()

    def arm(self) -> None:
        """Start the motors, at idle until wants_flight."""
        self.armed, self._armed_s = True, 0.0
        self.wants_flight = False
        self.take_command()

    def disarm(self) -> None:
        """Stop the motors, in flight too."""
        self.armed = self.wants_flight = False

    def guide(self, guidance: Guidance) -> None:
        """Follow other setpoints, starting at the current ones."""
        guidance.position, guidance.velocity = list(self.guidance.position), list(self.guidance.velocity)
        self.guidance = guidance

    def take_command(self) -> CommandedGuidance:
        """Make `commanded` active, starting at the vehicle (on the ground) or at its setpoint (in flight)."""
        row, before = self.row, self.guidance
        if not self.wants_flight:
            self.commanded.start([row.est_x, row.est_y, row.est_z], [0.0, 0.0, 0.0], row.yaw)
        elif before is not self.commanded:
            self.commanded.start(before.position, before.velocity, before.yaw)
        self.guidance = self.commanded
        return self.commanded

    def _state_machine(self, seconds: float, height_m: float, down_m_s: float, tilt_rad: float) -> list[float]:
        """Motor commands: stopped, idle, or −1 for the control loops. Arming and take-off are the commander's."""
        if self.armed and tilt_rad > TIPPED_RAD:
            self.disarm()  # PX4's failure detector
        if not self.armed:
            if height_m < 0.5 and abs(down_m_s) < 0.15:
                self.landed = True
            return [0.0] * 4
        self._armed_s += 1.0 / OUTER_HZ
        if not self.wants_flight or self._armed_s < _SPIN_UP_S:
            return [0.2 * self.plan.vehicle.rotor.hover_rad_s] * 4
        self._feel_ground(height_m, down_m_s)
        return [-1.0] * 4
