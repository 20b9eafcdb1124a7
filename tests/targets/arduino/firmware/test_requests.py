"""Messages of the node, periodic and on request: heartbeat, report, parameters, commands."""

from __future__ import annotations

import math
from importlib import metadata
from typing import Any

import numpy as np
import pytest
from node_talk import NODE, Sender, as_bytes, command, heartbeat, imu_feed, param_list, param_read, param_set, whole
from pc_node import TELEMETRY, USB, PcNode
from pymavlink.dialects.v20 import common as mavlink

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.classify.mavlink_report import Text, TurbulenceNotice
from px4_tinyml.signal.slots import Feed


def number_of(message: Any) -> float:
    if message.param_type == mavlink.MAV_PARAM_TYPE_INT32:
        return whole(message.param_value)
    return float(message.param_value)


def noise_feed(seconds: float, seed: int = 3) -> Feed:
    rng = np.random.default_rng(seed)
    time = (np.arange(0, seconds, 1 / 240) * 1e6 + 5e6).astype(np.uint64)
    values = rng.normal(0, [2, 2, 3, 0.5, 0.5, 0.3], (len(time), 6)) + np.array([0, 0, -9.8, 0, 0, 0])
    return imu_feed(time, values)


def test_heartbeat_once_a_second_on_both_links(node: PcNode) -> None:
    taken = node.after(10.0)
    for link in (TELEMETRY, USB):
        beats = taken.messages(link, "HEARTBEAT")
        assert 9 <= len(beats) <= 10
        for beat in beats:
            assert (beat.get_srcSystem(), beat.get_srcComponent()) == (1, NODE)
            assert beat.type == mavlink.MAV_TYPE_IMU
            assert beat.autopilot == mavlink.MAV_AUTOPILOT_INVALID
    assert beats[0].system_status == mavlink.MAV_STATE_BOOT
    assert beats[-1].system_status == mavlink.MAV_STATE_ACTIVE


def test_decisions_are_those_of_python(node: PcNode, bundle: ModelBundle) -> None:
    feed = noise_feed(60.0)
    expected = bundle.classifier().run(feed).decisions
    node.play(feed)
    taken = node.take()
    arrays = taken.messages(TELEMETRY, "DEBUG_FLOAT_ARRAY")
    assert len(arrays) == len(expected) > 80
    for message, decision in zip(arrays, expected, strict=True):
        assert message.name == "MOTION" and message.array_id == 77
        assert message.time_usec == decision["end_us"]
        data = message.data
        assert data[0] == decision["class_index"]
        assert data[1] == decision["confidence_q16"] / 65536
        assert data[2] == decision["flags"]
        assert data[3] == bundle.spec.hash24
        assert data[4] == 21
        assert list(data[8:16]) == [p / 256 for p in decision["probability"]]
    vectors = taken.messages(TELEMETRY, "DEBUG_VECT")
    assert 2 * 55 <= len(vectors) <= 2 * 58  # 2 Hz, from the first decision on
    at = {decision["end_us"]: decision for decision in expected}
    turbulence = bundle.spec.labels.index("turbulence")
    for vector in vectors:
        decision = at[vector.time_usec]
        assert vector.name == "MOTION" and vector.x == decision["class_index"]
        assert vector.y == decision["confidence_q16"] / 65536 and vector.z == decision["probability"][turbulence] / 256


def test_turbulence_texts_equal_those_of_the_companion(node: PcNode, bundle: ModelBundle) -> None:
    for name, value in (("MN_LEAVE", 0.05), ("MN_ENTER", 0.1), ("MN_HOLD", as_bytes(0))):
        node.receive(USB, param_set(name, value))
    time = (np.arange(0, 120, 1 / 200) * 1e6 + 5e6).astype(np.uint64)
    # The model classifies rest as turbulence, and this as a climb. Some changes are too quick for a text.
    other = np.array([-1.6, -8.8, 0.3, -3.2, -3.0, -1.9]) + np.sin(np.arange(len(time)) / 16)[:, None]
    resting = np.isin((time // 4_000_000) % 14, (0, 1, 2, 3, 5, 9, 10, 13))
    values = np.where(resting[:, None], 0.0, other) + np.array([0, 0, -9.8, 0, 0, 0])
    node.play(imu_feed(time, values))
    taken = node.take()
    notice, expected = TurbulenceNotice(bundle.spec), []
    for message in taken.messages(TELEMETRY, "DEBUG_FLOAT_ARRAY"):
        decision = {"class_index": message.data[0], "end_us": message.time_usec}
        reported = notice.update(decision)  # type: ignore[arg-type]
        if reported is not None:
            percent = math.floor(message.data[1] * 100 + 0.5)
            began = (f"Turbulence ({percent} %)", mavlink.MAV_SEVERITY_WARNING)
            expected.append(began if reported is Text.BEGAN else ("Turbulence ended", mavlink.MAV_SEVERITY_INFO))
    assert len(expected) >= 4
    for link in (TELEMETRY, USB):
        assert [(m.text, m.severity) for m in taken.messages(link, "STATUSTEXT")] == expected


def test_an_old_decision_is_not_repeated(node: PcNode) -> None:
    assert node.after(6.0).messages(TELEMETRY, "DEBUG_VECT")
    node.after(3.0, imu=None)
    taken = node.after(10.0, imu=None)
    assert not taken.messages(TELEMETRY, "DEBUG_VECT")
    assert taken.silent
    assert taken.messages(TELEMETRY, "HEARTBEAT")[-1].system_status == mavlink.MAV_STATE_CRITICAL


def test_a_silent_imu_is_reported_once_each_way(node: PcNode) -> None:
    node.run(3.0)
    node.run(5.0, imu=None)
    texts = node.after(3.0).texts(USB)
    assert [text for text in texts if text.startswith("IMU")] == ["IMU silent", "IMU is back"]


def test_parameters_are_listed(node: PcNode) -> None:
    node.receive(TELEMETRY, param_list(0))
    taken = node.after(1.0)
    found = {m.param_id: number_of(m) for m in taken.messages(TELEMETRY, "PARAM_VALUE")}
    assert found == {
        "MN_COMPID": 25, "MN_SYSID": 0, "MN_ROT": 0, "MN_RATE": 2, "MN_MSG": 7,
        "MN_ENTER": -1, "MN_LEAVE": -1, "MN_HOLD": -1, "MN_CAPTURE": 0,
    }  # fmt: skip
    values = taken.messages(TELEMETRY, "PARAM_VALUE")
    assert [m.param_index for m in values] == list(range(len(found)))
    assert {m.param_count for m in values} == {len(found)}
    assert not taken.messages(USB, "PARAM_VALUE")


@pytest.mark.parametrize("system, component", [(1, 26), (2, NODE), (2, 0)])
def test_requests_to_others_are_not_answered(node: PcNode, system: int, component: int) -> None:
    assert not node.ask(USB, param_list(component, system), "PARAM_VALUE")
    assert not node.ask(USB, param_read("", 2, component, system), "PARAM_VALUE")
    assert not node.ask(USB, command(512, 0, system=system, component=component or 1), "COMMAND_ACK")


@pytest.mark.parametrize(
    "name, index, expected",
    [
        ("MN_RATE", -1, ["MN_RATE"]), ("", 2, ["MN_ROT"]),
        ("MN_RATEX", -1, []), ("MN_RAT", -1, []), ("", -1, []), ("", 9, []), ("MN_RATE", 32767, []),
    ],
)  # fmt: skip
def test_one_parameter_is_read_an_unknown_one_not_answered(
    node: PcNode, name: str, index: int, expected: list[str]
) -> None:
    assert [m.param_id for m in node.ask(USB, param_read(name, index), "PARAM_VALUE")] == expected


@pytest.mark.parametrize("value, kind", [(as_bytes(10), 6), (10.0, 6), (10.0, 9)])
def test_a_whole_number_is_set_in_either_encoding(node: PcNode, value: float, kind: int) -> None:
    (answer,) = node.ask(USB, param_set("MN_RATE", value, kind), "PARAM_VALUE")
    assert number_of(answer) == 10
    node.after(5.0)
    assert 38 <= len(node.after(4.0).messages(TELEMETRY, "DEBUG_VECT")) <= 41


@pytest.mark.parametrize(
    "name, value",
    [
        ("MN_RATE", as_bytes(51)), ("MN_RATE", as_bytes(-1)), ("MN_RATE", 2.5), ("MN_RATE", math.nan),
        ("MN_RATE", math.inf), ("MN_ROT", as_bytes(41)), ("MN_COMPID", as_bytes(1)), ("MN_COMPID", as_bytes(256)),
        ("MN_ENTER", 1.0), ("MN_ENTER", -2.0), ("MN_ENTER", math.nan), ("MN_LEAVE", -math.inf), ("MN_MSG", as_bytes(8)),
    ],
)  # fmt: skip
def test_a_value_that_is_not_allowed_changes_nothing(node: PcNode, name: str, value: float) -> None:
    (before,) = node.ask(USB, param_read(name), "PARAM_VALUE")
    (after,) = node.ask(USB, param_set(name, value), "PARAM_VALUE")
    assert number_of(after) == number_of(before)
    assert node.after(1.0).writes == 0


def test_as_arduPilot_has_it(node: PcNode) -> None:
    node.receive(TELEMETRY, heartbeat(autopilot=mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA))
    (answer,) = node.ask(USB, param_set("MN_RATE", 5.0, mavlink.MAV_PARAM_TYPE_INT32), "PARAM_VALUE")
    assert answer.param_value == 5.0
    (version,) = node.ask(USB, command(512, 148), "AUTOPILOT_VERSION")
    assert version.capabilities & mavlink.MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_C_CAST


def test_version(node: PcNode, bundle: ModelBundle) -> None:
    (version,) = node.ask(USB, command(512, 148), "AUTOPILOT_VERSION")
    wanted = mavlink.MAV_PROTOCOL_CAPABILITY_MAVLINK2 | mavlink.MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_BYTEWISE
    assert version.capabilities == wanted
    assert bytes(version.flight_custom_version).hex() == bundle.spec.short_hash
    assert version.uid == 0x1122334455667788
    major, minor, patch, _ = version.flight_sw_version.to_bytes(4, "big")
    assert f"{major}.{minor}.{patch}" == metadata.version("px4-tinyml")


@pytest.mark.parametrize(
    "message_id, name",
    [
        (0, "HEARTBEAT"), (1, "SYS_STATUS"), (105, "HIGHRES_IMU"), (148, "AUTOPILOT_VERSION"), (250, "DEBUG_VECT"),
        (350, "DEBUG_FLOAT_ARRAY"),
    ],
)  # fmt: skip
def test_a_message_is_requested(node: PcNode, message_id: int, name: str) -> None:
    node.after(5.0)
    node.receive(USB, command(mavlink.MAV_CMD_REQUEST_MESSAGE, message_id))
    found = node.take()
    assert [m.get_type() for m in found.messages(USB)] == [name, "COMMAND_ACK"]
    answer = found.messages(USB)[1]
    assert answer.result == mavlink.MAV_RESULT_ACCEPTED
    assert (answer.command, answer.target_system, answer.target_component) == (512, 255, 190)
    assert not found.sent[TELEMETRY]


@pytest.mark.parametrize(
    "number, values, result",
    [
        (512, (24,), "UNSUPPORTED"), (512, (math.nan,), "DENIED"), (512, (-1,), "DENIED"), (512, (0.5,), "DENIED"),
        (512, (105,), "TEMPORARILY_REJECTED"), (512, (350,), "TEMPORARILY_REJECTED"),
        (511, (105, math.nan), "DENIED"), (511, (105, 1e12), "DENIED"), (511, (30, 1000), "UNSUPPORTED"),
        (400, (1,), "UNSUPPORTED"), (246, (0,), "UNSUPPORTED"), (246, (3,), "UNSUPPORTED"),
    ],
)  # fmt: skip
def test_a_command_is_rejected(node: PcNode, number: int, values: tuple[float, ...], result: str) -> None:
    (answer,) = node.ask(USB, command(number, *values), "COMMAND_ACK")
    assert (answer.command, answer.result) == (number, getattr(mavlink, f"MAV_RESULT_{result}"))
    assert not node.take().reboot


@pytest.mark.parametrize(("component", "answered"), [(NODE, True), (0, False), (1, False)])
def test_commands_with_whole_numbers_are_wanted_as_command_long(node: PcNode, component: int, answered: bool) -> None:
    asked = mavlink.MAVLink_command_int_message(1, component, 0, 512, 0, 0, 148, 0, 0, 0, 0, 0, 0)
    answers = node.ask(USB, Sender().pack(asked), "COMMAND_ACK")
    assert [(a.command, a.result) for a in answers] == [(512, mavlink.MAV_RESULT_COMMAND_LONG_ONLY)] * answered


def test_a_broadcast_command_is_ignored_silently(node: PcNode) -> None:
    assert not node.ask(USB, command(400, 1, component=0), "COMMAND_ACK")
    assert node.ask(USB, command(512, 148, component=0), "COMMAND_ACK")
    assert not node.ask(USB, command(246, 1, component=0), "COMMAND_ACK")
    assert not node.after(1.0).reboot


def test_intervals(node: PcNode) -> None:
    node.run(4.0)
    for message, interval in ((250, 100_000), (350, -1), (105, 40_000)):
        assert node.result(TELEMETRY, command(511, message, interval)) == mavlink.MAV_RESULT_ACCEPTED
    node.after(0.1)
    taken = node.after(10.0)
    assert 98 <= len(taken.messages(TELEMETRY, "DEBUG_VECT")) <= 101
    assert not taken.messages(TELEMETRY, "DEBUG_FLOAT_ARRAY")
    assert 249 <= len(taken.messages(TELEMETRY, "HIGHRES_IMU")) <= 251
    # The other link is as it was.
    assert 19 <= len(taken.messages(USB, "DEBUG_VECT")) <= 21
    assert taken.messages(USB, "DEBUG_FLOAT_ARRAY") and not taken.messages(USB, "HIGHRES_IMU")
    node.receive(TELEMETRY, command(511, 250, 0) + command(511, 105, 0))
    node.take()
    taken = node.after(10.0)
    assert 19 <= len(taken.messages(TELEMETRY, "DEBUG_VECT")) <= 21
    assert not taken.messages(TELEMETRY, "HIGHRES_IMU")


def test_reboot_after_the_answer_and_not_in_flight(node: PcNode) -> None:
    node.receive(TELEMETRY, heartbeat(armed=True))
    assert node.result(TELEMETRY, command(246, 1)) == mavlink.MAV_RESULT_TEMPORARILY_REJECTED
    node.receive(TELEMETRY, heartbeat(armed=False) + param_set("MN_RATE", 7.0))
    assert node.result(TELEMETRY, command(246, 1)) == mavlink.MAV_RESULT_ACCEPTED
    assert not node.take().reboot
    assert node.take().writes == 1  # what was set a moment ago is kept
    assert node.after(0.3).reboot


def test_its_own_words_are_no_news(node: PcNode) -> None:
    node.receive(TELEMETRY, node.after(3.0).sent[TELEMETRY])
    echo = Sender(system=1, component=NODE)
    node.receive(TELEMETRY, echo.pack(mavlink.MAVLink_param_request_list_message(1, 0)))
    node.receive(TELEMETRY, echo.pack(mavlink.MAVLink_param_set_message(1, NODE, b"MN_RATE", 9.0, 9)))
    node.step()
    assert not node.take().messages(TELEMETRY, "PARAM_VALUE")


def test_takes_the_autopilots_system_and_a_component_id_of_its_own(node: PcNode) -> None:
    node.receive(TELEMETRY, heartbeat(Sender(system=42, component=1)))
    # A second vehicle on the same link is not followed.
    node.receive(TELEMETRY, heartbeat())
    assert {m.get_srcSystem() for m in node.after(1.5).messages(TELEMETRY, "HEARTBEAT")} == {42}
    node.receive(USB, param_set("MN_COMPID", as_bytes(30), system=42))
    assert {m.get_srcComponent() for m in node.after(1.5).messages(TELEMETRY, "HEARTBEAT")} == {NODE}
    node.power_cycle()
    found = {(m.get_srcSystem(), m.get_srcComponent()) for m in node.after(1.5).messages(TELEMETRY, "HEARTBEAT")}
    assert found == {(1, 30)}


def test_thresholds(node: PcNode, bundle: ModelBundle) -> None:
    # 0.1 is below every output: the class is the likeliest one from the first window on.
    node.receive(USB, param_set("MN_LEAVE", 0.05) + param_set("MN_ENTER", 0.1) + param_set("MN_HOLD", as_bytes(0)))
    node.play(noise_feed(20.0))
    taken = node.take()
    assert all(m.data[0] >= 0 for m in taken.messages(TELEMETRY, "DEBUG_FLOAT_ARRAY"))
    # MN_LEAVE above MN_ENTER is invalid: the model's thresholds are used, with a text.
    node.power_cycle()
    node.receive(USB, param_set("MN_ENTER", 0.04))
    node.play(noise_feed(20.0))
    taken = node.take()
    assert "MN_LEAVE is above MN_ENTER: not used" in taken.texts(USB)
    expected = bundle.classifier().run(noise_feed(20.0)).decisions
    assert [m.data[0] for m in taken.messages(TELEMETRY, "DEBUG_FLOAT_ARRAY")] == expected["class_index"].tolist()


def test_messages_can_be_left_out(node: PcNode) -> None:
    node.receive(USB, param_set("MN_MSG", as_bytes(2)))
    taken = node.after(6.0)
    assert taken.messages(TELEMETRY, "DEBUG_FLOAT_ARRAY") and not taken.messages(TELEMETRY, "DEBUG_VECT")
    assert node.result(USB, command(512, 250)) == mavlink.MAV_RESULT_ACCEPTED


def test_system_status_counts(node: PcNode) -> None:
    node.run(3.0)
    node.room(TELEMETRY, 0)
    node.run(3.0)
    node.room(TELEMETRY)
    dropped = node.take().counts[TELEMETRY]["dropped"]
    (status,) = node.ask(USB, command(512, 1), "SYS_STATUS")
    sensors = mavlink.MAV_SYS_STATUS_SENSOR_3D_GYRO | mavlink.MAV_SYS_STATUS_SENSOR_3D_ACCEL
    assert status.onboard_control_sensors_health == status.onboard_control_sensors_present == sensors
    assert status.errors_count1 == dropped > 5
    node.run(1.0, imu=None)
    (status,) = node.ask(USB, command(512, 1), "SYS_STATUS")
    assert status.onboard_control_sensors_health == 0
