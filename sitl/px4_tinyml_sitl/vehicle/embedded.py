"""EmbeddedVehicle: a simulated vehicle in real time (or faster), on any number of MAVLink addresses."""

from __future__ import annotations

import contextlib
import logging
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.errors import LinkError, SpecError
from px4_tinyml.link.transports import Peer
from px4_tinyml.mavlink import dialect as mavlink
from px4_tinyml.mavlink.framer import Frame
from px4_tinyml.mavlink.signing import SigningKey
from px4_tinyml_sitl.airframes import airframe as find_airframe
from px4_tinyml_sitl.autopilot import OUTER_HZ, Guidance
from px4_tinyml_sitl.catalog import DEFAULT_MISSION, MISSIONS
from px4_tinyml_sitl.flight import plan_flight
from px4_tinyml_sitl.missions import plan_mission
from px4_tinyml_sitl.vehicle.channel import MavlinkChannel
from px4_tinyml_sitl.vehicle.commander import Commander
from px4_tinyml_sitl.vehicle.log_server import LogStream
from px4_tinyml_sitl.vehicle.onboard_log import OnboardLog
from px4_tinyml_sitl.vehicle.simulation import STEP_US
from px4_tinyml_sitl.vehicle.state import BOOT_US, Mode, VehicleState
from px4_tinyml_sitl.vehicle.stream_scheduler import TICK_US, Echoes
from px4_tinyml_sitl.vehicle.vehicle_streams import LinkMode
from px4_tinyml_sitl.vehicle.wire import PEER_TIMEOUT_S, Faults, FaultyWire, Wire

DEFAULT_AIRFRAME = "500"
DEFAULT_WIND_M_S = 6.0
"""Mean wind at 20 ft, which carries the gusts past a hovering vehicle."""
MISSION_S = 120.0
_STEPS = TICK_US // STEP_US
_PLAN_S = 120.0
"""Period of the simulation's noise."""
_BETWEEN_MISSIONS_S = 5.0
_MAX_BEHIND_S = 0.25

_log = logging.getLogger(__name__)


class EmbeddedVehicle:
    """One vehicle that speaks MAVLink 2 as PX4 does. `run()` serves until stopped; a context manager, in a thread.

    addresses: links (px4_tinyml.link.address). mission: fly missions of this kind, one after the other; None waits on
    the ground for commands. logs: folder for the flights' .ulg (None: a temporary one). faults: makes every wire a
    FaultyWire. Raises SpecError and LinkError.
    """

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        airframe: str | None = None,
        seed: int = 0,
        edr: float = 0.0,
        wind_m_s: float = DEFAULT_WIND_M_S,
        speed: float = 1.0,
        system_id: int = 1,
        link_mode: LinkMode = "onboard",
        mission: str | None = None,
        logs: Path | None = None,
        signing: SigningKey | None = None,
        faults: Faults | None = None,
    ) -> None:
        for what, value, good, expected in (
            ("speed", speed, 0.5 <= speed <= 50.0, "0.5 to 50"),
            ("system-id", system_id, 1 <= system_id <= 255, "1 to 255"),
            ("edr", edr, 0.0 <= edr <= 1.0, "0 to 1 m^(2/3)/s"),
            ("wind", wind_m_s, 0.0 <= wind_m_s <= 30.0, "0 to 30 m/s"),
            ("mission", mission, mission is None or mission in MISSIONS, "one of " + ", ".join(MISSIONS)),
        ):
            if not good:
                raise SpecError(f"{what} = {value}: expected {expected}")
        self.speed = speed
        self._mission, self._link_mode = mission, link_mode
        self._airframe = find_airframe(airframe or DEFAULT_AIRFRAME)
        # The system id is the number of the flight, so that vehicles of one seed differ.
        plan = plan_flight(seed, system_id - 1, DEFAULT_MISSION, self._airframe.name, "calm", None, None, _PLAN_S)
        self._rng = np.random.default_rng([seed, system_id])
        self.state = VehicleState(plan, system_id, edr, wind_m_s)
        self._cleanup = contextlib.ExitStack()
        folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory())) if logs is None else logs
        folder.mkdir(parents=True, exist_ok=True)
        self.commander = Commander(self.state, self.say, self._draw_mission)
        self.log = OnboardLog(self.state, folder, self.say)
        self.stream: LogStream | None = None
        self.echoes: Echoes = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._waited_s = 0.0
        self.wires: list[Wire] = []
        try:
            for index, address in enumerate([addresses] if isinstance(addresses, str) else addresses):
                wire = FaultyWire(address, signing, faults, seed + index) if faults else Wire(address, signing)
                self.wires.append(wire)
        except BaseException:
            self.close()
            raise
        self._channels = [MavlinkChannel(wire, self, link_mode) for wire in self.wires]

    # Serving

    def run(self, seconds: float | None = None) -> None:
        """Serve at `speed` times real time, for so many seconds of simulation or until stop().

        Raises LinkError when all wires are serial or TCP client wires and have had no peer for PEER_TIMEOUT_S.
        """
        tick_s = TICK_US * 1e-6
        due = time.monotonic()
        try:
            while not self._stop.is_set() and (seconds is None or self.state.flight.time_us < seconds * 1e6):
                self._tick()
                due += tick_s / self.speed
                ahead = due - time.monotonic()
                if ahead > 0.0:
                    time.sleep(ahead)
                elif ahead < -_MAX_BEHIND_S:
                    due = time.monotonic()  # the machine is too slow: the vehicle's clock waits
        finally:
            self.close()

    def _tick(self) -> None:
        state = self.state
        state.advance(_STEPS)
        if state.flight.steps % (400 // OUTER_HZ) < _STEPS:
            self.commander.update()
            self._next_mission()
        while not self._calls.empty():
            self._calls.get()()
        self.log.update()
        if self.stream is not None and self.stream.lost:
            self.stream = None
            self.say(mavlink.MAV_SEVERITY_WARNING, "Log streaming stopped: no acknowledgement")
        booting = state.now_us < BOOT_US
        for channel in self._channels:
            for frame, peer in channel.wire.receive():
                if not booting:
                    channel.handle(frame, peer)
        if state.now_us < BOOT_US:
            return
        for channel in self._channels:
            channel.update()
        if self.wires and all(wire.gone for wire in self.wires):
            raise LinkError(
                f"{', '.join(str(wire.address) for wire in self.wires)}: no peer for {PEER_TIMEOUT_S:.0f} s"
            )

    def _next_mission(self) -> None:
        if self._mission is None or self.state.flight.armed:
            self._waited_s = 0.0
            return
        self._waited_s += 1.0 / OUTER_HZ
        if self._waited_s > _BETWEEN_MISSIONS_S and self.state.flight.landed:
            if self.state.flight.tipped:
                self.state.flight.pick_up()
            self._waited_s = 0.0
            self.commander.switch(Mode.MISSION)
            self.commander.attempt(self.commander.arm)

    def _draw_mission(self) -> Guidance:
        rng = self._rng
        max_height = float(rng.uniform(10.0, 40.0))
        name = self._mission or DEFAULT_MISSION
        return Guidance(plan_mission(name, self._airframe, MISSION_S, max_height, rng), self.state.flight.row.yaw)

    def start(self) -> None:
        """Serve in a thread."""

        def serve() -> None:
            try:
                self.run()
            except BaseException as error:
                self._failure = error

        self._thread = threading.Thread(target=serve, name=f"vehicle {self.state.system_id}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving. Raises the error that ended it, if one did."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10.0)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        self.log.close()
        for wire in self.wires:
            wire.close()
        self._cleanup.close()

    def __enter__(self) -> EmbeddedVehicle:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # For the channels

    def say(self, severity: int, text: str) -> None:
        """Send STATUSTEXT on every channel."""
        _log.debug("severity %d: %s", severity, text)
        for channel in self._channels:
            channel.say(severity, text)

    def forward(self, frame: Frame, channel: MavlinkChannel, peer: Peer) -> None:
        """Forward a frame that is not for this vehicle alone to all other known peers, as Mavlink::forward_message."""
        system = component = 0
        if "target_system" in getattr(mavlink.messages().get(frame.message_id), "fieldnames", ()):
            message = frame.message
            system, component = message.target_system, getattr(message, "target_component", 0)
        if (system, component) == (self.state.system_id, 1):
            return
        for other in self._channels:
            if other.was_seen(system, component):
                other.wire.send(frame.data, peer if other is channel else None)

    def set_air(self) -> None:
        """Apply the parameters of the air."""
        parameters = self.state.parameters
        self.state.flight.weather.command(
            parameters["SIM_TURB_EDR"], parameters["SIM_WIND_SPD"], parameters["SIM_TURB_RAMP"]
        )

    def stop_stream(self) -> None:
        """Stop log streaming, if it runs."""
        if self.stream is not None:
            self.stream.stop()
            self.stream = None

    def reboot(self) -> None:
        """Restart the autopilot: silent for BOOT_US, the boot clock from zero, default rates.

        In flight the flight continues (MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN is refused there).
        """
        self.log.close()
        if self.state.flight.tipped and not self.state.flight.armed:
            self.state.flight.pick_up()
        self.stop_stream()
        self.echoes.clear()
        self.state.reboot()
        self._channels = [MavlinkChannel(wire, self, self._link_mode) for wire in self.wires]

    # For tests: executed by the serving thread between two ticks

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function in the serving thread, and return its result."""
        result: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._calls.put(lambda: result.put(function()))
        return result.get(timeout=60.0)

    def fail_sensors(self, *names: str) -> None:
        """Fail these sensors ("imu", "baro", "gps"); all others work."""
        self.call(lambda: setattr(self.state, "broken", set(names)))

    def cut(self, seconds: float) -> None:
        """Drop all frames for a while (needs faults)."""
        for wire in self.wires:
            assert isinstance(wire, FaultyWire)
            wire.cut(seconds)
