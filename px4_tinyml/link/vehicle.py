"""Who is on a link: discovery by heartbeat, and ours."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from px4_tinyml.errors import LinkError
from px4_tinyml.link.connection import Link
from px4_tinyml.logs.vehicle_names import AUTOPILOTS, mav_type_name
from px4_tinyml.mavlink.framer import Frame

NO_AUTOPILOT = 8
ONBOARD_CONTROLLER = 18
AUTOPILOT = 1
"""MAV_COMP_ID_AUTOPILOT1."""
NO_VEHICLES = {6, ONBOARD_CONTROLLER, 26, 27, 30}
"""MAV_TYPE of ground stations, companions, gimbals, ADS-B receivers, cameras: some name an autopilot, and are none."""
LOOK_ROUND_S = 1.3
"""After the first vehicle: heartbeats come once a second, so another one is heard by then."""
HEARTBEAT, COMMAND_ACK = 0, 77
ACCEPTED, IN_PROGRESS = 0, 5


@dataclass(frozen=True)
class Vehicle:
    """An autopilot on a link, by its heartbeat (MAV_AUTOPILOT, MAV_TYPE)."""

    system: int
    component: int
    autopilot: int
    mav_type: int

    def __str__(self) -> str:
        autopilot = AUTOPILOTS.get(self.autopilot, f"autopilot {self.autopilot}")
        return f"{autopilot} {mav_type_name(self.mav_type)}, system {self.system}"

    def replaces(self, other: Vehicle | None) -> bool:
        """Whether it is more likely its system's autopilot than this one: a sensor node is none, component 1 is one."""
        return other is None or self._rank > other._rank

    @property
    def _rank(self) -> tuple[bool, bool]:
        return self.autopilot != NO_AUTOPILOT, self.component == AUTOPILOT


def choose(link: Link, system: int | None = None, timeout_s: float = 10.0) -> Vehicle:
    """The vehicle with this system id, or the only one there is.

    Frames heard meanwhile come again from link.receive(). LinkError when nobody answers, or when it is not clear who.
    """
    found: dict[int, Vehicle] = {}
    kept: list[Frame] = []
    deadline = time.monotonic() + timeout_s
    beat = HeartbeatClock(link)
    while time.monotonic() < deadline:
        beat.tick()
        frames = link.receive(min(0.2, max(0.0, deadline - time.monotonic())))
        kept += frames
        for vehicle in autopilots(frames):
            if system in (None, vehicle.system):
                deadline = min(deadline, time.monotonic() + LOOK_ROUND_S)
            if vehicle.replaces(found.get(vehicle.system)):
                found[vehicle.system] = vehicle
        if system in found and found[system].component == AUTOPILOT:
            break
    link.unread(kept)
    if system is None and len(found) == 1:
        return next(iter(found.values()))
    if system is not None and system in found:
        return found[system]
    raise explain_absence(link, found.values(), system, timeout_s)


def autopilots(frames: Iterable[Frame]) -> Iterable[Vehicle]:
    """Autopilots that send a heartbeat (not ground stations, companions, cameras)."""
    for frame in frames:
        if frame.message_id == HEARTBEAT:
            heartbeat = frame.message
            if heartbeat.autopilot != NO_AUTOPILOT and heartbeat.type not in NO_VEHICLES:
                yield Vehicle(frame.system, frame.component, int(heartbeat.autopilot), int(heartbeat.type))


def explain_absence(link: Link, found: Collection[Vehicle], system: int | None, waited_s: float) -> LinkError:
    """Why there is no vehicle (or not the one asked for), from what was heard instead; and what to do."""
    return LinkError(f"{link.address}: {_absence(link, found, system, waited_s)}")


def _absence(link: Link, found: Collection[Vehicle], system: int | None, waited_s: float) -> str:
    if found:
        there = "; ".join(str(vehicle) for vehicle in sorted(found, key=lambda v: v.system))
        if system is None:
            return f"{len(found)} vehicles are here ({there}): choose one with --system N"
        return f"no vehicle with system id {system} within {waited_s:g} s. Here: {there}"
    statistics = link.statistics
    if link.trouble:
        return link.trouble.removeprefix(f"{link.address}: ")
    if statistics.total("frames"):
        heard = ", ".join(f"{s}/{c}" for (s, c), sender in sorted(statistics.senders.items()) if sender.frames)
        return f"messages, but no autopilot's heartbeat within {waited_s:g} s (heard system/component: {heard})"
    refused = sum(statistics.total(name) for name in ("unsigned", "bad_signature", "replayed"))
    if refused:
        return f"{refused} messages that are not signed with our key: is it the vehicle's?"
    if statistics.garbage_bytes or statistics.bad_crc:
        serial = link.address.kind == "serial"
        advice = "another baud rate? (an Arduino's captures: --out NAME.csv)" if serial else "is it MAVLink?"
        return f"{statistics.garbage_bytes} bytes and no MAVLink message in them: {advice}"
    advice = "is the vehicle on, and does it send here?"
    if link.address.kind == "udpout":
        advice = (
            "does somebody listen there? (PX4 speaks to the first client of a port only; udpin hears what it sends)"
        )
    return f"nothing heard within {waited_s:g} s: {advice}"


class HeartbeatClock:
    """Our heartbeat once a second: an autopilot on USB starts to speak at the first one, a UDP peer learns who we are.

    As an onboard controller of a system that is no vehicle: PX4 then does not warn when it ends.
    """

    def __init__(self, link: Link) -> None:
        from pymavlink.dialects.v20 import ardupilotmega

        self._link = link
        self._message = ardupilotmega.MAVLink_heartbeat_message(ONBOARD_CONTROLLER, NO_AUTOPILOT, 0, 0, 4, 3)
        self._due = 0.0

    def tick(self) -> None:
        """Send one when it is due."""
        now = time.monotonic()
        if now >= self._due and self._link.reachable:
            self._link.send(self._message)
            self._due = now + 1.0
