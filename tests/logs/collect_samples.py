"""Writers of small logs, independent of the package's own code: struct and pymavlink only."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

START_US = 5_000_000
GRAVITY = 9.80665

SENSOR_COMBINED = (
    "uint64_t timestamp;float[3] gyro_rad;uint32_t gyro_integral_dt;int32_t accelerometer_timestamp_relative;"
    "float[3] accelerometer_m_s2;uint32_t accelerometer_integral_dt;uint8_t accelerometer_clipping;"
    "uint8_t[3] _padding0;"
)
AIR_DATA = "uint64_t timestamp;uint64_t timestamp_sample;float baro_alt_meter;uint8_t[4] _padding0;"
LOCAL_POSITION = (
    "uint64_t timestamp;uint64_t timestamp_sample;float z;float vz;float delta_z;float delta_vz;bool v_z_valid;"
    "uint8_t z_reset_counter;uint8_t vz_reset_counter;uint8_t[5] _padding0;"
)
LAND_DETECTED = "uint64_t timestamp;bool freefall;bool landed;uint8_t[6] _padding0;"
STATUS = "uint64_t timestamp;uint8_t arming_state;uint8_t system_type;uint8_t[6] _padding0;"
TRUTH = (
    "uint64_t timestamp;uint64_t timestamp_sample;float edr;float w20_m_s;float wind_speed_m_s;float height_m;"
    "float sigma_u;float sigma_v;float sigma_w;float length_u;float length_v;float length_w;float gust_n;float gust_e;"
    "float gust_d;"
)


def ulog_message(kind: str, body: bytes) -> bytes:
    return struct.pack("<HB", len(body), ord(kind)) + body


def ulog_info(key: str, value: bytes, kind: str = "I") -> bytes:
    return ulog_message(kind, bytes([len(key)]) + key.encode() + value)


class Ulog:
    """Collects messages; `bytes` gives the file."""

    def __init__(self, appended: bool = False) -> None:
        self.parts = [b"ULog\x01\x12\x35\x01" + struct.pack("<Q", 0)]
        self.parts.append(ulog_message("B", bytes(40)))
        self.ids: dict[str, int] = {}

    def info(self, name: str, text: str) -> None:
        self.parts.append(ulog_info(f"char[{len(text)}] {name}", text.encode()))

    def parameter(self, name: str, value: int) -> None:
        self.parts.append(ulog_info(f"int32_t {name}", struct.pack("<i", value), "P"))

    def format(self, name: str, fields: str) -> None:
        self.parts.append(ulog_message("F", f"{name}:{fields}".encode()))

    def subscribe(self, name: str, multi_id: int = 0) -> None:
        self.ids[name] = len(self.ids)
        self.parts.append(ulog_message("A", struct.pack("<BH", multi_id, self.ids[name]) + name.encode()))

    def data(self, name: str, layout: str, *values: Any) -> None:
        self.parts.append(ulog_message("D", struct.pack("<H", self.ids[name]) + struct.pack(f"<{layout}", *values)))

    def dropout(self, duration_ms: int) -> None:
        self.parts.append(ulog_message("O", struct.pack("<H", duration_ms)))

    def bytes(self) -> bytes:
        return b"".join(self.parts)


def vertical_speed(t_s: float) -> float:
    """Down, m/s: on the ground 3 s, climb 1.5 m/s for 5 s, level 4 s, descend 1 m/s."""
    return 0.0 if t_s < 3 else -1.5 if t_s < 8 else 0.0 if t_s < 12 else 1.0


def small_ulog(seconds: float = 16.0, *, truth: bool = False, imu: bool = True, seed: int = 1) -> bytes:
    """A flight at 200 Hz with 20 Hz barometer, 10 Hz local position and 1 Hz land detector."""
    log, noise = Ulog(), np.random.default_rng(seed)
    log.info("sys_name", "PX4")
    log.info("ver_hw", "PX4_FMU_V6C")
    if truth:
        log.info("sim_airframe", "450")
    log.parameter("SYS_AUTOSTART", 4001)
    log.parameter("MAV_TYPE", 2)
    formats = {
        "sensor_combined": SENSOR_COMBINED, "vehicle_air_data": AIR_DATA, "vehicle_local_position": LOCAL_POSITION,
        "vehicle_land_detected": LAND_DETECTED, "vehicle_status": STATUS, "turbulence_truth": TRUTH,
    }  # fmt: skip
    for name, fields in formats.items():
        log.format(name, fields)
    for name in formats:
        log.subscribe(name)
    height = 0.0
    for i in range(int(seconds * 200)):
        t_s = i / 200
        now = START_US + i * 5000
        down = vertical_speed(t_s)
        height -= down / 200
        if i % 200 == 0:
            log.data("vehicle_land_detected", "QBB", now + 100, 0, int(t_s < 3))
            log.data("vehicle_status", "QBB", now + 100, 2 if t_s >= 2 else 1, 2)
            if truth:
                edr = 0.05 if t_s < 8 else 0.3
                log.data("turbulence_truth", "QQ13f", now, now, edr, 5.0, 4.0 + (t_s >= 8), *[1.0] * 10)
        if imu:
            gyro, accel = noise.normal(0, 0.01, 3), noise.normal((0, 0, -GRAVITY), 0.1)
            log.data("sensor_combined", "Q3fIi3fIB", now, *gyro, 5000, 0, *accel, 5000, 0)
        if i % 10 == 0:
            log.data("vehicle_air_data", "QQf", now + 900, now + 400, 100.0 + height)
        if i % 20 == 0:
            log.data("vehicle_local_position", "QQ4f3B", now + 700, now + 300, -height, down, 0, 0, 1, 0, 0)
    return log.bytes()


DATAFLASH_FORMATS = {
    "IMU": (131, "Iffffff", "TimeMS,GyrX,GyrY,GyrZ,AccX,AccY,AccZ", "I6f"),
    "BARO": (132, "Iffc", "TimeMS,Alt,Press,Temp", "Iffh"),
    "CTUN": (4, "Ihhhffecchh", "TimeMS,ThrIn,AngBst,ThrOut,DAlt,Alt,BarAlt,DSAlt,SAlt,DCRt,CRt", "IhhhffihhHh"),
    "EV": (13, "B", "Id", "B"),
    "MSG": (134, "Z", "Message", "64s"),
}


def dataflash_message(kind: int, body: bytes) -> bytes:
    return b"\xa3\x95" + bytes([kind]) + body


def dataflash_format(name: str, kind: int, characters: str, columns: str, layout: str) -> bytes:
    length = struct.calcsize(f"<{layout}") + 3
    body = struct.pack("<BB4s16s64s", kind, length, name.encode(), characters.encode(), columns.encode())
    return dataflash_message(128, body)


def small_dataflash(seconds: float = 16.0, seed: int = 2, events: bool = True) -> bytes:
    """The same flight as ArduCopter of 2014 logs it: IMU at 50 Hz, barometer and CTUN at 10 Hz."""
    noise = np.random.default_rng(seed)
    parts = [dataflash_format("FMT", 128, "BBnNZ", "Type,Length,Name,Format,Columns", "86s")]
    parts += [dataflash_format(name, *spec) for name, spec in DATAFLASH_FORMATS.items()]

    def add(name: str, *values: Any) -> None:
        kind, _, _, layout = DATAFLASH_FORMATS[name]
        parts.append(dataflash_message(kind, struct.pack(f"<{layout}", *values)))

    add("MSG", b"ArduCopter V3.3-dev (12345678)")
    add("MSG", b"Frame: QUAD")
    height = 0.0
    for i in range(int(seconds * 50)):
        t_s, now = i / 50, 20_000 + i * 20
        down = vertical_speed(t_s)
        height -= down / 50
        add("IMU", now, *noise.normal(0, 0.01, 3), *noise.normal((0, 0, -GRAVITY), 0.1))
        if i % 5 == 0:
            add("BARO", now, height, 95000.0, 2150)
            throttle = 450 if t_s >= 2 else 0
            add("CTUN", now, 0, 0, throttle, 0, height, round(height * 100), 0, 0, 0, round(-down * 100))
        if events and i == 100:
            add("EV", 10)
        if events and i == 150:
            add("EV", 28)
    return b"".join(parts)


class Tlog:
    """Writes records through pymavlink; one link for each system."""

    def __init__(self, version: int = 2) -> None:
        from pymavlink.dialects.v20 import ardupilotmega

        self.mavlink = ardupilotmega
        self.version = version
        self.links: dict[tuple[int, int], Any] = {}
        self.records: list[bytes] = []

    def link(self, system: int, component: int = 1) -> Any:
        if (system, component) not in self.links:
            link = self.mavlink.MAVLink(io.BytesIO(), srcSystem=system, srcComponent=component)
            self.links[system, component] = link
        return self.links[system, component]

    def send(self, received_us: int, message: Any, system: int = 1, component: int = 1) -> None:
        frame = message.pack(self.link(system, component), force_mavlink1=self.version == 1)
        self.records.append(struct.pack(">Q", received_us) + frame)

    def bytes(self) -> bytes:
        return b"".join(self.records)


RECEIVED_US = 1_600_000_000_000_000


def small_tlog(
    seconds: float = 16.0, *, version: int = 2, systems: Sequence[int] = (1,), boots: Iterable[int] = (START_US,)
) -> bytes:
    """PX4's ONBOARD stream: HIGHRES_IMU at 50 Hz, LOCAL_POSITION_NED, EXTENDED_SYS_STATE, HEARTBEAT; and a GCS."""
    log, noise = Tlog(version), np.random.default_rng(3)
    m = log.mavlink
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
                log.send(received, m.MAVLink_highres_imu_message(*fields), system)
                if i % 5 == 0:
                    position = m.MAVLink_local_position_ned_message(now // 1000, 0, 0, -height, 0, 0, down)
                    log.send(received, position, system)
                if i % 50 == 0:
                    log.send(received, m.MAVLink_heartbeat_message(2, 12, 128 if t_s >= 2 else 0, 0, 4, 3), system)
                    log.send(received, m.MAVLink_extended_sys_state_message(0, 1 if t_s < 3 else 2), system)
            if i % 50 == 0:
                log.send(received, m.MAVLink_heartbeat_message(6, 8, 0, 0, 0, 3), 255, 190)
    return log.bytes()


SENSOR_HEADER = (
    "timestamp,gyro_rad[0],gyro_rad[1],gyro_rad[2],accelerometer_m_s2[0],accelerometer_m_s2[1],accelerometer_m_s2[2],"
    "baro_timestamp_relative,baro_alt_meter"
)


def write_ulog2csv(folder: Path) -> Path:
    """A flight as ulog2csv of 2016 exports it: the barometer repeats in every row."""
    path = folder / "12_00_00_sensor_combined_0.csv"
    rows = [f"{10_000_000 + i * 4000},0,0,0,0,0,-9.8,{-(i % 10) * 4000},{100 + i // 10}" for i in range(1000)]
    path.write_text("\n".join([SENSOR_HEADER, *rows, ""]), encoding="utf-8")
    rows = [f"{10_000_000 + i * 100_000},{-2.5},{int(i > 2)}" for i in range(40)]
    (folder / "12_00_00_vehicle_local_position_0.csv").write_text(
        "\n".join(["timestamp,vz,v_z_valid", *rows, ""]), encoding="utf-8"
    )
    (folder / "12_00_00_vehicle_status_0.csv").write_text(
        "timestamp,arming_state,system_type\n9000000,2,2\n", encoding="utf-8"
    )
    return path
