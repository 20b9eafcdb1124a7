"""State of the autopilot: the mode, samples, estimates and clocks its messages are built from."""

from __future__ import annotations

import math
import time
from enum import IntEnum

import numpy as np

from px4_tinyml.flight_log import F64
from px4_tinyml_sitl.flight import FlightPlan
from px4_tinyml_sitl.vehicle.geo import Home
from px4_tinyml_sitl.vehicle.parameters import Parameters
from px4_tinyml_sitl.vehicle.simulation import STEP_US, LiveFlight

BOOT_US = 2_000_000
"""The boot clock when the first messages are sent."""
_GPS_PERIOD_US = 200_000
_MAIN_MODE_AUTO = 4
_AUTO_SUB_MODES = {"TAKEOFF": 2, "HOLD": 3, "MISSION": 4, "RETURN": 5, "LAND": 6}
"""PX4_CUSTOM_MAIN_MODE and PX4_CUSTOM_SUB_MODE_AUTO (px4_custom_mode.h)."""


class Mode(IntEnum):
    """vehicle_status.nav_state."""

    MISSION = 3
    HOLD = 4
    RETURN = 5
    TAKEOFF = 17
    LAND = 18

    @property
    def px4_mode(self) -> tuple[int, int]:
        """Main and sub mode of HEARTBEAT.custom_mode."""
        return _MAIN_MODE_AUTO, _AUTO_SUB_MODES[self.name]


class VehicleState:
    """One autopilot on one vehicle. imu: (boot µs, accel[3], gyro[3]), baro: (boot µs, m above sea): newest samples.

    broken: sensors that have failed ("imu", "baro", "gps"). new_imu, new_baro: samples of this tick, for the log.
    """

    def __init__(self, plan: FlightPlan, system_id: int, edr: float, wind_m_s: float) -> None:
        self.system_id = system_id
        self.parameters = Parameters(system_id, 4001, edr, wind_m_s)
        self.flight = LiveFlight(plan, edr, wind_m_s)
        self.home = Home(plan.elevation_m)
        self.mode = Mode.HOLD
        self.broken: set[str] = set()
        self.imu: tuple[int, F64, F64] | None = None
        self.baro: tuple[int, float] | None = None
        self.gps: tuple[int, float, float, float] | None = None
        self.new_imu: list[tuple[int, F64, F64]] = []
        self.new_baro: list[tuple[int, float]] = []
        self.battery_used = 0.0
        self.armed_us = self.takeoff_us = self.flight_count = 0
        self._offset_us = BOOT_US
        self._rng = np.random.default_rng([plan.seed, plan.index, system_id])
        self._epoch_us = int(time.time() * 1e6)

    @property
    def now_us(self) -> int:
        """The boot clock."""
        return self.flight.time_us + self._offset_us

    @property
    def unix_us(self) -> int:
        """GPS time, µs since 1970; advances with the simulation."""
        return self._epoch_us + self.flight.time_us

    def reboot(self) -> None:
        """Restart the boot clock at zero."""
        self._offset_us = -self.flight.time_us
        self.imu = self.baro = self.gps = None
        self.armed_us = self.takeoff_us = 0

    def advance(self, steps: int) -> None:
        """Step the world, then read the sensors."""
        flight = self.flight
        for _ in range(steps):
            flight.advance()
        # A sample from before a reboot has a negative time: dropped.
        offset, elevation = self._offset_us, self.home.elevation_m
        self.new_imu = [(t + offset, accel, gyro) for t, accel, gyro in flight.imu.samples if t + offset >= 0]
        self.new_baro = [(t + offset, altitude + elevation) for t, altitude in flight.baro.samples if t + offset >= 0]
        flight.imu.samples.clear()
        flight.baro.samples.clear()
        if "imu" in self.broken:
            self.new_imu = []
        if "baro" in self.broken:
            self.new_baro = []
        self.imu = self.new_imu[-1] if self.new_imu else self.imu
        self.baro = self.new_baro[-1] if self.new_baro else self.baro
        self._status(steps * STEP_US * 1e-6)
        if "gps" not in self.broken and (self.gps is None or self.now_us - self.gps[0] >= _GPS_PERIOD_US):
            self._fix()

    def _status(self, seconds: float) -> None:
        flight, now_us = self.flight, self.now_us
        if not flight.armed:
            self.armed_us = self.takeoff_us = 0
            return
        if not self.armed_us:
            self.armed_us = now_us
            self.flight_count += 1
        if not flight.landed:
            self.takeoff_us = self.takeoff_us or now_us
        # PX4's battery simulator: down to SIM_BAT_MIN_PCT within SIM_BAT_DRAIN seconds armed.
        lowest = self.parameters["SIM_BAT_MIN_PCT"] / 100.0
        self.battery_used = min(self.battery_used + seconds / self.parameters["SIM_BAT_DRAIN"], 1.0 - lowest)

    def _fix(self) -> None:
        row = self.flight.row
        lat, lon = self.home.globe(row.x + 0.3 * self._noise(), row.y + 0.3 * self._noise())
        self.gps = (self.now_us, lat, lon, self.home.elevation_m - row.z + 0.5 * self._noise())

    def _noise(self) -> float:
        return float(self._rng.standard_normal())

    @property
    def battery(self) -> tuple[float, float, float]:
        """(remaining share, V, A)."""
        left = 1.0 - self.battery_used
        cells = self.parameters["BAT1_N_CELLS"]
        current = 0.5 + 15.0 * math.sqrt(max(self.flight.row.thrust_ratio, 0.0)) ** 3 * self.flight.row.armed
        return left, cells * (3.5 + 0.65 * left), current
