"""Small logs of one flight in every format."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.logs.ulog.topics import FORMATS
from px4_tinyml.logs.ulog.ulog_writer import ULogWriter

START_US = 5_000_000
GRAVITY = 9.80665


def vertical_speed(t_s: float) -> float:
    """Down, m/s: on the ground 3 s, climb 1.5 m/s for 5 s, level 4 s, descend 1 m/s."""
    return 0.0 if t_s < 3 else -1.5 if t_s < 8 else 0.0 if t_s < 12 else 1.0


def small_ulog(seconds: float = 16.0, *, truth: bool = False, imu: bool = True, seed: int = 1) -> bytes:
    """A flight at 200 Hz with 20 Hz barometer, 10 Hz local position and 1 Hz land detector."""
    log, noise = ULogWriter(0), np.random.default_rng(seed)
    log.info("sys_name", "PX4")
    log.info("ver_hw", "PX4_FMU_V6C")
    if truth:
        log.info("sim_airframe", "450")
    log.parameter("SYS_AUTOSTART", 4001)
    log.parameter("MAV_TYPE", 2)
    t_s = np.arange(int(seconds * 200)) / 200
    now = START_US + np.rint(t_s * 1e6).astype(np.uint64)
    down = np.array([vertical_speed(t) for t in t_s])
    height = -np.cumsum(down) / 200

    def add(name: str, every: int, delay_us: int, **fields: Any) -> None:
        times = {"timestamp": now[::every] + delay_us}
        if "timestamp_sample" in FORMATS[name]:
            times["timestamp_sample"] = now[::every] + delay_us * 4 // 9
        values = {key: np.broadcast_to(value, np.shape(value) or t_s.shape)[::every] for key, value in fields.items()}
        log.topic(name, FORMATS[name], {**times, **values})

    add("vehicle_land_detected", 200, 100, landed=t_s < 3)
    add("vehicle_status", 200, 100, arming_state=np.where(t_s >= 2, 2, 1), system_type=2)
    if truth:
        add("turbulence_truth", 200, 0, edr=np.where(t_s < 8, 0.05, 0.3), wind_speed_m_s=np.where(t_s < 8, 4.0, 5.0))
    if imu:
        gyro, accel = noise.normal(0, 0.01, (len(t_s), 3)), noise.normal((0, 0, -GRAVITY), 0.1, (len(t_s), 3))
        add("sensor_combined", 1, 0, gyro_rad=gyro, accelerometer_m_s2=accel)
    add("vehicle_air_data", 10, 900, baro_alt_meter=100.0 + height)
    add("vehicle_local_position", 20, 675, z=-height, vz=down, v_z_valid=True)
    return log.content()


class Dataflash:
    """Collects messages in `data`. formats: type, format characters and column names by message name."""

    def __init__(self, formats: dict[str, tuple[int, str, str]]) -> None:
        self.formats = {"FMT": (128, "BBnNZ", "Type,Length,Name,Format,Columns"), **formats}
        self.data = bytearray()
        for name, (kind, characters, columns) in self.formats.items():
            length = 3 + struct.calcsize(self.layout(name))
            self.add("FMT", kind, length, name.encode(), characters.encode(), columns.encode())

    def layout(self, name: str) -> str:
        sizes = {"n": "4s", "N": "16s", "Z": "64s", "c": "h", "e": "i"}
        return "<" + "".join(sizes.get(c, c) for c in self.formats[name][1])

    def add(self, name: str, *values: Any) -> None:
        self.data += b"\xa3\x95" + bytes([self.formats[name][0]]) + struct.pack(self.layout(name), *values)


def small_dataflash(seconds: float = 16.0, seed: int = 2, events: bool = True) -> bytes:
    """The same flight as ArduCopter of 2014 logs it: IMU at 50 Hz, barometer and CTUN at 10 Hz."""
    noise = np.random.default_rng(seed)
    log = Dataflash({
        "IMU": (131, "Iffffff", "TimeMS,GyrX,GyrY,GyrZ,AccX,AccY,AccZ"),
        "BARO": (132, "Iffc", "TimeMS,Alt,Press,Temp"),
        "CTUN": (4, "Ihhhffecchh", "TimeMS,ThrIn,AngBst,ThrOut,DAlt,Alt,BarAlt,DSAlt,SAlt,DCRt,CRt"),
        "EV": (13, "B", "Id"),
        "MSG": (134, "Z", "Message"),
    })  # fmt: skip
    log.add("MSG", b"ArduCopter V3.3-dev (12345678)")
    log.add("MSG", b"Frame: QUAD")
    height = 0.0
    for i in range(int(seconds * 50)):
        t_s, now = i / 50, 20_000 + i * 20
        down = vertical_speed(t_s)
        height -= down / 50
        log.add("IMU", now, *noise.normal(0, 0.01, 3), *noise.normal((0, 0, -GRAVITY), 0.1))
        if i % 5 == 0:
            log.add("BARO", now, height, 95000.0, 2150)
            throttle = 450 if t_s >= 2 else 0
            log.add("CTUN", now, 0, 0, throttle, 0, height, round(height * 100), 0, 0, 0, round(-down * 100))
        if events and i in (100, 150):
            log.add("EV", 10 if i == 100 else 28)
    return bytes(log.data)


class Tlog:
    """Writes records through pymavlink; one link for each system."""

    def __init__(self, version: int = 2) -> None:
        from pymavlink.dialects.v20 import ardupilotmega

        self.mavlink = ardupilotmega
        self.version = version
        self.links: dict[tuple[int, int], Any] = {}
        self.data = bytearray()

    def link(self, system: int, component: int = 1) -> Any:
        if (system, component) not in self.links:
            self.links[system, component] = self.mavlink.MAVLink(None, system, component)
        return self.links[system, component]

    def send(self, received_us: int, name: str, *fields: Any, system: int = 1, component: int = 1) -> None:
        message = getattr(self.mavlink, f"MAVLink_{name}_message")(*fields)
        frame = message.pack(self.link(system, component), force_mavlink1=self.version == 1)
        self.data += struct.pack(">Q", received_us) + frame


RECEIVED_US = 1_600_000_000_000_000


def small_tlog(
    seconds: float = 16.0, *, version: int = 2, systems: Sequence[int] = (1,), boots: Iterable[int] = (START_US,)
) -> bytes:
    """PX4's ONBOARD stream: HIGHRES_IMU at 50 Hz, LOCAL_POSITION_NED, EXTENDED_SYS_STATE, HEARTBEAT; and a GCS."""
    log, noise = Tlog(version), np.random.default_rng(3)
    received = RECEIVED_US
    for boot_us in boots:
        height = 0.0
        for i in range(int(seconds * 50)):
            t_s, now = i / 50, boot_us + i * 20_000
            received += 20_000
            down = vertical_speed(t_s)
            height -= down / 50
            for system in systems:
                accel, gyro = noise.normal((0, 0, -GRAVITY), 0.1), noise.normal(0, 0.01, 3)
                fields = (now, *accel, *gyro, 0.2, 0.0, 0.4, 950.0, 0.0, 500.0 + height, 30.0, 0x1FFF)
                log.send(received, "highres_imu", *fields, system=system)
                if i % 5 == 0:
                    log.send(received, "local_position_ned", now // 1000, 0, 0, -height, 0, 0, down, system=system)
                if i % 50 == 0:
                    log.send(received, "heartbeat", 2, 12, 128 if t_s >= 2 else 0, 0, 4, 3, system=system)
                    log.send(received, "extended_sys_state", 0, 1 if t_s < 3 else 2, system=system)
            if i % 50 == 0:
                log.send(received, "heartbeat", 6, 8, 0, 0, 0, 3, system=255, component=190)
    return bytes(log.data)


def write_ulog2csv(folder: Path) -> Path:
    """A flight as ulog2csv of 2016 exports it: the barometer repeats in every row."""
    axes = [f"{name}[{i}]" for name in ("gyro_rad", "accelerometer_m_s2") for i in range(3)]
    sensors = [f"{10_000_000 + i * 4000},0,0,0,0,0,-9.8,{-(i % 10) * 4000},{100 + i // 10}" for i in range(1000)]
    for topic, lines in {
        "sensor_combined": [f"timestamp,{','.join(axes)},baro_timestamp_relative,baro_alt_meter", *sensors],
        "vehicle_local_position": [
            "timestamp,vz,v_z_valid", *(f"{10_000_000 + i * 100_000},-2.5,{int(i > 2)}" for i in range(40))
        ],
        "vehicle_status": ["timestamp,arming_state,system_type", "9000000,2,2"],
    }.items():  # fmt: skip
        (folder / f"12_00_00_{topic}_0.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return folder / "12_00_00_sensor_combined_0.csv"
