"""Links that lose, flip and refuse bytes; signatures; the autopilot's clock."""

from __future__ import annotations

import hashlib
import itertools
import random
from typing import Any

import pytest
from node_talk import GCS, NODE, Sender, heartbeat, messages_in, param_list, setup_signing
from pc_node import TELEMETRY, USB, PcNode
from pymavlink.dialects.v20 import common as mavlink

KEY, OTHER_KEY = (hashlib.sha256(text).digest() for text in (b"a key for tests", b"another"))
UNIX_US = 1_790_000_000_000_000
SIGNING_START = (UNIX_US - 1_420_070_400_000_000) // 10
"""Of UNIX_US, in 10 µs."""


def autopilot(key: bytes | None = None) -> Sender:
    sender = Sender(system=1, component=1)
    if key:
        signing = sender.mav.signing
        signing.secret_key, signing.sign_outgoing, signing.link_id, signing.timestamp = key, True, 3, SIGNING_START
    return sender


def request_version(sender: Sender) -> bytes:
    return sender.pack(mavlink.MAVLink_command_long_message(1, NODE, 512, 0, 148, 0, 0, 0, 0, 0, 0))


def signing_times(messages: list[Any]) -> list[int]:
    return [int.from_bytes(m.get_msgbuf()[-12:-6], "little") for m in messages]


def signed_with(data: bytes, key: bytes) -> list[Any]:
    """Messages in the bytes, each of them signed with the key and newer than the one before."""
    found = messages_in(data, secret_key=key, allow_unsigned_callback=None, timestamp=0)
    assert all(m.get_signed() for m in found)
    return found


def texts(node: PcNode) -> list[str]:
    return [text for text in node.take().texts(USB) if not text.startswith("Turbulence")]


class TestSigning:
    def test_a_key_is_accepted_by_usb_only(self, node: PcNode) -> None:
        node.receive(TELEMETRY, setup_signing(KEY))
        assert all(not m.get_signed() for m in node.after(2.0).messages(TELEMETRY))
        node.receive(USB, setup_signing(KEY))
        node.take()
        sent = node.after(2.0).sent
        for link in (TELEMETRY, USB):
            assert len(signed_with(sent[link], KEY)) >= 2

    def test_a_key_for_another_component_is_ignored(self, node: PcNode) -> None:
        node.receive(USB, setup_signing(KEY, component=NODE + 1))
        assert not any(m.get_signed() for m in node.after(2.0).messages(USB))

    def test_only_signed_frames_are_accepted(self, node: PcNode) -> None:
        node.receive(USB, setup_signing(KEY))
        node.step()
        for sender in (autopilot(), autopilot(OTHER_KEY)):
            assert not node.ask(TELEMETRY, request_version(sender), "COMMAND_ACK")
        good = request_version(autopilot(KEY))
        node.receive(TELEMETRY, good)
        answers = [m.get_type() for m in signed_with(node.take().sent[TELEMETRY], KEY)]
        assert answers == ["AUTOPILOT_VERSION", "COMMAND_ACK"]
        node.receive(TELEMETRY, good)  # the same once more is a replay
        taken = node.take()
        assert not taken.sent[TELEMETRY] and taken.counts[TELEMETRY]["refused"] == 3
        # Somebody at the board needs no key: to take it out, for example.
        assert node.ask(USB, request_version(autopilot()), "COMMAND_ACK")
        node.receive(USB, setup_signing(bytes(32)))
        assert node.ask(TELEMETRY, request_version(autopilot()), "COMMAND_ACK")

    def test_the_key_and_the_time_outlast_a_power_cycle(self, node: PcNode) -> None:
        node.receive(USB, setup_signing(KEY, SIGNING_START))
        newest = max(signing_times(node.after(2.0).messages(TELEMETRY)))
        assert newest >= SIGNING_START
        node.power_cycle()
        times = signing_times(signed_with(node.after(2.0).sent[TELEMETRY], KEY))
        assert times == sorted(set(times)) and min(times) > newest

    def test_takes_the_time_from_the_autopilot(self, node: PcNode) -> None:
        node.receive(USB, setup_signing(KEY))
        pilot = autopilot(KEY)
        node.receive(TELEMETRY, heartbeat(pilot))
        node.receive(TELEMETRY, pilot.pack(mavlink.MAVLink_system_time_message(UNIX_US + 5_000_000, 1000)))
        node.take()
        assert min(signing_times(node.after(1.5).messages(TELEMETRY))) >= SIGNING_START + 500_000

    def test_a_missing_key_is_reported(self, node: PcNode) -> None:
        node.receive(TELEMETRY, heartbeat(autopilot(KEY)))
        node.run(1.0)
        assert texts(node) == ["Signing: give this node the key by USB"]

    def test_a_wrong_key_is_reported(self, node: PcNode) -> None:
        node.receive(USB, setup_signing(KEY))
        node.run(1.0)
        assert texts(node) == ["Signing is on"]
        for _ in range(20):
            node.receive(TELEMETRY, heartbeat(autopilot(OTHER_KEY)))
            node.run(0.5)
        assert texts(node) == ["Signing: what arrives has not this node's key"]


class TestBackPressure:
    def test_whole_messages_or_none(self, node: PcNode) -> None:
        node.room(TELEMETRY, 1000)
        taken = node.after(20.0)
        found = taken.messages(TELEMETRY)
        counts = taken.counts[TELEMETRY]
        assert len(found) == counts["sent"] and counts["dropped"] > 0
        assert 900 < len(taken.sent[TELEMETRY]) <= 1000
        # The other link has everything, and its receiver can count the losses.
        assert len(taken.messages(USB)) == taken.counts[USB]["sent"] > counts["sent"]
        node.room(TELEMETRY)
        heard = [m.get_seq() for m in (*found, node.after(1.1).messages(TELEMETRY)[0])]
        missing = sum((later - earlier - 1) % 256 for earlier, later in itertools.pairwise(heard))
        assert missing == counts["dropped"]

    def test_a_disconnected_port_loses_nothing(self, node: PcNode) -> None:
        node.room(USB, there=False)
        taken = node.after(10.0)
        assert taken.counts[USB]["sent"] == taken.counts[USB]["dropped"] == 0 and not taken.sent[USB]

    def test_texts_and_lists_wait_for_room(self, node: PcNode) -> None:
        node.room(USB, 100)
        node.receive(USB, param_list())
        assert not node.after(2.0, imu=None).messages(USB, "PARAM_VALUE")
        node.room(USB)
        taken = node.after(0.5)
        assert len(taken.messages(USB, "PARAM_VALUE")) == 9
        assert taken.texts(USB) == ["IMU silent", "IMU is back"]


class TestClock:
    def answer_all(
        self,
        node: PcNode,
        pilot: Sender,
        seconds: float,
        offset_us: int,
        delay: Any = lambda: (3000, 3000),
        drift: float = 0.0,
    ) -> None:
        """Let time pass while an autopilot whose clock is ours plus an offset answers after delay() = (there, back).

        drift: by how much its clock is faster than ours.
        """
        node.receive(TELEMETRY, heartbeat(pilot))
        end = node.time_us + round(seconds * 1e6)
        while node.time_us < end:
            node.run(0.05)
            if node.time_us % 1_000_000 < 50_000:
                node.receive(TELEMETRY, heartbeat(pilot))
            for message in node.take().messages(TELEMETRY, "TIMESYNC"):
                assert message.tc1 == 0
                there, back = delay()
                asked_us = message.ts1 // 1000
                node.time_us = max(node.time_us, asked_us + there + back)
                theirs_us = offset_us + (asked_us + there) * (1 + drift)
                reply = mavlink.MAVLink_timesync_message(round(theirs_us) * 1000, message.ts1)
                node.receive(TELEMETRY, pilot.pack(reply))

    def jumps(self, node: PcNode, offset_us: int, most_us: int = 0) -> int:
        """The clock's jumps so far; its time stamps must be ours plus the offset.

        most_us: windows end at whole slots of our clock, as far as it is known.
        """
        node.take()
        taken = node.after(2.0)
        stamp = taken.messages(TELEMETRY, "DEBUG_FLOAT_ARRAY")[0].time_usec
        assert abs(stamp - offset_us - node.time_us) < 4_000_000
        off_grid = (stamp - offset_us) % 20_000
        assert most_us == 0 or min(off_grid, 20_000 - off_grid) <= most_us
        return taken.jumps

    @pytest.mark.parametrize("offset_us", [0, 1_234_567_890, 40_000_000_000_000])
    def test_time_stamps_are_the_autopilots(self, node: PcNode, offset_us: int) -> None:
        rng = random.Random(5)
        # A slow link: 2 to 40 ms each way, not the same both ways.
        self.answer_all(
            node, autopilot(), 15.0, offset_us, lambda: (rng.randint(2000, 40000), rng.randint(2000, 40000))
        )
        taken = node.take()
        assert taken.source == 2 and taken.jumps == 0 and taken.uncertainty_us < 15_000
        self.jumps(node, offset_us, most_us=15_000)

    @pytest.mark.parametrize(("drift", "most_us"), [(100e-6, 3000), (-0.006, 11_000), (0.03, 50_000)])
    @pytest.mark.parametrize("trip_us", [1000, 15_000])
    def test_a_clock_without_crystal(self, node: PcNode, drift: float, most_us: int, trip_us: int) -> None:
        """It is never taken for an autopilot that restarts, and the report follows it."""
        rng, offset_us = random.Random(7), 50_000_000

        def delay() -> tuple[int, int]:
            return trip_us + rng.randint(0, 2000), trip_us + rng.randint(0, 2000)

        for _ in range(5):
            self.answer_all(node, autopilot(), 20.0, offset_us, delay, drift)
            taken = node.take()
            assert taken.jumps == 0
            for message in taken.messages(TELEMETRY, "DEBUG_FLOAT_ARRAY"):
                # Windows end every 0.64 s of our clock.
                ended_us = round((message.time_usec - offset_us) / (1 + drift) / 640_000) * 640_000
                assert abs(offset_us + ended_us * (1 + drift) - message.time_usec) < most_us

    def test_without_an_autopilot_they_are_our_own(self, node: PcNode) -> None:
        taken = node.after(5.0)
        assert taken.source == 0
        assert all(m.time_usec % 20_000 == 0 for m in taken.messages(TELEMETRY, "DEBUG_FLOAT_ARRAY"))
        assert not taken.messages(TELEMETRY, "TIMESYNC")

    def test_a_restart_of_the_autopilot_is_noticed(self, node: PcNode) -> None:
        pilot = autopilot()
        self.answer_all(node, pilot, 10.0, 50_000_000)
        assert self.jumps(node, 50_000_000) == 0
        self.answer_all(node, pilot, 3.0, -10_000_000)
        assert self.jumps(node, -10_000_000) == 1

    def test_one_wild_answer_changes_nothing(self, node: PcNode) -> None:
        pilot = autopilot()
        self.answer_all(node, pilot, 10.0, 0)
        node.take()
        (request,) = node.after(1.1).messages(TELEMETRY, "TIMESYNC")[-1:]
        wild = mavlink.MAVLink_timesync_message(request.ts1 + 777_000_000_000, request.ts1)
        node.receive(TELEMETRY, pilot.pack(wild))
        self.answer_all(node, pilot, 3.0, 0)
        assert self.jumps(node, 0) == 0

    def test_time_continues_when_the_autopilot_is_silent(self, node: PcNode) -> None:
        self.answer_all(node, autopilot(), 10.0, 9_000_000)
        assert not node.after(20.0).messages(TELEMETRY, "TIMESYNC")[5:]  # no requests to an absent autopilot
        assert self.jumps(node, 9_000_000) == 0

    def test_system_time_where_timesync_is_not_answered(self, node: PcNode) -> None:
        pilot = autopilot()
        for _ in range(10):
            boot_ms = (node.time_us + 7_000_000) // 1000
            node.receive(TELEMETRY, heartbeat(pilot) + pilot.pack(mavlink.MAVLink_system_time_message(0, boot_ms)))
            node.run(1.0)
        assert node.take().source == 1
        self.jumps(node, 7_000_000, most_us=1000)

    def test_requests_of_others_are_not_answered(self, node: PcNode) -> None:
        pilot = autopilot()
        node.receive(TELEMETRY, heartbeat(pilot))
        node.after(0.1)
        node.receive(TELEMETRY, pilot.pack(mavlink.MAVLink_timesync_message(0, 123456)))
        node.receive(TELEMETRY, pilot.pack(mavlink.MAVLink_timesync_message(99_000_000, 123456)))
        taken = node.take()
        assert not taken.sent[TELEMETRY] and taken.source == 0


class TestNoise:
    def traffic(self, seed: int, count: int) -> tuple[bytes, int]:
        """What an autopilot sends, and how many frames of it the node knows."""
        rng = random.Random(seed)
        pilot = autopilot()
        frames = b""
        for n in range(0, count, 4):
            frames += heartbeat(pilot)
            frames += pilot.pack(mavlink.MAVLink_attitude_message(n + 1, *(rng.uniform(-3, 3) for _ in range(6))))
            frames += pilot.pack(mavlink.MAVLink_param_set_message(1, NODE, b"MN_RATE", float((n + 2) % 50), 9))
            frames += pilot.pack(mavlink.MAVLink_system_time_message(0, (n + 3) * 1000))
        return frames, count * 3 // 4

    def test_a_clean_line_loses_nothing(self, node: PcNode) -> None:
        data, known = self.traffic(1, 2000)
        node.receive(TELEMETRY, data)
        counts = node.take().counts[TELEMETRY]
        assert counts["received"] == known and counts["unknown"] == 500
        assert counts["bad_crc"] == counts["refused"] == 0

    @pytest.mark.parametrize("seed", range(4))
    def test_a_noisy_line_costs_frames_and_nothing_else(self, node: PcNode, seed: int) -> None:
        rng = random.Random(seed)
        data, known = self.traffic(seed, 4000)
        noisy = bytearray()
        for byte in data:
            kind = rng.random()
            if kind < 0.005:
                continue
            noisy.append(byte ^ (1 << rng.randrange(8)) if kind < 0.01 else byte)
        node.receive(TELEMETRY, bytes(noisy))
        taken = node.after(0.5)
        counts = taken.counts[TELEMETRY]
        assert 0.3 * known < counts["received"] < known
        assert counts["bad_crc"] > 100
        assert {m.param_id for m in taken.messages(TELEMETRY, "PARAM_VALUE")} <= {"MN_RATE"}
        # It hears again as soon as the line is clean: an unfinished frame takes at most 280 bytes with it.
        node.receive(TELEMETRY, bytes(300))
        assert node.ask(TELEMETRY, request_version(GCS), "COMMAND_ACK")

    def test_random_bytes(self, node: PcNode) -> None:
        rng = random.Random(9)
        before = node.take().memory
        for _ in range(50):
            node.receive(rng.choice((TELEMETRY, USB)), rng.randbytes(10_000))
            node.run(0.05)
        taken = node.take()
        assert taken.memory == before and not taken.reboot
        node.receive(USB, bytes(300))
        assert node.ask(USB, request_version(GCS), "COMMAND_ACK")
