"""The bad wire does what it is told, and counts it."""

from __future__ import annotations

import time

from vehicle_field import Field

from px4_tinyml.link.connection import Link
from px4_tinyml.sitl.vehicle.embedded import EmbeddedVehicle
from px4_tinyml.sitl.vehicle.wire import Faults, FaultyWire


def receive(link: Link, seconds: float) -> int:
    end, count = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0.0:
        count += len(link.receive(left))
    return count


def test_every_frame_is_accounted_for() -> None:
    faults = Faults(drop=0.1, duplicate=0.05, reorder=0.05, garbage=0.1)
    with Link("udpin:127.0.0.1:0") as link:
        vehicle = EmbeddedVehicle(f"udpout:127.0.0.1:{link.local_port}", speed=4, faults=faults, seed=3)
        with vehicle:
            receive(link, 3.0)
            wire = vehicle.wires[0]
            assert isinstance(wire, FaultyWire)
            vehicle.call(lambda: setattr(wire, "faults", Faults()))
            received = receive(link, 0.5)
            counts = vehicle.call(lambda: wire.counts.__class__(**vars(wire.counts)))
            vehicle.call(lambda: setattr(wire, "faults", Faults(drop=1.0)))
            received += receive(link, 0.3)
        sender = link.statistics.sender(1, 1)
    assert received > 0
    assert counts.sent > 2000
    assert counts.dropped > 100
    assert sender.lost == counts.dropped
    assert sender.duplicates == counts.duplicated
    assert sender.reordered == counts.reordered
    assert link.statistics.garbage_bytes == counts.garbage_bytes


def test_the_same_seed_gives_the_same_faults() -> None:
    def fate(seed: int) -> list[int]:
        wire = FaultyWire("udpout:127.0.0.1:9", faults=Faults(drop=0.2, duplicate=0.1, reorder=0.1), seed=seed)
        lost = []
        for number in range(300):
            before = wire.counts.dropped
            wire.send(b"x")
            if wire.counts.dropped > before:
                lost.append(number)
        wire.close()
        return lost

    assert fate(1) == fate(1)
    assert fate(1) != fate(2)


def test_a_cut_cable_and_a_reboot_in_flight(field: Field) -> None:
    client, vehicle = field.pair(speed=4, faults=Faults())
    client.fly_up()
    vehicle.cut(1.5)
    time.sleep(0.2)
    client.collect(0.1)
    assert client.collect(0.8) == []
    client.wait("HEARTBEAT", lambda m: m.base_mode & 128)
    before = client.wait("HIGHRES_IMU").time_usec
    vehicle.call(vehicle.reboot)
    after = client.wait("HIGHRES_IMU", lambda m: m.time_usec < before)
    assert after.time_usec < before
    client.wait("EXTENDED_SYS_STATE", lambda m: m.landed_state == 2)
    vehicle.fail_sensors("baro", "imu")
    client.collect(0.3)
    assert "HIGHRES_IMU" not in {m.get_type() for m in client.collect(0.5)}
    vehicle.fail_sensors()
    client.wait("HIGHRES_IMU")
