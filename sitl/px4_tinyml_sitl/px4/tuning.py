"""PX4 parameters for a simulated vehicle, with well tuned gains.

The gains are those of the embedded autopilot (autopilot.py), in PX4's units: its rate controllers command a share of
the largest torque. Source: PX4-Autopilot v1.17, mc_rate_control and lib/control_allocation (the normalisation).
"""

from __future__ import annotations

import math

from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G
from px4_tinyml_sitl.airframes import VehicleModel

Parameters = dict[str, int | float]

INTEGRATION_HZ = 250
"""Rate of the IMU samples that PX4 makes of its simulated IMU's; what PX4's scripts set for simulators, too."""

ALWAYS: Parameters = {
    "IMU_INTEG_RATE": INTEGRATION_HZ,
    # From boot to shutdown, so that every sample the module receives is logged.
    "SDLOG_MODE": 2,
    # Simulated GPS has no delay.
    "EKF2_GPS_DELAY": 0,
    # No stick and no ground station needed.
    "COM_RC_IN_MODE": 4,
    "NAV_RCL_ACT": 0,
    "NAV_DLL_ACT": 0,
}
"""For every run of PX4 with this simulator. (A parameter set to PX4's default is left to PX4's scripts.)"""


def flight_parameters(vehicle: VehicleModel) -> Parameters:
    """Geometry, thrust curve and gains of one vehicle."""
    x, y = abs(vehicle.rotor_x_m[0]), abs(vehicle.rotor_y_m[0])
    most_n = vehicle.thrust_ratio * vehicle.mass_kg * G / 4.0
    ixx, iyy, izz = vehicle.inertia_kg_m2
    # Angular acceleration of a torque setpoint of 1, after PX4's normalisation of the mixer of an X quadrotor.
    roll, pitch = (4.0 * math.sqrt(0.5) * arm * most_n / inertia for arm, inertia in ((y, ixx), (x, iyy)))
    yaw = 4.0 * vehicle.yaw_ratio_m * most_n / izz
    rate_p, attitude_p, velocity_p, climb_p = vehicle.gains
    parameters: Parameters = {"CA_ROTOR_COUNT": 4, "CA_AIRFRAME": 0}
    for i, turn in enumerate((1.0, 1.0, -1.0, -1.0)):
        parameters |= {
            f"CA_ROTOR{i}_PX": vehicle.rotor_x_m[i], f"CA_ROTOR{i}_PY": vehicle.rotor_y_m[i],
            f"CA_ROTOR{i}_KM": turn * vehicle.yaw_ratio_m,
        }  # fmt: skip
    for axis, reach in (("ROLL", roll), ("PITCH", pitch)):
        parameters |= {
            f"MC_{axis}RATE_P": rate_p / reach, f"MC_{axis}RATE_I": 0.5 * rate_p / reach,
            f"MC_{axis}RATE_D": 0.25 * vehicle.motor_tau_s * rate_p / reach, f"MC_{axis}_P": attitude_p,
        }  # fmt: skip
    parameters |= {
        "MC_YAWRATE_P": 0.35 * rate_p / yaw, "MC_YAWRATE_I": 0.175 * rate_p / yaw, "MC_YAW_P": 1.8,
        # Rotor speed goes with the output, thrust with its square.
        "THR_MDL_FAC": 1.0, "MPC_THR_HOVER": 1.0 / vehicle.thrust_ratio, "MPC_THR_MIN": 0.05,
        "MPC_XY_P": 0.40 * velocity_p, "MPC_XY_VEL_P_ACC": velocity_p,
        "MPC_XY_VEL_I_ACC": 0.15 * velocity_p * velocity_p, "MPC_Z_VEL_P_ACC": climb_p,
        "MPC_XY_VEL_MAX": 1.2 * vehicle.airframe.max_speed_m_s, "MPC_Z_VEL_MAX_UP": 6.0, "MPC_Z_VEL_MAX_DN": 4.0,
        "MPC_LAND_SPEED": 0.7, "MPC_TKO_SPEED": 1.5,
        "IMU_GYRO_CUTOFF": min(120.0, 0.16 / vehicle.delay_s * 4.0), "IMU_DGYRO_CUTOFF": 40.0,
    }  # fmt: skip
    return parameters
