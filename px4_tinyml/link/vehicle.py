"""The vehicles of a link: discovery by heartbeat, and our own heartbeat."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from px4_tinyml.errors import LinkError
from px4_tinyml.flight_log import VehicleClass
from px4_tinyml.link.connection import Link
from px4_tinyml.logs.vehicle_names import autopilot_name, mav_type_name, vehicle_class
from px4_tinyml.mavlink import dialect
from px4_tinyml.mavlink.framer import Frame

NO_VEHICLES = ("GCS", "ONBOARD_CONTROLLER", "GIMBAL", "ADSB", "CAMERA")
"""MAV_TYPEs that are never an autopilot, although some name one in their heartbeat."""
LOOK_ROUND_S = 1.3
"""Wait after the first vehicle: heartbeats are sent once a second, so another one is received by then."""
HEARTBEAT_S = 1.0


@dataclass(frozen=True)
class Vehicle:
    """An autopilot on a link, by its heartbeat (MAV_AUTOPILOT, MAV_TYPE)."""

    system: int
    component: int
    autopilot: int
    mav_type: int

    def __str__(self) -> str:
        return f"{autopilot_name(self.autopilot)} {mav_type_name(self.mav_type)}, system {self.system}"

    @property
    def is_ardupilot(self) -> bool:
        """Whether ArduPilot flies it."""
        return bool(self.autopilot == dialect.MAV_AUTOPILOT_ARDUPILOTMEGA)

    @property
    def vehicle_class(self) -> VehicleClass:
        """Multirotor, fixed wing, …, by its MAV_TYPE."""
        return vehicle_class(self.mav_type)

    def replaces(self, other: Vehicle | None) -> bool:
        """Whether it is more likely its system's autopilot: prefer autopilots over sensor nodes, then component 1."""
        return other is None or self._rank > other._rank

    @property
    def _rank(self) -> tuple[bool, bool]:
        return self.autopilot != dialect.MAV_AUTOPILOT_INVALID, self.component == dialect.MAV_COMP_ID_AUTOPILOT1


def choose(link: Link, system: int | None = None, timeout_s: float = 10.0) -> Vehicle:
    """The vehicle with this system id, or the only one on the link.

    Frames received meanwhile are returned again by link.receive(). LinkError without a vehicle, or with several.
    """
    vehicles: dict[int, Vehicle] = {}
    received: list[Frame] = []
    deadline = time.monotonic() + timeout_s
    heartbeat = HeartbeatSender(link)
    while time.monotonic() < deadline:
        heartbeat.tick()
        frames = link.receive(min(0.2, max(0.0, deadline - time.monotonic())))
        received += frames
        for vehicle in autopilots(frames):
            if system in (None, vehicle.system):
                deadline = min(deadline, time.monotonic() + LOOK_ROUND_S)
            if vehicle.replaces(vehicles.get(vehicle.system)):
                vehicles[vehicle.system] = vehicle
        if system in vehicles and vehicles[system].component == dialect.MAV_COMP_ID_AUTOPILOT1:
            break
    link.unread(received)
    if system is None and len(vehicles) == 1:
        return next(iter(vehicles.values()))
    if system is not None and system in vehicles:
        return vehicles[system]
    raise explain_absence(link, vehicles.values(), system, timeout_s)


def autopilots(frames: Iterable[Frame]) -> Iterable[Vehicle]:
    """Autopilots that send a heartbeat (not ground stations, companions, cameras)."""
    excluded = [getattr(dialect, f"MAV_TYPE_{name}") for name in NO_VEHICLES]
    for frame in frames:
        if frame.message_id == dialect.MAVLINK_MSG_ID_HEARTBEAT:
            heartbeat = frame.fields
            if heartbeat.autopilot != dialect.MAV_AUTOPILOT_INVALID and heartbeat.type not in excluded:
                yield Vehicle(frame.system, frame.component, heartbeat.autopilot, heartbeat.type)


def explain_absence(link: Link, vehicles: Collection[Vehicle], system: int | None, waited_s: float) -> LinkError:
    """Why there is no vehicle (or not the one asked for), by what was received instead; and what to do."""
    return LinkError(f"{link.address}: {_absence(link, vehicles, system, waited_s)}")


def _absence(link: Link, vehicles: Collection[Vehicle], system: int | None, waited_s: float) -> str:
    if vehicles:
        present = "; ".join(str(vehicle) for vehicle in sorted(vehicles, key=lambda v: v.system))
        if system is None:
            return f"{len(vehicles)} vehicles are here ({present}): choose one with --system N"
        return f"no vehicle with system id {system} within {waited_s:g} s. Here: {present}"
    statistics = link.statistics
    if link.trouble:
        return link.trouble.removeprefix(f"{link.address}: ")
    if statistics.total("frames"):
        senders = ", ".join(f"{s}/{c}" for (s, c), sender in sorted(statistics.senders.items()) if sender.frames)
        return f"messages, but no autopilot's heartbeat within {waited_s:g} s (system/component received: {senders})"
    rejected = sum(statistics.total(name) for name in ("unsigned", "bad_signature", "replayed"))
    if rejected:
        return f"{rejected} messages that are not signed with our key: is it the vehicle's?"
    if statistics.garbage_bytes or statistics.bad_crc:
        serial = link.address.kind == "serial"
        advice = "another baud rate? (an Arduino's captures: --out NAME.csv)" if serial else "is it MAVLink?"
        return f"{statistics.garbage_bytes} bytes and no MAVLink message in them: {advice}"
    advice = "is the vehicle on, and does it send here?"
    if link.address.kind == "udpout":
        advice = "does a program listen there? (PX4 answers only the first client of a port; udpin receives all)"
    return f"nothing received within {waited_s:g} s: {advice}"


class HeartbeatSender:
    """Sends our heartbeat once a second: an autopilot on USB starts to send at the first one, a UDP peer learns our
    address.

    As an onboard controller of a system that is no vehicle: PX4 does not warn when it ends.
    """

    def __init__(self, link: Link) -> None:
        kind, autopilot = dialect.MAV_TYPE_ONBOARD_CONTROLLER, dialect.MAV_AUTOPILOT_INVALID
        self._link = link
        self._message = dialect.MAVLink_heartbeat_message(kind, autopilot, 0, 0, dialect.MAV_STATE_ACTIVE, 3)
        self._due = 0.0

    def tick(self) -> None:
        """Send one when it is due."""
        now = time.monotonic()
        if now >= self._due and self._link.reachable:
            self._link.send(self._message)
            self._due = now + HEARTBEAT_S
