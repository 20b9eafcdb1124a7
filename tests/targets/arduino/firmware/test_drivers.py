"""Drivers against registers, mounting against MAVLink's names."""

from __future__ import annotations

import math
import re
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pymavlink.dialects.v20 import common as mavlink

from px4_tinyml.logs.csv.arduino_csv import BOARD_TO_FRD

G = 9.80665
RAD = math.pi / 180
MS = 1000
Counts = tuple[int, int, int]


class Bench:
    """A driver and the test double of its bus."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.running, self.starts, self.errors = False, 0, 0

    def send(self, *words: object) -> None:
        assert self.process.stdin
        print(*words, file=self.process.stdin, flush=True)

    def ask(self, *words: object) -> list[str]:
        self.send(*words)
        assert self.process.stdout
        return self.process.stdout.readline().split()

    def put(self, first: int, data: bytes) -> None:
        for i, value in enumerate(data):
            self.send("set", first + i, value)

    def poll(self, time_us: int) -> list[float] | None:
        """The sample, its time first; None without one."""
        *words, running, starts, errors = self.ask("poll", time_us)
        self.running, self.starts, self.errors = running == "1", int(starts), int(errors)
        return None if words == ["none"] else [float(word) for word in words[1:]]

    def until_running(self, time_us: int = 1_000_000, most_us: int = 2_000_000) -> int:
        for now in range(time_us, time_us + most_us, MS):
            assert self.poll(now) is None
            if self.running:
                return now
        raise AssertionError("it does not run")

    def stays_silent(self, first_us: int, last_us: int) -> None:
        for now in range(first_us, last_us, 20 * MS):
            assert self.poll(now) is None and not self.running

    def measure(self, name: str, accel: Counts, gyro: Counts) -> list[float]:
        """The sample of a running IMU for these counts, without its time."""
        now = self.until_running() + 10 * MS
        put_sample(self, name, accel, gyro)
        self.send("set", *SENSORS[name][2])
        sample = self.poll(now)
        assert sample and sample[0] == now  # the time it was found ready
        return sample[1:]


@pytest.fixture
def bench(build: Callable[..., Path]) -> Iterator[Bench]:
    program = build("driver_bench.cpp", ["node/Rotation.cpp", "node/Samples.cpp"])
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Bench(process)
    assert process.returncode == 0


# name: address, identity (register, value), data ready (register, value), period in µs, calibration registers
IMUS = {
    "LSM9DS1": (0x6B, (0x0F, 0x68), (0x17, 0x03), 4201, {}),
    "BMI270": (0x68, (0x00, 0x24), (0x03, 0xC0), 5000, {0x21: 1}),
    "MPU-6050": (0x68, (0x75, 0x68), (0x3A, 0x01), 5000, {}),
    "ICM-20948": (0x68, (0x00, 0xEA), (0x1A, 0x01), 4444, {}),
}
BAROS = {
    "LPS22HB": (0x5C, (0x0F, 0xB1), (0x27, 0x01), 13333, {}),
    "BMP280": (0x76, (0xD0, 0x58), (0xF3, 0x00), 34000, {}),
}
SENSORS = {**IMUS, **BAROS}

BMP280_TRIM = (27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
"""Of the data sheet's worked example: 519888 and 415148 are 25.08 °C and 100653.27 Pa in floating point; whole numbers,
which its other form computes with, end 0.02 Pa beside."""


def put_sample(bench: Bench, name: str, accel: Counts, gyro: Counts) -> None:
    """Counts along the sensor's own axes into its data registers."""
    if name == "LSM9DS1":
        bench.put(0x18, struct.pack("<3h", *gyro))
        bench.put(0x28, struct.pack("<3h", *accel))
    elif name == "BMI270":
        bench.put(0x0C, struct.pack("<6h", *accel, *gyro))
    elif name == "MPU-6050":
        bench.put(0x3B, struct.pack(">3hh3h", *accel, -521, *gyro))
    else:
        bench.put(0x2D, struct.pack(">6h", *accel, *gyro))


def there(bench: Bench, name: str) -> None:
    address, identity, _, _, more = SENSORS[name]
    bench.send(f"driver {name}")
    bench.send(f"device {address}")
    for register, value in (identity, *more.items()):
        bench.send(f"set {register} {value}")
    if name == "BMP280":
        bench.put(0x88, struct.pack("<HhhHhhhhhhhh", *BMP280_TRIM))
        put_bmp280(bench, 415148, 519888)


def start(bench: Bench, name: str) -> int:
    there(bench, name)
    return bench.until_running()


def put_bmp280(bench: Bench, pressure: int, temperature: int) -> None:
    bench.put(0xF7, (pressure << 4).to_bytes(3, "big") + (temperature << 4).to_bytes(3, "big"))


# Scales of the ranges by the data sheets, and the axes of the sensor: rows are forward, right, down.
AXES = {
    "LSM9DS1": np.diag([1, 1, -1]),
    "BMI270": np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1]]),
    "MPU-6050": np.diag([1, -1, -1]),
    "ICM-20948": np.diag([1, -1, -1]),
}
UNITS = {
    "LSM9DS1": (0.732e-3 * G, 70e-3 * RAD),
    "BMI270": (G / 2048, RAD / 16.384),
    "MPU-6050": (G / 2048, RAD / 16.4),
    "ICM-20948": (G / 2048, RAD / 16.4),
}


@pytest.mark.parametrize("name", IMUS)
@pytest.mark.parametrize("accel, gyro", [((100, -2000, 30000), (-32768, 5, 32767)), ((1, 2, 3), (-4, 5, -6))])
def test_units_and_axes(bench: Bench, name: str, accel: Counts, gyro: Counts) -> None:
    there(bench, name)
    sample = bench.measure(name, accel, gyro)
    for values, counts, unit in zip((sample[:3], sample[3:]), (accel, gyro), UNITS[name], strict=True):
        assert values == pytest.approx(AXES[name] @ np.array(counts) * unit, rel=1e-6)


@pytest.mark.parametrize("name", IMUS)
def test_level_and_at_rest(bench: Bench, name: str) -> None:
    """Components up: every sensor's z axis reads +1 g there; forward, right, down has −9.81."""
    there(bench, name)
    sample = bench.measure(name, (0, 0, round(G / UNITS[name][0])), (0, 0, 0))
    assert sample[:3] == pytest.approx([0, 0, -G], abs=0.01)


@pytest.mark.parametrize(
    "name, library",
    [
        ("LSM9DS1", lambda v: (v[0], v[1], v[2])),
        ("BMI270", lambda v: (-v[1], -v[0], v[2])),  # Arduino_BMI270_BMM150 on the Nano 33 BLE
    ],
)
def test_both_revisions_of_the_board_have_the_csvs_axes(
    bench: Bench, name: str, library: Callable[[Counts], Counts]
) -> None:
    """A sample as Arduino's two libraries print it has the same forward, right, down as a CSV of theirs."""
    accel, gyro = (300, -1200, 1900), (50, -70, 90)
    there(bench, name)
    sample = bench.measure(name, accel, gyro)
    for values, counts, unit in zip((sample[:3], sample[3:]), (accel, gyro), UNITS[name], strict=True):
        assert values == pytest.approx(np.array(library(counts)) * unit * BOARD_TO_FRD, rel=1e-6)


@pytest.mark.parametrize("factor, part", [(0x10, 16), (0x7F, -1), (0x40, -64), (0x3F, 63)])
def test_the_bmi270s_z_rate_is_removed_from_x(bench: Bench, factor: int, part: int) -> None:
    there(bench, "BMI270")
    bench.send("set", 60, factor)
    sample = bench.measure("BMI270", (0, 0, 0), (1000, 0, 5120))
    assert sample[4] == pytest.approx(-(1000 - part * 10) * RAD / 16.384, rel=1e-6)


def test_lps22hb(bench: Bench) -> None:
    now = start(bench, "LPS22HB")
    bench.put(0x28, round(987.65 * 4096).to_bytes(3, "little") + struct.pack("<h", -1234))
    bench.send("set 39 1")
    sample = bench.poll(now + 20 * MS)
    assert sample and sample[1] == pytest.approx(98765, abs=0.02) and sample[2] == pytest.approx(-12.34)
    assert sample[3] == pytest.approx(44330.77 * (1 - (987.65 / 1013.25) ** 0.1902632), abs=0.02)


def test_bmp280_as_in_the_data_sheets_example(bench: Bench) -> None:
    now = start(bench, "BMP280")
    sample = bench.poll(now + 30 * MS)
    assert sample and sample[1] == pytest.approx(100653.27, abs=0.03) and sample[2] == pytest.approx(25.08)


@pytest.mark.parametrize("raw", [(0, 519888), (1_048_575, 519888), (415148, 0), (415148, 1_048_575)])
def test_bmp280_at_its_ends(bench: Bench, raw: tuple[int, int]) -> None:
    now = start(bench, "BMP280")
    put_bmp280(bench, *raw)
    sample = bench.poll(now + 30 * MS)
    assert sample is None or all(math.isfinite(value) for value in sample)


@pytest.mark.parametrize("name", [*IMUS, *BAROS])
class TestWatching:
    def test_not_there(self, bench: Bench, name: str) -> None:
        bench.send(f"driver {name}")
        bench.send(f"device {SENSORS[name][0]}")
        bench.stays_silent(0, 5_000_000)
        there(bench, name)
        bench.until_running(5_000_000)

    def test_bus_fails_and_recovers(self, bench: Bench, name: str) -> None:
        now = start(bench, name)
        bench.send("device 0")
        for _ in range(300):
            now += MS
            assert bench.poll(now) is None
        assert not bench.running and bench.errors >= 10
        bench.send(f"device {SENSORS[name][0]}")
        bench.until_running(now)
        assert bench.starts == 2

    def test_sensor_lost_its_settings(self, bench: Bench, name: str) -> None:
        """A dip of the supply: it answers, but does not measure any more."""
        now = start(bench, name)
        if name == "BMP280":
            put_bmp280(bench, 0x80000, 0x80000)
        else:
            bench.send(f"set {SENSORS[name][2][0]} 0")
        for _ in range(250):
            now += MS
            assert bench.poll(now) is None
        bench.until_running(now)
        assert bench.starts == 2 and bench.errors == 0

    def test_a_setting_that_does_not_arrive(self, bench: Bench, name: str) -> None:
        register = dict(zip(SENSORS, (0x20, 0x41, 0x1C, 0x14, 0x10, 0xF4), strict=True))
        there(bench, name)
        bench.send(f"stuck {register[name]} 1")
        bench.stays_silent(1_000_000, 4_000_000)
        bench.send(f"stuck {register[name]} 0")
        bench.until_running(4_000_000)

    def test_no_more_than_the_sensors_rate(self, bench: Bench, name: str) -> None:
        now = start(bench, name)
        _, _, ready, period, _ = SENSORS[name]
        if name in IMUS:
            put_sample(bench, name, (1, 2, 3), (4, 5, 6))
        bench.send("set", *ready)  # always something new: the double's is never cleared
        count = sum(bench.poll(now + i * 100) is not None for i in range(20_000))
        assert 2_000_000 / period <= count <= 2_000_000 / (0.7 * period)


def test_the_bmi270_without_its_configuration(bench: Bench) -> None:
    there(bench, "BMI270")
    bench.send("load 0")
    bench.stays_silent(1_000_000, 3_000_000)
    bench.send("load 1")
    bench.send("set 33 2")  # INTERNAL_STATUS: not initialised
    bench.stays_silent(3_000_000, 5_000_000)


def mounting(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The rotation of a MAV_SENSOR_ROTATION's name: roll, then pitch, then yaw."""
    angles = {axis: math.radians(float(value)) for axis, value in re.findall(r"(ROLL|PITCH|YAW)_(\d+)", name)}
    r, p, y = (angles.get(axis, 0.0) for axis in ("ROLL", "PITCH", "YAW"))
    roll = [[1, 0, 0], [0, math.cos(r), -math.sin(r)], [0, math.sin(r), math.cos(r)]]
    pitch = [[math.cos(p), 0, math.sin(p)], [0, 1, 0], [-math.sin(p), 0, math.cos(p)]]
    yaw = [[math.cos(y), -math.sin(y), 0], [math.sin(y), math.cos(y), 0], [0, 0, 1]]
    return np.array(yaw) @ np.array(pitch) @ np.array(roll)


def test_mounting_follows_the_names_of_mavlink(bench: Bench) -> None:
    orientations = {number: entry.name for number, entry in mavlink.enums["MAV_SENSOR_ORIENTATION"].items()}
    for number in range(41):
        name = orientations.pop(number)
        turned = np.array([bench.ask("rotate", number, *vector) for vector in np.eye(3)], float).T
        assert turned == pytest.approx(mounting(name), abs=2e-7), name
        if all(int(degrees) % 90 == 0 for degrees in re.findall(r"\d+", name)):
            assert set(np.abs(turned).flat) <= {0.0, 1.0}, name
    assert min(orientations) >= 100


def test_no_mounting_changes_nothing(bench: Bench) -> None:
    for number in (0, 41, 4_000_000_000):
        assert bench.ask(f"rotate {number} 0.1 -2.7 9.81") == ["0.100000001", "-2.70000005", "9.81000042"]
