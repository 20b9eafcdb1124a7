"""Links over real sockets and ptys: losses are counted, lost ports reopened, timeouts kept."""

from __future__ import annotations

import logging
import random
import socket
import struct
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from link_senders import Pty, UdpSender, Vehicle, bad_wire, drain, mavlink, receive_until, wait_until

from px4_tinyml.errors import LinkError
from px4_tinyml.link import transports
from px4_tinyml.link.connection import Link
from px4_tinyml.link.transports import MAX_PEERS

HEARTBEAT = mavlink.MAVLink_heartbeat_message(18, 8, 0, 0, 4, 3)


def test_receive_waits_until_the_timeout_or_a_frame(udp: Link, sender: UdpSender) -> None:
    for timeout_s in (0.0, 0.15):
        began = time.monotonic()
        assert udp.receive(timeout_s) == []
        assert time.monotonic() - began >= timeout_s
    assert not udp.connected
    sender.send(Vehicle().heartbeat())
    assert [frame.name for frame in udp.receive(600.0)] == ["HEARTBEAT"]
    assert udp.connected


def test_frames_put_back_are_returned_again_and_counted_once(udp: Link, sender: UdpSender) -> None:
    vehicle = Vehicle()
    sender.send(*(vehicle.attitude(n) for n in range(5)))
    frames = receive_until(udp, lambda f: len(f) == 5)
    udp.unread(frames[2:])
    udp.unread(frames[:2])
    assert udp.receive(0.0) == frames
    assert udp.statistics.sender(1, 1).frames == 5


@pytest.mark.parametrize("seed", range(3))
def test_a_bad_wire_is_counted_exactly(udp: Link, sender: UdpSender, seed: int) -> None:
    """10 % lost, 5 % repeated, 10 % late, and garbage: two vehicles on one port, each with its own truth."""
    rng = random.Random(seed)
    first, second = Vehicle(1), Vehicle(2, 42, version=1)
    garbage = 0
    arriving_1, truth_1 = bad_wire((first.attitude(n) for n in range(1500)), seed, 0.1, 0.05, 0.1)
    arriving_2, truth_2 = bad_wire((second.attitude(n) for n in range(700)), seed + 50, 0.2, 0.0, 0.2)
    second_wire = iter(arriving_2)
    with UdpSender(udp.local_port) as other:
        frames = []
        for n, datagram in enumerate(arriving_1):
            rubbish = bytes(rng.choice((0, 0x11, 0xFF)) for _ in range(rng.choice((0, 0, 7))))
            garbage += len(rubbish)
            sender.send(rubbish + datagram)
            if n % 2:
                other.send(*filter(None, [next(second_wire, b"")]))
            if n % 100 == 0:
                frames += udp.receive(0.0)
        other.send(*second_wire)
        frames += drain(udp)
    for system, component, truth, sent in ((1, 1, truth_1, arriving_1), (2, 42, truth_2, arriving_2)):
        counts = udp.statistics.sender(system, component)
        assert (counts.lost, counts.duplicates, counts.reordered) == (truth.lost, truth.duplicates, truth.reordered)
        assert [f.data for f in frames if f.system == system] == sent
    assert truth_1.lost > 100
    assert udp.statistics.garbage_bytes == garbage
    assert udp.statistics.kernel_dropped == 0


def test_answers_go_to_the_vehicle_they_are_for(udp: Link, sender: UdpSender) -> None:
    with UdpSender(udp.local_port) as other:
        sender.send(Vehicle(1).heartbeat())
        other.send(Vehicle(2).heartbeat())
        receive_until(udp, lambda frames: len(frames) == 2)
        command = mavlink.MAVLink_command_long_message(2, 1, 511, 0, 105, 20000, 0, 0, 0, 0, 0)
        assert udp.send(command)
        assert udp.send(HEARTBEAT)
        time.sleep(0.05)
        assert [m.get_type() for m in sender.received()] == ["HEARTBEAT"]
        assert [m.get_type() for m in other.received()] == ["COMMAND_LONG", "HEARTBEAT"]


def test_sending_without_a_peer_is_counted_as_dropped(udp: Link) -> None:
    assert not udp.reachable
    assert not udp.send(HEARTBEAT)
    assert (udp.statistics.sent, udp.statistics.send_dropped) == (0, 1)


def test_drops_of_a_slow_receiver_are_counted(udp: Link, sender: UdpSender) -> None:
    """More than the kernel buffers: it reports how many datagrams it dropped."""
    vehicle = Vehicle()
    text = b"x" * 50

    sent = 0

    def send(number: int) -> None:
        nonlocal sent
        sent += number
        for _ in range(number):
            sender.send(vehicle.pack(mavlink.MAVLink_statustext_message(6, text)))

    send(100)
    drain(udp)
    wait_until(lambda: udp_backlog(udp.local_port) > 0, lambda: send(500))
    for number in (10, 100):
        send(number)
        drain(udp)
    assert udp.statistics.kernel_dropped == sent - udp.statistics.sender(1, 1).frames > 0


def udp_backlog(port: int) -> int:
    """Datagrams dropped at a local port, by the kernel's own table."""
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) == port:
            return int(fields[-1])
    raise AssertionError(f"no socket at port {port}")


def test_a_wrong_dialect_is_counted_by_message(udp: Link, sender: UdpSender) -> None:
    """Unknown messages are returned; a message with another definition (another CRC_EXTRA) is rejected."""
    vehicle = Vehicle()
    for n in range(10):
        foreign = bytearray(vehicle.attitude(n))
        foreign[7:10] = (200000 + n % 2).to_bytes(3, "little")
        wrong = bytearray(vehicle.heartbeat())
        wrong[-2] ^= 0x5A
        sender.send(bytes(foreign), bytes(wrong), vehicle.attitude(n))
    frames = drain(udp)
    assert len(frames) == 20
    assert udp.statistics.unknown_ids == {200000: 5, 200001: 5}
    assert udp.statistics.sender(1, 1).unknown == 10
    assert udp.statistics.bad_crc == {0: 10}
    assert udp.statistics.sender(1, 1).lost == 10


def test_an_outage_of_five_seconds(
    udp: Link, sender: UdpSender, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In simulated time, 200 frames a second."""
    vehicle = Vehicle()
    caplog.set_level(logging.WARNING)
    start_ns, start_unix_ns, elapsed_ns = time.monotonic_ns(), time.time_ns(), 0
    monkeypatch.setattr(transports, "_SO_TIMESTAMPNS", None)  # the kernel's stamps are real time
    monkeypatch.setattr(time, "monotonic_ns", lambda: start_ns + elapsed_ns)
    monkeypatch.setattr(time, "time_ns", lambda: start_unix_ns + elapsed_ns)

    def run(frames: int, sent: bool) -> None:
        nonlocal elapsed_ns
        for _ in range(frames):
            elapsed_ns += 5_000_000
            datagram = vehicle.attitude()
            if sent:
                sender.send(datagram)
            assert len(udp.receive(10.0 if sent else 0.0)) == sent

    run(300, sent=True)
    run(1000, sent=False)
    assert not udp.connected
    run(100, sent=True)
    assert udp.connected
    counts = udp.statistics.sender(1, 1)
    assert (counts.lost, counts.duplicates, counts.reordered) == (1000, 0, 0)
    assert (udp.statistics.outages, counts.outages, udp.statistics.reconnects) == (1, 1, 0)
    assert udp.statistics.outage_s == pytest.approx(5.0, abs=0.02)
    assert ["nothing received" in r.message or "receiving again" in r.message for r in caplog.records] == [True, True]


def connect(server: Link, client: Link) -> None:
    """Until the client has received a heartbeat of the server."""
    wait_until(lambda: server.send(HEARTBEAT), lambda: (client.receive(0.05), server.receive(0.0)))
    receive_until(client, bool)


def test_a_tcp_server_that_restarts(caplog: pytest.LogCaptureFixture) -> None:
    with Link("tcpin:127.0.0.1:0", system=1, component=1) as server:
        port = server.local_port
        with Link(f"tcp:127.0.0.1:{port}") as client:
            connect(server, client)
            assert client.send(HEARTBEAT)
            receive_until(server, bool)
            server.close()
            assert client.receive(0.3) == []
            assert not client.connected
            assert not client.send(HEARTBEAT)
            assert f"tcp:127.0.0.1:{port}" in client.trouble
            with Link(f"tcpin:127.0.0.1:{port}", system=1, component=1) as again:
                connect(again, client)
                assert client.connected
            assert client.statistics.reconnects == 1
            assert client.statistics.sender(1, 1).lost == 0
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert any("trying again" in message for message in warnings)
    assert len(warnings) < 8


def test_a_tcp_server_that_is_not_there_yet() -> None:
    with Link("tcpin:127.0.0.1:0") as probe:
        port = probe.local_port
    with pytest.raises(LinkError, match="refused"), Link(f"tcp:127.0.0.1:{port}", reconnect=False) as impatient:
        impatient.receive(1.0)
    with Link(f"tcp:127.0.0.1:{port}") as client:
        assert client.receive(0.3) == []
        assert "refused" in client.trouble
        with Link(f"tcpin:127.0.0.1:{port}", system=1) as server:
            connect(server, client)


@pytest.mark.parametrize("batch_s", [0.0, 0.02])
def test_a_cable_that_is_pulled_and_plugged_in_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, batch_s: float
) -> None:
    """Also as another ttyACM, which is logged."""
    vehicle = Vehicle()
    with Link(f"serial:{tmp_path}/ttyACM0:115200", batch_s=batch_s) as link:

        def feed(cable: Pty) -> None:
            """Heartbeats until one is received."""
            wait_until(lambda: bool(link.receive(0.05)), lambda: cable.write(vehicle.heartbeat()))

        assert "there is no" in link.trouble
        with Pty(tmp_path / "ttyACM0") as cable:
            feed(cable)
            cable.write(vehicle.attitude()[:12])  # half a frame was received when the cable is pulled
            link.receive(0.05)
            cable.pull()
            assert link.receive(0.3) == []
            assert not link.connected
        for name in ("ttyACM0", "ttyACM1"):
            with Pty(tmp_path / name) as cable:
                feed(cable)
                assert link.send(HEARTBEAT)
                assert b"\xfd" in cable.read()
        assert link.statistics.reconnects == 2
        assert not link.statistics.bad_crc
    assert "found again as" in caplog.text
    assert "ttyACM1" in caplog.text


def test_a_device_that_was_present_before_is_not_ours(tmp_path: Path) -> None:
    ours, other = Pty(tmp_path / "ttyACM0"), Pty(tmp_path / "ttyACM1")
    with ours, other, Link(f"serial:{tmp_path}/ttyACM0") as link:
        ours.write(Vehicle().heartbeat())
        receive_until(link, bool)
        ours.pull()
        other.write(Vehicle().heartbeat())
        assert link.receive(1.0) == []
        assert "there is no" in link.trouble


def test_a_serial_device_belongs_to_one_program(tmp_path: Path) -> None:
    with Pty(tmp_path / "ttyUSB0"), Link(f"serial:{tmp_path}/ttyUSB0") as link:
        with pytest.raises(LinkError, match="in use by another program"):
            Link(f"serial:{tmp_path}/ttyUSB0", reconnect=False)
        assert link.trouble == ""


def test_a_full_uart_never_blocks_and_sends_whole_frames(tmp_path: Path) -> None:
    with Pty(tmp_path / "ttyUSB0") as cable, Link(f"serial:{tmp_path}/ttyUSB0") as link:
        sent = [link.send(mavlink.MAVLink_statustext_message(6, b"x" * 50)) for _ in range(2000)]
        assert 0 < sent.count(False) == link.statistics.send_dropped
        assert link.statistics.sent == sent.count(True)
        parser, messages = mavlink.MAVLink(None), []
        for _ in range(200):
            messages += parser.parse_buffer(cable.read()) or []
            link.receive(0.0)  # sends the rest
        assert len(messages) == sent.count(True)
        assert [m.get_seq() for m in messages] == [n % 256 for n in range(len(messages))]


def test_a_fast_uart_is_read_until_empty(tmp_path: Path) -> None:
    """The kernel keeps more than the 4095 bytes it gives at once."""
    vehicle = Vehicle()
    with Pty(tmp_path / "ttyUSB0") as cable, Link(f"serial:{tmp_path}/ttyUSB0") as link:
        for n in range(150):
            cable.write(vehicle.imu(n))
        time.sleep(0.1)
        assert len(link.receive(1.0)) == 150


def test_a_port_of_another_program_is_an_error() -> None:
    with Link("udpin:127.0.0.1:0") as link, pytest.raises(LinkError, match="in use by another program"):
        Link(f"udpin:127.0.0.1:{link.local_port}")
    with pytest.raises(LinkError, match="no address of this machine"):
        Link("udpin:192.0.2.1:14540")
    with pytest.raises(LinkError, match=r"udpout:host\.invalid:14540"):
        Link("udpout:host.invalid:14540")


def test_udpout_sends_first_and_to_its_target_among_many_peers() -> None:
    vehicle = Link("udpin:127.0.0.1:0", system=1, component=1)
    with vehicle, Link(f"udpout:127.0.0.1:{vehicle.local_port}") as link, ExitStack() as others:
        assert link.send(HEARTBEAT)
        receive_until(vehicle, bool)
        assert vehicle.send(HEARTBEAT)
        assert receive_until(link, bool)[0].system == 1
        for system in range(2, MAX_PEERS + 4):
            other = others.enter_context(UdpSender(link.local_port))
            other.send(Vehicle(system).heartbeat())
            receive_until(link, bool)
        assert link.send(HEARTBEAT)
        receive_until(vehicle, bool)
        assert [message.get_type() for message in other.received()] == ["HEARTBEAT"]


def test_frames_received_together_have_their_own_times() -> None:
    """The kernel stamps each at its arrival."""
    vehicle = Vehicle()
    with Link("udpin:127.0.0.1:0", batch_s=0.3) as link, UdpSender(link.local_port) as sender:
        sender.send(vehicle.heartbeat())
        link.receive(1.0)
        for _ in range(5):
            sender.send(vehicle.heartbeat())
            time.sleep(0.04)
        frames = receive_until(link, lambda f: len(f) == 5)
    steps = [(b.received_us - a.received_us) / 1e6 for a, b in pairwise(frames)]
    assert all(step > 0.03 for step in steps)


@pytest.mark.parametrize("step_s", [31_536_000, -31_536_000])
def test_a_clock_that_is_set_while_frames_wait(
    udp: Link, sender: UdpSender, monkeypatch: pytest.MonkeyPatch, step_s: int
) -> None:
    """NTP sets the year. A test double of the clock: datagrams in the kernel have a stamp from before."""
    vehicle, clock_ns = Vehicle(), time.time_ns
    times_us = []
    for n in range(10):
        if n == 5:
            sender.send(vehicle.heartbeat())
            monkeypatch.setattr(time, "time_ns", lambda: clock_ns() + step_s * 10**9)
        if n == 6:
            monkeypatch.undo()  # the next ones are stamped by the clock as it is now
        sender.send(vehicle.heartbeat())
        time.sleep(0.02)
        times_us += [frame.received_us for frame in receive_until(udp, bool)]
    assert len(times_us) == 11
    assert all(0 <= after - before < 60_000_000 for before, after in pairwise(times_us))
    assert (udp.statistics.sender(1, 1).lost, udp.statistics.outages) == (0, 0)


class OtherKernelSocket(socket.socket):
    """A test double: a socket whose kernel stamps datagrams with a time of another size, as 32-bit Linux does."""

    def recvmsg_into(self, *arguments: Any) -> Any:
        size, extra, flags, peer = super().recvmsg_into(*arguments)
        stamps = [
            (level, kind, struct.pack("@ii", 1, 2)) for level, kind, _ in extra if kind == transports._SO_TIMESTAMPNS
        ]
        return size, stamps, flags, peer


def test_a_kernel_whose_times_have_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", OtherKernelSocket)
    with Link("udpin:127.0.0.1:0") as link, UdpSender(link.local_port) as sender:
        sender.send(Vehicle().heartbeat())
        assert len(drain(link)) == 1


def test_ipv4_is_preferred_for_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test double of /etc/hosts: where localhost is ::1 first, a simulator that listens on 127.0.0.1 is reached."""

    def ipv6_first(host: str, port: int, type: int) -> list[Any]:
        four = (socket.AF_INET, type, 0, "", ("127.0.0.1", port))
        return [(socket.AF_INET6, type, 0, "", ("::1", port, 0, 0)), four] if host == "localhost" else [four]

    monkeypatch.setattr(socket, "getaddrinfo", ipv6_first)
    with Link("tcpin:127.0.0.1:0", system=1) as server, Link(f"tcp:localhost:{server.local_port}") as client:
        wait_until(lambda: client.reachable, lambda: client.receive(0.05))
