"""Parameters of a vehicle: some with PX4's names, SIM_TURB_… and SIM_WIND_… for the air.

Integers are sent byte by byte in the float field, as in PX4 (MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_BYTEWISE).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from px4_tinyml.mavlink import dialect as mavlink

_INT32: int = mavlink.MAV_PARAM_TYPE_INT32
_REAL32: int = mavlink.MAV_PARAM_TYPE_REAL32


@dataclass
class VehicleParameter:
    """A number within limits, int or float by the type of its value. index: its place in the list."""

    name: str
    value: int | float
    low: float
    high: float
    index: int = 0

    @property
    def type(self) -> int:
        """MAV_PARAM_TYPE."""
        return _INT32 if isinstance(self.value, int) else _REAL32

    @property
    def on_wire(self) -> float:
        """The float of PARAM_VALUE."""
        return int_as_float(self.value) if isinstance(self.value, int) else self.value


def int_as_float(value: int) -> float:
    """The float with the bytes of a 32-bit integer."""
    number: float = struct.unpack("<f", struct.pack("<I", value & 0xFFFFFFFF))[0]
    return number


class Parameters:
    """All parameters of one vehicle, in the order of their names."""

    def __init__(self, system_id: int, airframe_number: int, edr: float, wind_m_s: float) -> None:
        quadrotor: int = mavlink.MAV_TYPE_QUADROTOR
        table: tuple[tuple[str, int | float, float, float], ...] = (
            ("BAT1_N_CELLS", 4, 1, 16),
            ("COM_DISARM_LAND", 2.0, -1.0, 120.0),
            ("COM_DISARM_PRFLT", 10.0, -1.0, 600.0),
            ("MAV_COMP_ID", 1, 1, 1),
            ("MAV_SYS_ID", system_id, system_id, system_id),
            ("MAV_TYPE", quadrotor, quadrotor, quadrotor),
            ("MIS_TAKEOFF_ALT", 2.5, 0.5, 100.0),
            ("MPC_TKO_SPEED", 1.5, 0.5, 5.0),
            ("MPC_XY_CRUISE", 5.0, 1.0, 20.0),
            ("MPC_Z_V_AUTO_DN", 1.5, 0.5, 4.0),
            ("MPC_Z_V_AUTO_UP", 3.0, 0.5, 8.0),
            ("RTL_RETURN_ALT", 30.0, 2.0, 150.0),
            ("SIM_BAT_DRAIN", 1200.0, 1.0, 86400.0),
            ("SIM_BAT_MIN_PCT", 50.0, 0.0, 100.0),
            ("SIM_TURB_EDR", edr, 0.0, 1.0),
            ("SIM_TURB_RAMP", 1.0, 0.02, 60.0),
            ("SIM_WIND_SPD", wind_m_s, 0.0, 30.0),
            ("SYS_AUTOSTART", airframe_number, airframe_number, airframe_number),
            ("SYS_FAILURE_EN", 0, 0, 1),
        )
        self._table = {row[0]: VehicleParameter(*row, index=index) for index, row in enumerate(table)}

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[VehicleParameter]:
        return iter(self._table.values())

    def __getitem__(self, name: str) -> float:
        return self._table[name].value

    def find(self, name: str) -> VehicleParameter | None:
        return self._table.get(name)

    def at(self, index: int) -> VehicleParameter | None:
        return list(self._table.values())[index] if 0 <= index < len(self._table) else None

    def set(self, name: str, on_wire: float, wire_type: int = _REAL32) -> str:
        """Set a value from PARAM_SET. Returns why it is rejected, or ""."""
        parameter = self._table.get(name)
        if parameter is None:
            return f"Unknown parameter {name}"
        if wire_type != parameter.type:
            return f"{name}: parameter types mismatch"
        value = struct.unpack("<i", struct.pack("<f", on_wire))[0] if wire_type == _INT32 else on_wire
        if not (math.isfinite(value) and parameter.low <= value <= parameter.high):
            allowed = f"{parameter.low:g} to {parameter.high:g}" if parameter.low < parameter.high else "fixed"
            return f"{name} = {value:g} refused: {allowed}"
        parameter.value = value
        return ""

    def hash(self) -> int:
        """CRC-32 of names and values: a ground station can compare it with its cached copy."""
        state = 0
        for parameter in self._table.values():
            code = "<i" if isinstance(parameter.value, int) else "<f"
            state = zlib.crc32(parameter.name.encode() + struct.pack(code, parameter.value), state)
        return state
