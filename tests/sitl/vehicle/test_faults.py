"""FaultyWire injects the faults it is configured for, and counts them."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

from vehicle_field import Field, wait_until

from px4_tinyml.link.connection import Link
from px4_tinyml_sitl.vehicle.embedded import EmbeddedVehicle
from px4_tinyml_sitl.vehicle.wire import Faults, FaultyWire


def test_every_frame_is_counted() -> None:
    faults = Faults(drop=0.1, duplicate=0.05, reorder=0.05, garbage=0.1)
    with Link("udpin:127.0.0.1:0") as link:
        vehicle = EmbeddedVehicle(f"udpout:127.0.0.1:{link.local_port}", speed=4, faults=faults, seed=3)
        with vehicle:
            wire = vehicle.wires[0]
            assert isinstance(wire, FaultyWire)
            received = []

            def receive_until_sent(count: int) -> None:
                while wire.counts.sent < count:
                    received.extend(link.receive(0.1))

            receive_until_sent(4000)
            vehicle.call(lambda: setattr(wire, "faults", Faults()))
            receive_until_sent(wire.counts.sent + 100)  # reordered frames are late by a few
            counts = vehicle.call(lambda: setattr(wire, "faults", Faults(drop=1.0)) or replace(wire.counts))
            while frames := link.receive(0.3):
                received += frames
        sender = link.statistics.sender(1, 1)
    assert received
    assert counts.dropped > 100
    assert sender.lost == counts.dropped
    assert sender.duplicates == counts.duplicated
    assert sender.reordered == counts.reordered
    assert link.statistics.garbage_bytes == counts.garbage_bytes


def test_the_same_seed_gives_the_same_faults() -> None:
    def dropped(seed: int) -> list[int]:
        wire = FaultyWire("udpout:127.0.0.1:9", faults=Faults(drop=0.2, duplicate=0.1, reorder=0.1), seed=seed)
        lost = []
        for number in range(300):
            before = wire.counts.dropped
            wire.send(b"x")
            if wire.counts.dropped > before:
                lost.append(number)
        wire.close()
        return lost

    assert dropped(1) == dropped(1)
    assert dropped(1) != dropped(2)


def test_a_cut_cable_and_a_reboot_in_flight(field: Field) -> None:
    client, vehicle = field.pair(speed=4, faults=Faults())
    client.fly_up()
    vehicle.call(lambda: vehicle.cut(1e6))
    client.drain()
    until_us = vehicle.state.now_us + 3_000_000
    wait_until(lambda: vehicle.state.now_us > until_us)
    assert client.drain() == []
    vehicle.call(lambda: vehicle.cut(0.0))
    client.wait("HEARTBEAT", lambda m: m.base_mode & 128)
    before = client.wait("HIGHRES_IMU").time_usec
    vehicle.call(vehicle.reboot)
    client.wait("HIGHRES_IMU", lambda m: m.time_usec < before)
    client.wait("EXTENDED_SYS_STATE", lambda m: m.landed_state == 2)
    vehicle.fail_sensors("baro", "imu")
    client.collect(1.0)
    assert "HIGHRES_IMU" not in client.types(2.0)
    vehicle.fail_sensors()
    client.wait("HIGHRES_IMU")


def test_random_messages_do_not_stop_the_vehicle(field: Field) -> None:
    """Every command with numbers of every kind, in any order, and noise."""
    client, vehicle = field.pair(speed=10, edr=0.2, seed=1)
    chance = random.Random(5)
    numbers = (float("nan"), float("inf"), float("-inf"), 0.0, 1.0, -1.0, 2.0, 4.0, 0.5, 105.0, 1e30, -1e30, 47.0)
    commands = (20, 21, 22, 176, 178, 185, 192, 246, 300, 400, 410, 420, 510, 511, 512, 519, 520, 2510, 2511, 31010, 9)
    send = client.link.mav
    for turn, command in itertools.product(range(12), commands):
        p = [chance.choice(numbers) for _ in range(7)]
        send.command_long_send(1, 1, command, turn, *p)
        x, y = (chance.choice((0, 47 * 10**7, 2**31 - 1, -(2**31))) for _ in "xy")
        send.command_int_send(1, 1, chance.choice((0, 3, 6)), command, 0, 0, *p[:4], x, y, p[4])
        send.set_mode_send(1, chance.randrange(256), chance.randrange(2**32))
        send.param_set_send(
            1, 1, chance.choice((b"SIM_TURB_EDR", b"BAT1_N_CELLS", b"\xff\xfe", b"")), p[5], chance.randrange(12)
        )
        send.param_request_read_send(1, 1, b"X", chance.randrange(-5, 40))
        send.log_request_list_send(1, 1, chance.randrange(5), chance.randrange(3))
        send.log_request_data_send(1, 1, chance.randrange(3), chance.randrange(2**32), chance.randrange(2**32))
        send.logging_ack_send(1, 1, chance.randrange(4))
        send.mission_request_list_send(1, 1, chance.randrange(4))
        send.mission_count_send(1, 1, 3, 0)
        send.timesync_send(0, chance.randrange(-(2**63), 2**63))
        send.ping_send(0, 0, 0, 0)
        client.link.write(chance.randbytes(chance.randrange(200)))
        client.drain()
    after = vehicle.call(lambda: vehicle.state.flight.time_us)
    client.wait("HEARTBEAT")
    assert vehicle.call(lambda: vehicle.state.flight.time_us) > after
