"""Finding vehicles and requesting their streams, from a vehicle of pymavlink that can misbehave."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from link_senders import ARDUPILOT, PX4, AnsweringVehicle, UdpSender, Vehicle, mavlink, receive_until, wait_until

from px4_tinyml.errors import LinkError
from px4_tinyml.link import streams as link_streams
from px4_tinyml.link.address import LinkAddress
from px4_tinyml.link.connection import Link
from px4_tinyml.link.streams import Fleet, Streams, imu_rate_hz
from px4_tinyml.link.vehicle import Vehicle as Known
from px4_tinyml.link.vehicle import choose
from px4_tinyml.mavlink.framer import Framer

HIGHRES_IMU, RAW_IMU = mavlink.MAVLINK_MSG_ID_HIGHRES_IMU, mavlink.MAVLINK_MSG_ID_RAW_IMU
LOCAL_POSITION_NED = mavlink.MAVLINK_MSG_ID_LOCAL_POSITION_NED
EXTENDED_SYS_STATE = mavlink.MAVLINK_MSG_ID_EXTENDED_SYS_STATE


class SimpleVehicle(AnsweringVehicle):
    """A test double of an autopilot: answers requests for streams.

    deaf: requests it ignores; silent: acknowledgements it does not send; result: of every request.
    """

    def __init__(self, port: int, system: int = 1, autopilot: int = PX4) -> None:
        super().__init__(port, system)
        self.autopilot = autopilot
        self.deaf = self.silent = self.result = 0
        self.requests: list[tuple[int, float]] = []
        self.rates: dict[int, float] = {}
        self.quiet = False
        self.limit_hz = 1000.0
        self._boot = time.monotonic() - 100.0
        self._due: dict[int, float] = {}

    def reboot(self) -> None:
        """Reset time and sequence, and stream only what is requested."""
        self.rates = {}
        self.vehicle = Vehicle(self.vehicle.mavlink.srcSystem)
        self._boot = time.monotonic() - 0.5

    def _send_due(self) -> None:
        if self.quiet:
            return
        now, due = time.monotonic(), self._due
        for number, rate in [(0, 1.0), *self.rates.items()]:
            if now >= due.get(number, 0.0):
                due[number] = max(due.get(number, 0.0) + 1.0 / rate, now - 0.5)
                self._socket.send(self.vehicle.pack(self._message(number, now - self._boot)))

    def _message(self, number: int, boot_s: float) -> Any:
        us, ms = int(boot_s * 1e6), int(boot_s * 1e3)
        if number == HIGHRES_IMU:
            return mavlink.MAVLink_highres_imu_message(us, 0, 0, -9.8, 0, 0, 0, 0, 0, 0, 1000, 0, 50, 20, 0x1FFF)
        if number == LOCAL_POSITION_NED:
            return mavlink.MAVLink_local_position_ned_message(ms, 0, 0, 0, 0, 0, 0)
        if number == EXTENDED_SYS_STATE:
            return mavlink.MAVLink_extended_sys_state_message(0, 1)
        if number == RAW_IMU:
            return mavlink.MAVLink_raw_imu_message(us, 0, 0, -1000, 0, 0, 0, 0, 0, 0)
        return mavlink.MAVLink_heartbeat_message(2, self.autopilot, 0, 0, 4, 3)

    def _answer(self, message: Any) -> None:
        if message.get_type() == "REQUEST_DATA_STREAM" and self.autopilot == ARDUPILOT:
            self.requests.append((-message.req_stream_id, message.req_message_rate))
            if message.req_stream_id == mavlink.MAV_DATA_STREAM_RAW_SENSORS:
                self.rates[RAW_IMU] = message.req_message_rate
        if message.get_type() != "COMMAND_LONG" or message.command != mavlink.MAV_CMD_SET_MESSAGE_INTERVAL:
            return
        if message.target_system != self.vehicle.mavlink.srcSystem or self.autopilot == ARDUPILOT:
            return
        self.requests.append((int(message.param1), message.param2))
        unused = (message.param3, message.param4, message.param5, message.param6, message.param7)
        assert all(value != value for value in unused), "parameters without a meaning must be NaN"
        if self.deaf:
            self.deaf -= 1
            return
        if self.result == 0:
            if message.param2 > 0:
                self.rates[int(message.param1)] = min(1e6 / message.param2, self.limit_hz)
            else:
                self.rates.pop(int(message.param1), None)
        if self.silent:
            self.silent -= 1
            return
        ack = mavlink.MAVLink_command_ack_message(
            message.command, self.result, 0, 0, message.get_srcSystem(), message.get_srcComponent()
        )
        self._socket.send(self.vehicle.pack(ack))


@pytest.fixture
def px4(udp: Link) -> Iterator[SimpleVehicle]:
    with SimpleVehicle(udp.local_port) as vehicle:
        yield vehicle


def watch_until(streams: Streams, done: Callable[[], bool]) -> None:
    wait_until(done, lambda: streams.watch(streams.link.receive(0.05)))


def imu_rate(streams: Streams) -> float:
    return streams.rates.get("HIGHRES_IMU", 0.0)


def test_the_only_vehicle_is_chosen_and_no_frame_is_lost(udp: Link, sender: UdpSender) -> None:
    vehicle, gcs = Vehicle(3), Vehicle(255, 190)
    sender.send(gcs.heartbeat(8, 6), vehicle.attitude(), vehicle.heartbeat(), vehicle.attitude())
    chosen = choose(udp, timeout_s=3.0)
    assert str(chosen) == "PX4 quad, system 3"
    assert (chosen.system, chosen.component) == (3, 1)
    assert [frame.message_id for frame in udp.receive(0.0)] == [0, 30, 0, 30]
    assert "HEARTBEAT" in [m.get_type() for m in sender.received()]  # so that a vehicle knows our address


def test_of_two_vehicles_one_must_be_chosen(udp: Link) -> None:
    with SimpleVehicle(udp.local_port, 1), SimpleVehicle(udp.local_port, 2, ARDUPILOT):
        with pytest.raises(LinkError, match=r"2 vehicles are here \(PX4 quad, system 1; ArduPilot .*--system N"):
            choose(udp, timeout_s=5.0)
        assert choose(udp, 2, timeout_s=5.0).system == 2
        with pytest.raises(LinkError, match=r"no vehicle with system id 9 within 1.5 s\. Here: PX4"):
            choose(udp, 9, timeout_s=1.5)


@pytest.mark.parametrize(
    ("datagrams", "message"),
    [
        ([], "nothing received within 0.3 s"),
        ([Vehicle(255, 190).heartbeat(8, 6)], r"no autopilot's heartbeat .*system/component received: 255/190"),
        ([b"GET / HTTP/1.1\r\n\r\n"], "18 bytes and no MAVLink message"),
    ],
)
def test_why_there_is_no_vehicle(udp: Link, sender: UdpSender, datagrams: list[bytes], message: str) -> None:
    sender.send(*datagrams)
    with pytest.raises(LinkError, match=message):
        choose(udp, timeout_s=0.3)


GIMBAL, SCRIPT, SECOND = Vehicle(1, 154), Vehicle(42, 191), Vehicle(1, 2)


@pytest.mark.parametrize("system", [None, 1])
def test_components_that_name_an_autopilot_are_not_chosen(udp: Link, sender: UdpSender, system: int | None) -> None:
    """Gimbals and onboard controllers name one; of the others component 1 is preferred."""
    sender.send(GIMBAL.heartbeat(ARDUPILOT, 26), SCRIPT.heartbeat(0, 18), SECOND.heartbeat(ARDUPILOT))
    assert choose(udp, system, timeout_s=5.0) == Known(1, 2, ARDUPILOT, 2)
    udp.receive(0.0)
    sender.send(GIMBAL.heartbeat(ARDUPILOT, 26), SCRIPT.heartbeat(0, 18), SECOND.heartbeat(ARDUPILOT))
    sender.send(Vehicle().heartbeat(ARDUPILOT))
    assert choose(udp, system, timeout_s=5.0) == Known(1, 1, ARDUPILOT, 2)


def test_streams_have_the_requested_rates(udp: Link, px4: SimpleVehicle) -> None:
    streams = Streams(udp, choose(udp), 80.0)
    watch_until(streams, lambda: imu_rate(streams) > 70)
    watch_until(streams, lambda: streams.rates.get("LOCAL_POSITION_NED", 0) > 8)
    assert px4.rates == {HIGHRES_IMU: 80.0, LOCAL_POSITION_NED: 10.0, EXTENDED_SYS_STATE: 2.0}
    assert len(px4.requests) == 3
    streams.release()
    wait_until(lambda: not px4.rates)


def test_lost_requests_are_repeated(udp: Link, px4: SimpleVehicle) -> None:
    px4.deaf, px4.silent = 2, 1
    streams = Streams(udp, choose(udp), 50.0)
    watch_until(streams, lambda: len(px4.rates) == 3)
    assert [number for number, _ in px4.requests] == [HIGHRES_IMU] * 3 + [LOCAL_POSITION_NED, EXTENDED_SYS_STATE]


def test_a_refusal_is_logged_once(udp: Link, px4: SimpleVehicle, caplog: pytest.LogCaptureFixture) -> None:
    px4.result = 2
    streams = Streams(udp, choose(udp), 50.0)
    watch_until(streams, lambda: len([r for r in caplog.records if "refuses to send" in r.message]) == 3)
    assert "refuses to send HIGHRES_IMU" in caplog.text


def test_an_acknowledgement_for_another_component_is_ignored(udp: Link, sender: UdpSender) -> None:
    """A second program of our system requests streams, too."""
    vehicle = Vehicle()
    sender.send(vehicle.heartbeat())
    receive_until(udp, bool)
    streams = Streams(udp, Known(1, 1, PX4, 2), 50.0, heartbeat=False)

    def asked_after_answer(component: int) -> list[int]:
        ack = mavlink.MAVLink_command_ack_message(mavlink.MAV_CMD_SET_MESSAGE_INTERVAL, 0, 0, 0, udp.system, component)
        sender.send(vehicle.pack(ack))
        streams.watch(receive_until(udp, bool))
        return [int(message.param1) for message in sender.received()]

    assert asked_after_answer(udp.component + 1) == [HIGHRES_IMU]
    assert asked_after_answer(udp.component) == [LOCAL_POSITION_NED]
    assert asked_after_answer(0) == [EXTENDED_SYS_STATE]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates are checked earlier."""
    monkeypatch.setattr(link_streams, "FIRST_LOOK_S", 1.5)


def test_too_low_a_rate_is_requested_again(udp: Link, px4: SimpleVehicle, soon: None) -> None:
    streams = Streams(udp, choose(udp), 50.0)
    watch_until(streams, lambda: imu_rate(streams) > 40)
    px4.rates[HIGHRES_IMU] = 5.0  # another program set it
    watch_until(streams, lambda: px4.rates[HIGHRES_IMU] == 50.0)


def test_a_reboot_is_detected_and_all_streams_requested_again(udp: Link, px4: SimpleVehicle) -> None:
    streams = Streams(udp, choose(udp), 50.0)
    watch_until(streams, lambda: imu_rate(streams) > 40)
    px4.quiet = True
    watch_until(streams, lambda: imu_rate(streams) == 0)
    px4.reboot()
    px4.rates = {LOCAL_POSITION_NED: 1.0}  # its default stream
    px4.quiet = False
    watch_until(streams, lambda: imu_rate(streams) > 40)
    assert (streams.reboots, udp.statistics.reboots) == (1, 1)
    assert udp.statistics.sender(1, 1).lost == 0
    assert px4.rates[HIGHRES_IMU] == 50.0


def test_two_vehicles_with_one_system_id_are_one_warning(
    udp: Link, sender: UdpSender, caplog: pytest.LogCaptureFixture
) -> None:
    """Each message of one looks like a reboot of the other: not counted, logged and requested each time."""
    one, other = Vehicle(), Vehicle()
    sender.send(one.heartbeat())
    receive_until(udp, bool)
    streams = Streams(udp, Known(1, 1, PX4, 2), 50.0, heartbeat=False)
    for n in range(100):
        sender.send(one.imu(95_000_000 + 20_000 * n), other.imu(10_000_000 + 20_000 * n))
        streams.watch(receive_until(udp, lambda frames: len(frames) == 2))
    warnings = [record.message for record in caplog.records]
    assert len(warnings) == 3
    assert "two vehicles use system id 1: give them different MAV_SYS_ID" in warnings[-1]
    assert (streams.reboots, udp.statistics.reboots) == (2, 2)
    assert len(sender.received()) < 15  # requests


def test_time_that_wraps_is_no_reboot(udp: Link, sender: UdpSender) -> None:
    """time_boot_ms has 32 bits: 49.7 days."""
    vehicle = Vehicle()
    sender.send(vehicle.heartbeat())
    streams = Streams(udp, choose(udp), 50.0, heartbeat=False)
    for ms in (2**32 - 2000, 2**32 - 1000, 2**32 - 1200, 100, 50, 1000):  # some late, too
        sender.send(vehicle.pack(mavlink.MAVLink_local_position_ned_message(ms, 0, 0, 0, 0, 0, 0)))
    streams.watch(receive_until(udp, lambda frames: len(frames) >= 7))
    assert streams.reboots == 0
    sender.send(vehicle.pack(mavlink.MAVLink_local_position_ned_message(2**32 - 2000, 0, 0, 0, 0, 0, 0)))
    streams.watch(receive_until(udp, bool))
    assert streams.reboots == 1


def test_ardupilot_is_requested_by_data_streams(udp: Link) -> None:
    with SimpleVehicle(udp.local_port, 1, ARDUPILOT) as vehicle:
        streams = Streams(udp, choose(udp), 25.0)
        watch_until(streams, lambda: streams.rates.get("RAW_IMU", 0) > 20)
        assert dict(vehicle.requests)[-mavlink.MAV_DATA_STREAM_RAW_SENSORS] == 25
        watch_until(streams, lambda: streams.rates.get("RAW_IMU", 0) > 20)
        assert len(vehicle.requests) == 3  # and not again while it is received


@pytest.mark.parametrize(
    ("url", "autopilot", "rate_hz"),
    [
        ("udpin:0.0.0.0:14540", PX4, 400.0),
        ("serial:/dev/ttyACM0:57600", PX4, 400.0),
        ("serial:/dev/ttyS1:57600", PX4, 50.0),
        ("serial:/dev/ttyUSB0:230400", PX4, 153.6),
        ("serial:/dev/ttyUSB0:921600", PX4, 400.0),
        ("tcp:127.0.0.1:5760", ARDUPILOT, 50.0),
    ],
)
def test_every_sample_is_requested_where_the_link_has_room(url: str, autopilot: int, rate_hz: float) -> None:
    """Of PX4's IMU; ArduPilot's messages are filtered."""
    assert imu_rate_hz(LinkAddress.parse(url), Known(1, 1, autopilot, 2)) == pytest.approx(rate_hz)


def test_an_imu_slower_than_requested_is_not_requested_again(
    udp: Link, sender: UdpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slowest in public logs, in simulated time."""
    now_s = 100.0
    monkeypatch.setattr(link_streams, "time", SimpleNamespace(monotonic=lambda: now_s))
    vehicle, framer = Vehicle(), Framer()
    sender.send(vehicle.heartbeat())
    receive_until(udp, bool)
    streams = Streams(udp, Known(1, 1, PX4, 2), link_streams.EVERY_SAMPLE_HZ, heartbeat=False)
    requests = []
    for n in range(188 * 12):
        now_s += 1.0 / 188.0
        data = vehicle.imu(n * 5319)
        if n % 18 == 0:
            data += vehicle.pack(mavlink.MAVLink_local_position_ned_message(n * 5, 0, 0, 0, 0, 0, 0))
        if n % 94 == 0:
            data += vehicle.pack(mavlink.MAVLink_extended_sys_state_message(0, 1))
        for message in sender.received():
            requests.append((int(message.param1), message.param2))
            data += vehicle.pack(mavlink.MAVLink_command_ack_message(message.command, 0))
        streams.watch(framer.feed(data, 0))
    assert requests == [(HIGHRES_IMU, 2500.0), (LOCAL_POSITION_NED, 1e5), (EXTENDED_SYS_STATE, 5e5)]


def test_a_fleet_requests_streams_of_new_vehicles(udp: Link, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with SimpleVehicle(udp.local_port, 1) as first, SimpleVehicle(udp.local_port, 2) as second:
        fleet = Fleet(udp, 20.0)
        found: list[Known] = []
        wait_until(lambda: bool(first.rates and second.rates), lambda: found.extend(fleet.watch(udp.receive(0.05))))
        assert sorted(vehicle.system for vehicle in found) == [1, 2]
    with SimpleVehicle(udp.local_port, 1) as first, SimpleVehicle(udp.local_port, 2) as second:
        fleet = Fleet(udp, 20.0, system=2)
        wait_until(lambda: bool(second.rates) and 1 in fleet.others, lambda: fleet.watch(udp.receive(0.05)))
        assert not first.requests


def test_an_autopilot_that_starts_after_its_sensor_node_replaces_it(
    udp: Link, sender: UdpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_streams, "ALONE_S", 0.3)
    node = Vehicle(1, 25)
    fleet = Fleet(udp, 20.0)
    found: list[Known] = []

    def watch(node_sends: bool = False) -> None:
        if node_sends:
            sender.send(node.heartbeat(8, mavlink.MAV_TYPE_IMU))
        found.extend(fleet.watch(udp.receive(0.05)))

    watch(node_sends=True)
    wait_until(lambda: len(found) == 1, watch)
    with SimpleVehicle(udp.local_port) as autopilot:
        wait_until(lambda: len(found) == 2, watch)
        wait_until(lambda: HIGHRES_IMU in autopilot.rates, lambda: watch(node_sends=True))
    assert [(vehicle.component, vehicle.autopilot) for vehicle in found] == [(25, 8), (1, PX4)]
    assert fleet.streams[1].vehicle.component == 1
