"""The parameter protocol on one channel, as PX4's mavlink_parameters.cpp (v1.17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from px4_tinyml.mavlink import dialect as mavlink
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml_sitl.vehicle.parameters import VehicleParameter, int_as_float

if TYPE_CHECKING:
    from px4_tinyml_sitl.vehicle.channel import MavlinkChannel
    from px4_tinyml_sitl.vehicle.embedded import EmbeddedVehicle

_HASH_NAME = "_HASH_CHECK"
_NO_INDEX = 0xFFFF
_PER_TICK = 5


class ParameterServer:
    """Answers PARAM_REQUEST_LIST, PARAM_REQUEST_READ and PARAM_SET."""

    def __init__(self, channel: MavlinkChannel, vehicle: EmbeddedVehicle) -> None:
        self._channel, self._vehicle = channel, vehicle
        self._parameters = vehicle.state.parameters
        self._due: list[VehicleParameter] = []

    def request_list(self, m: Any, frame: Frame) -> None:
        """PARAM_REQUEST_LIST: the hash now, the parameters over the next ticks."""
        self._send_hash()
        self._due = list(self._parameters)

    def request_read(self, m: Any, frame: Frame) -> None:
        """PARAM_REQUEST_READ, by name or index."""
        if m.param_index < 0 and m.param_id == _HASH_NAME:
            self._send_hash()
            return
        by_name = m.param_index < 0
        parameter = self._parameters.find(m.param_id) if by_name else self._parameters.at(m.param_index)
        if parameter is not None:
            self._send(parameter)

    def set(self, m: Any, frame: Frame) -> None:
        """PARAM_SET. An invalid value is rejected with a STATUSTEXT; the current value is sent back either way."""
        if m.param_id == _HASH_NAME:
            self._due = []
            return
        error = self._parameters.set(m.param_id, m.param_value, m.param_type)
        if error:
            self._vehicle.say(mavlink.MAV_SEVERITY_WARNING, error)
        parameter = self._parameters.find(m.param_id)
        if parameter is not None:
            self._vehicle.set_air()
            self._send(parameter)

    def update(self) -> None:
        """One tick: some of the list."""
        wire = self._channel.wire
        left = _PER_TICK if wire.baud is None else 1
        while left and self._due and not wire.busy:
            self._send(self._due.pop(0))
            left -= 1

    def _send(self, p: VehicleParameter) -> None:
        self._send_value(p.name, p.on_wire, p.type, p.index)

    def _send_hash(self) -> None:
        self._send_value(_HASH_NAME, int_as_float(self._parameters.hash()), mavlink.MAV_PARAM_TYPE_UINT32, _NO_INDEX)

    def _send_value(self, name: str, value: float, kind: int, index: int) -> None:
        count = len(self._parameters)
        self._channel.send(mavlink.MAVLink_param_value_message(name.encode(), value, kind, count, index))
