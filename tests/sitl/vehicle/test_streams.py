"""Streams, commands, parameters and refusals of a vehicle."""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from vehicle_field import Client, Field, wait_until

from px4_tinyml_sitl.vehicle.parameters import int_as_float

PX4_ONBOARD_HZ = {
    "HEARTBEAT": 1, "TIMESYNC": 10, "HIGHRES_IMU": 50, "LOCAL_POSITION_NED": 30, "ATTITUDE": 100, "ALTITUDE": 10,
    "ODOMETRY": 30, "ATTITUDE_QUATERNION": 50, "EXTENDED_SYS_STATE": 5, "GLOBAL_POSITION_INT": 50, "SYS_STATUS": 5,
    "VFR_HUD": 10, "SERVO_OUTPUT_RAW": 10, "WIND_COV": 10, "SYSTEM_TIME": 1, "GPS_GLOBAL_ORIGIN": 1,
}  # fmt: skip
"""configure_streams_to_default of PX4 v1.17, MAVLINK_MODE_ONBOARD."""


def rates(messages: list[Any]) -> dict[str, float]:
    """Rates by the vehicle's boot clock."""
    clock = [m.time_boot_ms for m in messages if m.get_type() == "ATTITUDE"]
    seconds = (clock[-1] - clock[0]) / 1000
    return {name: count / seconds for name, count in Counter(m.get_type() for m in messages).items()}


def settled_rates(client: Client) -> dict[str, float]:
    """Rates after a change."""
    client.collect(1.0)
    return rates(client.collect(8.0))


def test_default_rates_of_an_onboard_link(field: Field) -> None:
    client, _ = field.pair(speed=4)
    measured = settled_rates(client)
    for name, expected in PX4_ONBOARD_HZ.items():
        assert measured[name] == pytest.approx(expected, rel=0.15, abs=0.2), name


def test_highres_imu_is_sent_on_request_on_a_gcs_link(field: Field) -> None:
    client, _ = field.pair(speed=4, link_mode="gcs")
    before = settled_rates(client)
    assert "HIGHRES_IMU" not in before
    assert before["ATTITUDE"] == pytest.approx(15, rel=0.15)
    assert client.command(510, 105.0) == (0, [])
    assert client.link.messages["MESSAGE_INTERVAL"].interval_us == -1
    assert client.command(511, 105.0, 20_000.0) == (0, [])
    assert client.command(510, 105.0) == (0, [])
    assert client.link.messages["MESSAGE_INTERVAL"].interval_us == 20_000
    assert settled_rates(client)["HIGHRES_IMU"] == pytest.approx(50, rel=0.15)
    assert client.command(511, 105.0, 5_000.0)[0] == 0
    assert settled_rates(client)["HIGHRES_IMU"] == pytest.approx(200, rel=0.15)
    assert client.command(511, 105.0, -1.0)[0] == 0
    assert "HIGHRES_IMU" not in settled_rates(client)


def test_heartbeat_is_px4s(field: Field) -> None:
    client, _ = field.pair(speed=5)
    hold = client.wait("HEARTBEAT")
    assert (hold.type, hold.autopilot, hold.base_mode, hold.system_status) == (2, 12, 29, 3)
    assert hold.custom_mode == 4 << 16 | 3 << 24
    assert client.command(22)[0] == 0
    takeoff = client.wait("HEARTBEAT")
    assert (takeoff.custom_mode, takeoff.base_mode) == (4 << 16 | 2 << 24, 29)
    assert client.arm()[0] == 0
    armed = client.wait("HEARTBEAT")
    assert (armed.base_mode, armed.system_status) == (29 | 128, 4)


def test_highres_imu_is_the_newest_sample_on_the_boot_clock(field: Field) -> None:
    client, vehicle = field.pair(speed=3)
    imu = [m for m in client.collect(5.0) if m.get_type() == "HIGHRES_IMU"]
    times = [m.time_usec for m in imu]
    assert all(later > before for before, later in itertools.pairwise(times))
    boot_us = client.link.messages["ATTITUDE"].time_boot_ms * 1000
    assert abs(times[-1] - boot_us) < 100_000
    assert 2_000_000 < times[0] < 60_000_000
    assert all(m.fields_updated & 0x3F == 0x3F for m in imu)
    fresh = [m for m in imu if m.fields_updated & 1 << 11]
    assert 0 < len(fresh) < len(imu)  # the barometer is slower than this stream
    assert imu[-1].zacc == pytest.approx(-9.81, abs=0.8)
    assert imu[-1].pressure_alt == pytest.approx(vehicle.state.home.elevation_m, abs=5.0)
    assert 850.0 < imu[-1].abs_pressure < 1020.0


@pytest.mark.parametrize(
    ("command", "params", "result", "word"),
    [
        (511, (0.0, 1e6), 4, "No stream of message 0"),
        (511, (9999.0, 1e6), 4, "No stream of message 9999"),
        (511, (105.0, 1e6, 1.0), 4, "param3"),
        (512, (9999.0,), 2, "not available"),
        (21, (), 1, "not flying"),
        (192, (-1.0, 1.0, 0.0, 0.0, 47.0, 8.0, 900.0), 1, "not flying"),
        (176, (1.0, 6.0, 0.0), 1, "Switching to mode 6/0"),
        (34, (), 3, "34 is not supported"),
        (400, (2.0,), 3, "ARM_DISARM"),
        (420, (3.0, 1.0), 2, "SYS_FAILURE_EN"),
        (2510, (1.0,), 3, "ULog"),
        (246, (2.0,), 2, "Shutdown"),
        (31010, (7.0,), 2, "SIM_TURB_EDR"),
        (178, (1.0, 0.0), 2, "Speed denied"),
    ],
)
def test_refusals_have_a_reason(idle: Client, command: int, params: tuple[float, ...], result: int, word: str) -> None:
    answer, texts = idle.command(command, *params)
    assert answer == result
    assert any(word in text for text in texts)


@pytest.fixture(scope="module")
def idle() -> Iterator[Client]:
    with Field() as field:
        yield field.pair()[0]


def test_disarming_in_flight_is_refused_unless_forced(field: Field) -> None:
    client, vehicle = field.pair(speed=8)
    client.fly_up()
    answer, texts = client.arm(0.0)
    assert answer == 1
    assert "Disarming denied: not landed" in texts
    assert client.command(246, 1.0)[0] == 2  # reboot: armed
    assert client.arm(0.0, 21196.0)[0] == 0
    client.wait_disarmed()
    client.wait("EXTENDED_SYS_STATE", lambda m: m.landed_state == 1)
    assert vehicle.call(lambda: vehicle.state.flight.row.height) < 0.5


def test_requested_messages(idle: Client) -> None:
    assert idle.command(512, 148.0)[0] == 0
    version = idle.link.messages["AUTOPILOT_VERSION"]
    assert version.flight_sw_version >> 16 == 1 << 8 | 17
    assert version.capabilities & 1 << 4  # MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_BYTEWISE
    assert idle.command(520, 1.0)[0] == 0
    assert idle.command(410)[0] == 0
    assert idle.link.messages["HOME_POSITION"].latitude == 470000000


def test_parameters(field: Field) -> None:
    client, _ = field.pair(edr=0.05)
    client.link.mav.param_request_list_send(1, 1)
    first = client.wait("PARAM_VALUE")
    assert (first.param_id, first.param_index, first.param_type) == ("_HASH_CHECK", 0xFFFF, 5)
    count = first.param_count
    values = {}
    for _ in range(count):
        value = client.wait("PARAM_VALUE")
        assert value.param_count == count
        values[value.param_index] = value
    assert sorted(values) == list(range(count))
    by_name = {v.param_id: v for v in values.values()}
    assert by_name["SIM_TURB_EDR"].param_value == pytest.approx(0.05)
    # Integers are in the float's bytes.
    cells = by_name["BAT1_N_CELLS"]
    assert (cells.param_type, struct.unpack("<i", struct.pack("<f", cells.param_value))[0]) == (6, 4)
    six = struct.unpack("<f", struct.pack("<i", 6))[0]
    assert client.set_parameter("BAT1_N_CELLS", six, 6) == six
    client.link.mav.param_request_read_send(1, 1, b"BAT1_N_CELLS", -1)
    assert client.wait("PARAM_VALUE").param_value == six
    client.link.mav.param_request_read_send(1, 1, b"", cells.param_index)
    assert client.wait("PARAM_VALUE").param_id == "BAT1_N_CELLS"
    # Invalid values are rejected, and the current value is sent back.
    assert client.set_parameter("SIM_TURB_EDR", 4.0) == pytest.approx(0.05)
    assert client.set_parameter("SIM_TURB_EDR", float("nan")) == pytest.approx(0.05)
    assert client.set_parameter("SIM_TURB_EDR", 0.3, 6) == pytest.approx(0.05)
    client.link.mav.param_set_send(1, 1, b"NO_SUCH", 1.0, 9)
    client.wait("STATUSTEXT", lambda m: "Unknown parameter NO_SUCH" in m.text)


def test_turbulence_is_set_by_parameter_and_command_in_flight(field: Field) -> None:
    client, vehicle = field.pair(speed=8)
    client.fly_up(10.0)

    def edr() -> float:
        return vehicle.call(lambda: vehicle.state.flight.edr)

    assert edr() == 0.0
    assert client.set_parameter("SIM_TURB_EDR", 0.4) == pytest.approx(0.4)
    wait_until(lambda: abs(edr() - 0.4) < 0.01)
    assert client.command(31010, 0.05)[0] == 0
    wait_until(lambda: abs(edr() - 0.05) < 0.01)
    client.link.mav.param_request_read_send(1, 1, b"SIM_TURB_EDR", -1)
    assert client.wait("PARAM_VALUE").param_value == pytest.approx(0.05)


def test_goto_hold_return_and_land(field: Field) -> None:
    client, _ = field.pair(speed=8)
    client.fly_up(5.0)
    target = (47.0 + 20.0 / 111_195.0, 8.0)
    client.link.mav.command_int_send(1, 1, 6, 192, 0, 0, -1, 1, 0, 1.57, int(target[0] * 1e7), int(8e7), 8.0)
    there = client.wait("LOCAL_POSITION_NED", lambda m: m.x > 19.0 and abs(m.vx) < 0.3)
    assert there.z == pytest.approx(-8.0, abs=1.5)
    assert client.link.messages["ATTITUDE"].yaw == pytest.approx(1.57, abs=0.2)
    assert client.command(176, 1.0, 4.0, 5.0)[0] == 0  # Return
    client.wait_disarmed()
    home = client.wait("LOCAL_POSITION_NED")
    assert (home.x, home.y, home.z) == pytest.approx((0.0, 0.0, 0.0), abs=1.5)


def test_reboot_restarts_the_boot_clock(field: Field) -> None:
    client, _ = field.pair(speed=5)
    assert client.command(511, 105.0, 10_000.0)[0] == 0
    before = client.wait("HIGHRES_IMU", lambda m: m.time_usec > 8_000_000).time_usec
    assert client.command(246, 1.0)[0] == 0
    after = client.wait("HIGHRES_IMU", lambda m: m.time_usec < before).time_usec
    assert after < 4_000_000
    assert settled_rates(client)["HIGHRES_IMU"] == pytest.approx(50, rel=0.15)  # the default rate


def test_a_failed_sensor_is_not_sent_and_unhealthy(field: Field) -> None:
    client, _ = field.pair(speed=5)
    client.set_parameter("SYS_FAILURE_EN", int_as_float(1), 6)
    assert client.command(420, 3.0, 1.0)[0] == 0
    client.collect(1.0)
    assert all(not m.fields_updated & 1 << 11 for m in client.collect(4.0) if m.get_type() == "HIGHRES_IMU")
    assert client.command(420, 0.0, 1.0)[0] == 0
    client.collect(1.0)
    messages = client.collect(4.0)
    assert "HIGHRES_IMU" not in {m.get_type() for m in messages}
    status = [m for m in messages if m.get_type() == "SYS_STATUS"][-1]
    assert not status.onboard_control_sensors_health & 0b1011  # gyro, accelerometer, barometer
    assert client.command(420, 0.0, 0.0)[0] == 0
    client.wait("HIGHRES_IMU")


def test_timesync_and_ping(idle: Client) -> None:
    idle.link.mav.timesync_send(0, 12345)
    answer = idle.wait("TIMESYNC", lambda m: m.tc1 != 0)
    assert answer.ts1 == 12345
    assert answer.tc1 / 1e9 == pytest.approx(idle.wait("ATTITUDE").time_boot_ms / 1e3, abs=1.0)
    idle.link.mav.ping_send(1, 7, 0, 0)
    assert idle.wait("PING").seq == 7


def test_a_vehicle_on_its_side_is_not_armed_until_a_reboot(field: Field) -> None:
    client, vehicle = field.pair(speed=5)

    def lay_down() -> None:
        fdm = vehicle.state.flight._world._fdm
        fdm["ic/phi-rad"] = 1.5
        fdm.run_ic()

    vehicle.call(lay_down)
    client.wait("ATTITUDE", lambda m: m.roll > 0.8)
    answer, texts = client.arm()
    assert answer == 1
    assert any("not upright" in text for text in texts)
    assert client.command(246, 1.0)[0] == 0
    client.wait("ATTITUDE", lambda m: abs(m.roll) < 0.1)
    assert client.arm()[0] == 0
