"""The rigid body: JSBSim with a model from a template.

JSBSim integrates the motion and adds gravity and the ground; rotors and drag (rotors.py) are body forces and moments.
The template contains no aircraft data.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from px4_tinyml.errors import ToolchainError
from px4_tinyml.units import M_PER_FT
from px4_tinyml.units import STANDARD_GRAVITY_M_S2 as G
from px4_tinyml_sitl.airframes import VehicleModel

RATE_HZ = 400
"""Steps a second."""

_SAG_M = 0.01
"""Compression of the legs under the weight."""

_LB_PER_N = 0.224808943
_LBFT_PER_NM = 0.737562149
_INPUTS = ("fx", "fy", "fz", "mx", "my", "mz")
_FT_OUTPUTS = (
    "velocities/u-fps", "velocities/v-fps", "velocities/w-fps",
    "velocities/v-north-fps", "velocities/v-east-fps", "velocities/v-down-fps", "position/h-agl-ft",
    "accelerations/a-pilot-x-ft_sec2", "accelerations/a-pilot-y-ft_sec2", "accelerations/a-pilot-z-ft_sec2",
)  # fmt: skip
_RAD_OUTPUTS = (
    "velocities/p-rad_sec", "velocities/q-rad_sec", "velocities/r-rad_sec",
    "attitude/phi-rad", "attitude/theta-rad", "attitude/psi-rad",
)  # fmt: skip

_CONTACT = """
  <contact type="STRUCTURE" name="leg{index}">
   <location unit="M"><x>{x:.5f}</x><y>{y:.5f}</y><z>{z:.5f}</z></location>
   <static_friction>0.8</static_friction><dynamic_friction>0.6</dynamic_friction>
   <spring_coeff unit="N/M">{spring:.4f}</spring_coeff>
   <damping_coeff unit="N/M/SEC">{damping:.4f}</damping_coeff>
  </contact>"""

_AXIS = '<axis name="{axis}"><function name="rotors/{name}-sum"><property>rotors/{name}</property></function></axis>'

_MODEL = """<?xml version="1.0"?>
<fdm_config name="quad" version="2.0" release="BETA">
 <metrics>
  <wingarea unit="M2">1</wingarea><wingspan unit="M">1</wingspan><chord unit="M">1</chord>
  <location name="AERORP" unit="M"><x>0</x><y>0</y><z>0</z></location>
  <location name="EYEPOINT" unit="M"><x>{imu_x:.6f}</x><y>{imu_y:.6f}</y><z>{imu_z:.6f}</z></location>
 </metrics>
 <mass_balance>
  <ixx unit="KG*M2">{ixx:.8f}</ixx><iyy unit="KG*M2">{iyy:.8f}</iyy><izz unit="KG*M2">{izz:.8f}</izz>
  <emptywt unit="KG">{mass:.6f}</emptywt>
  <location name="CG" unit="M"><x>0</x><y>0</y><z>0</z></location>
 </mass_balance>
 <ground_reactions>{contacts}
 </ground_reactions>
 <system name="rotors">{properties}</system>
 <aerodynamics>{axes}</aerodynamics>
</fdm_config>
"""


def model_xml(vehicle: VehicleModel) -> str:
    """JSBSim model of a vehicle. JSBSim's structural frame is x aft, y right, z up."""
    leg = 0.7 * vehicle.airframe.arm_m
    spring = vehicle.mass_kg * G / 4.0 / _SAG_M
    damping = 1.4 * (spring * vehicle.mass_kg / 4.0) ** 0.5
    contacts = "".join(
        _CONTACT.format(index=i, x=sx * leg, y=sy * leg, z=-leg_height_m(vehicle), spring=spring, damping=damping)
        for i, (sx, sy) in enumerate(((-1, -1), (-1, 1), (1, -1), (1, 1)))
    )
    axes = zip(("X", "Y", "Z", "ROLL", "PITCH", "YAW"), _INPUTS, strict=True)
    imu = vehicle.imu_offset_m
    ixx, iyy, izz = vehicle.inertia_kg_m2
    return _MODEL.format(
        imu_x=-imu[0], imu_y=imu[1], imu_z=-imu[2], ixx=ixx, iyy=iyy, izz=izz, mass=vehicle.mass_kg,
        contacts=contacts,
        properties="".join(f'<property value="0">rotors/{name}</property>' for name in _INPUTS),
        axes="".join(_AXIS.format(axis=axis, name=name) for axis, name in axes),
    )  # fmt: skip


def leg_height_m(vehicle: VehicleModel) -> float:
    """Centre of gravity above the feet."""
    return 0.05 + 0.25 * vehicle.airframe.arm_m


def load_jsbsim() -> Any:
    """The jsbsim module without its console output. Raises ToolchainError that names the extra if it is missing."""
    try:
        import jsbsim
    except ImportError as error:
        raise ToolchainError(
            "simulated flights need JSBSim, which is not installed: pip install 'px4-tinyml[sim]'"
        ) from error
    module: Any = jsbsim
    module.FGJSBBase().debug_lvl = 0
    return module


class World:
    """One vehicle in JSBSim, standing level on the ground at the start."""

    def __init__(self, vehicle: VehicleModel, heading_rad: float = 0.0, elevation_m: float = 0.0) -> None:
        fdm = load_jsbsim().FGFDMExec(None)
        fdm.set_debug_level(0)
        fdm.set_dt(1.0 / RATE_HZ)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            (Path(folder) / "quad").mkdir()
            (Path(folder) / "quad" / "quad.xml").write_text(model_xml(vehicle), encoding="utf-8")
            loaded = fdm.load_model_with_paths("quad", folder, folder, folder)
        fdm["ic/lat-geod-deg"] = 47.0
        fdm["ic/terrain-elevation-ft"] = elevation_m / M_PER_FT
        fdm["ic/h-agl-ft"] = (leg_height_m(vehicle) - _SAG_M) / M_PER_FT
        fdm["ic/psi-true-rad"] = heading_rad
        if not loaded or not fdm.run_ic():
            raise ToolchainError("JSBSim did not accept the generated vehicle model")
        node = fdm.get_property_manager().get_node
        self._fdm = fdm
        self.run: Callable[[], bool] = fdm.run
        self._set = [node(f"rotors/{name}").set_double_value for name in _INPUTS]
        self._get_ft = [node(name).get_double_value for name in _FT_OUTPUTS]
        self._get_rad = [node(name).get_double_value for name in _RAD_OUTPUTS]
        self.rest_height_m = leg_height_m(vehicle) - _SAG_M
        self.rho_kg_m3 = float(fdm["atmosphere/rho-slugs_ft3"]) * 515.378819

    def stand(self) -> None:
        """Reset to the start: on the ground, level, at rest."""
        self._fdm["ic/phi-rad"] = self._fdm["ic/theta-rad"] = 0.0
        self._fdm.run_ic()

    def step(self, fx: float, fy: float, fz: float, mx: float, my: float, mz: float) -> None:
        """One step under forces (N) and moments (N·m), body FRD."""
        s = self._set
        s[0](fx * _LB_PER_N)
        s[1](fy * _LB_PER_N)
        s[2](fz * _LB_PER_N)
        s[3](mx * _LBFT_PER_NM)
        s[4](my * _LBFT_PER_NM)
        s[5](mz * _LBFT_PER_NM)
        self.run()

    def state(self) -> tuple[list[float], list[float]]:
        """([u, v, w, v_north, v_east, v_down, height, accel x, y, z] SI; [p, q, r, roll, pitch, yaw] rad).

        u, v, w: velocity over ground in body axes. accel: specific force at the IMU. height: above ground.
        """
        return [get() * M_PER_FT for get in self._get_ft], [get() for get in self._get_rad]
