"""Several clients, several vehicles, all kinds of links, signatures, and peers that disappear."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import tty
from pathlib import Path

import pytest
from pymavlink import mavutil
from vehicle_field import Client, Field, wait_until

from px4_tinyml.errors import LinkError, SpecError
from px4_tinyml.mavlink.signing import SigningKey
from px4_tinyml_sitl.vehicle import wire
from px4_tinyml_sitl.vehicle.embedded import EmbeddedVehicle

COMPANION = {"system": 1, "component": 191}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def report(client: Client, x: float) -> None:
    client.link.mav.debug_vect_send(b"MOTION", 1234, x, 0.9, 0.8)


def companion_heartbeat(client: Client) -> None:
    client.link.mav.heartbeat_send(18, 8, 0, 0, 4)


def ground_and_companion(field: Field) -> tuple[Client, Client, EmbeddedVehicle]:
    """Two links of one vehicle, which has received a heartbeat of the companion: it forwards nothing before."""
    ground, companion = field.client(), field.client(**COMPANION)
    vehicle = field.vehicle([f"udpout:127.0.0.1:{c.port}" for c in (ground, companion)], speed=4)
    ground.wait("HEARTBEAT")
    companion.wait("HEARTBEAT")
    companion_heartbeat(companion)
    wait_until(lambda: any(channel.was_seen(0, 191) for channel in vehicle._channels))
    return ground, companion, vehicle


def test_a_report_arrives_at_a_second_client_forwarded_and_echoed(field: Field) -> None:
    ground, companion, vehicle = ground_and_companion(field)
    ground.link.mav.heartbeat_send(6, 8, 0, 0, 4)
    companion.wait("HEARTBEAT", lambda m: m.get_srcSystem() == 255)
    companion_heartbeat(companion)
    ground.wait("HEARTBEAT", lambda m: m.get_srcComponent() == 191)
    report(companion, 3.0)
    assert {ground.wait("DEBUG_VECT").get_srcComponent() for _ in range(2)} == {191, 1}
    echo = companion.wait("DEBUG_VECT")
    assert (echo.get_srcComponent(), echo.x) == (1, 3.0)
    assert echo.time_usec > 2_000_000  # when it was received, not the time in it
    # The queue holds one message: of a burst, the vehicle sends the last as its own. (call: received in one tick.)
    vehicle.call(lambda: [report(companion, float(x)) for x in range(10, 20)])
    messages = [m for m in ground.collect(4.0) if m.get_type() == "DEBUG_VECT"]
    assert [m.x for m in messages if m.get_srcComponent() == 191] == [float(x) for x in range(10, 20)]
    assert [m.x for m in messages if m.get_srcComponent() == 1] == [19.0]


def test_several_clients_on_one_udp_port(field: Field) -> None:
    vehicle = field.vehicle("udpin:127.0.0.1:0", speed=4)
    url = f"udpout:127.0.0.1:{vehicle.wires[0].local_port}"
    ground, companion = field.client(url), field.client(url, **COMPANION)
    for client in (ground, companion):
        companion_heartbeat(client)
        client.wait("HEARTBEAT", lambda m: m.get_srcComponent() == 1)
    ground.wait("HEARTBEAT", lambda m: m.get_srcComponent() == 191)
    report(companion, 1.0)
    assert {ground.wait("DEBUG_VECT").get_srcComponent() for _ in range(2)} == {191, 1}
    # An answer has a target; both clients receive it.
    assert ground.command(511, 105.0, 0.0) == (0, [])
    assert companion.wait("COMMAND_ACK").target_system == 255


def test_commands_for_another_component_are_forwarded_and_not_answered(field: Field) -> None:
    ground, companion, _ = ground_and_companion(field)
    ground.link.mav.command_long_send(1, 191, 512, 0, 148.0, 0, 0, 0, 0, 0, 0)
    assert companion.wait("COMMAND_LONG").target_component == 191
    assert "COMMAND_ACK" not in ground.types(2.0)


def test_two_vehicles_on_one_port(field: Field) -> None:
    client = field.client()
    for number in (1, 2):
        field.vehicle(f"udpout:127.0.0.1:{client.port}", system_id=number)
    for number in (1, 2):
        client.wait("HEARTBEAT", lambda m, n=number: m.get_srcSystem() == n)
    samples = {n: client.wait("HIGHRES_IMU", lambda m, n=n: m.get_srcSystem() == n) for n in (1, 2)}
    assert samples[1].xacc != samples[2].xacc


@pytest.mark.parametrize("kind", ["tcp", "tcpin"])
def test_tcp_client_and_server_reconnect(field: Field, kind: str) -> None:
    if kind == "tcpin":
        vehicle = field.vehicle("tcpin:127.0.0.1:0", speed=4)
        url = f"tcp:127.0.0.1:{vehicle.wires[0].local_port}"
    else:
        port = free_port()
        url = f"tcpin:127.0.0.1:{port}"
        field.vehicle(f"tcp:127.0.0.1:{port}", speed=4)
    for _ in range(2):
        client = Client(url)
        try:
            client.wait("HEARTBEAT")
            assert client.command(511, 32.0, 100_000.0)[0] == 0
        finally:
            client.close()


def test_half_of_a_uarts_bandwidth_is_used(field: Field) -> None:
    master, slave = pty.openpty()
    tty.setraw(master)
    try:
        field.vehicle(f"serial:{os.ttyname(slave)}:115200", speed=4)
        parser = mavutil.mavlink.MAVLink(None)
        size, times = 0, []
        while len(times) < 60:
            data = os.read(master, 65536)
            for message in parser.parse_buffer(data) or []:
                if message.get_type() == "ATTITUDE":
                    times.append(message.time_boot_ms)
                size += len(message.get_msgbuf()) if len(times) > 10 else 0
        bytes_s = size / ((times[-1] - times[10]) / 1000)
        assert 0.7 * 115200 / 20 < bytes_s < 1.1 * 115200 / 20
    finally:
        os.close(master)
        os.close(slave)


def test_signed_link(field: Field, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("passphrase: fly safe\n")
    key = SigningKey.read(path)
    client, vehicle = field.pair(signing=key, speed=4)
    assert all(m.get_msgbuf()[2] & 1 for m in client.collect(2.0))
    client.link.mav.command_long_send(1, 1, 511, 0, 105.0, 1e6, 0, 0, 0, 0, 0)
    wait_until(lambda: vehicle.wires[0].rejected)
    assert "COMMAND_ACK" not in client.types(2.0)
    assert vehicle.wires[0].rejected == 1
    client.link.setup_signing(key.key, sign_outgoing=True)
    assert client.command(511, 105.0, 1e6)[0] == 0


def test_a_port_in_use_and_invalid_options() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(LinkError, match=f"udpin:127.0.0.1:{port}.*in use.*elsewhere"):
            EmbeddedVehicle(f"udpin:127.0.0.1:{port}")
    for address in ("udpin:nowhere", "serial:/dev/no-such-device"):
        with pytest.raises(LinkError, match=address.partition(":")[2]):
            EmbeddedVehicle(address)
    for options in ({"speed": 0.0}, {"system_id": 300}, {"edr": 2.0}, {"airframe": "A380"}, {"mission": "mars"}):
        with pytest.raises(SpecError, match=str(next(iter(options.values())))):
            EmbeddedVehicle("udpin:127.0.0.1:0", **options)


def test_command_line_until_ctrl_c(tmp_path: Path) -> None:
    client = Client("udpin:127.0.0.1:0")
    command = [sys.executable, "-m", "px4_tinyml.cli.main", "serve", f"udpout:127.0.0.1:{client.port}"]
    options = ["--speed", "10", "--mission", "hover", "--out", str(tmp_path), "--system", "7", "--edr", "0.3"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        client.wait("HEARTBEAT", lambda m: m.get_srcSystem() == 7 and m.base_mode & 128)
        client.wait("LOCAL_POSITION_NED", lambda m: m.z < -3.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        client.close()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out.split() == [str(tmp_path / "vehicle7_000.ulg")]
    assert (tmp_path / "vehicle7_000.ulg").stat().st_size > 10_000


def test_it_ends_when_all_peers_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "PEER_TIMEOUT_S", 1.0)
    vehicle = EmbeddedVehicle(f"tcp:127.0.0.1:{free_port()}", speed=5)
    with pytest.raises(LinkError, match="no peer for"):
        vehicle.run()
