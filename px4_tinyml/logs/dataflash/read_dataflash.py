"""ArduPilot dataflash → FlightLog. IMU is FRD in m/s² and rad/s already; climb rates are cm/s up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.errors import UnusableLogError
from px4_tinyml.flight_log import FlightLog, VehicleClass
from px4_tinyml.logs.checks import baro_series, imu_series, last_of, one_letter_off
from px4_tinyml.logs.dataflash.dataflash_file import HEAD, DataflashFile, Messages
from px4_tinyml.logs.reference import Signal, Velocity, reference_series

WANTED = ("IMU", "BARO", "XKF1", "NKF1", "CTUN", "EKF1", "EV", "STAT", "ARM", "GPS")
IMU_COLUMNS = ("AccX", "AccY", "AccZ", "GyrX", "GyrY", "GyrZ")

# LogEvent of ArduCopter (libraries/AP_Logger/LogStructure.h)
EVENT_ARMED, EVENT_DISARMED = 10, 11
EVENT_LAND_COMPLETE, EVENT_NOT_LANDED = 18, 28
AIRBORNE_EVENTS = {EVENT_ARMED: -1, EVENT_DISARMED: 0, EVENT_LAND_COMPLETE: 0, EVENT_NOT_LANDED: 1}

MOTORS_ON_THROTTLE = 0.1
GPS_STATUS_3D = 3

COPTER_NO_MULTIROTOR = {6, 8, 9, 10, 11, 13}
"""FRAME_CLASS of ArduCopter: helicopters, single and coaxial copters, bicopters."""


def is_dataflash(head: bytes) -> bool:
    """Whether a file starts like a dataflash log."""
    return head.startswith(HEAD)


def read_dataflash(path: Path, data: bytes, sha256: str) -> list[FlightLog]:
    """The recording of a .bin. Raises LogError when it has no usable IMU messages."""
    return [flight_log(DataflashFile.read(data, str(path)), str(path), sha256)]


def flight_log(log: DataflashFile, source: str, sha256: str) -> FlightLog:
    """Turn a walked dataflash log into a FlightLog."""
    warnings: list[str] = []
    facts: dict[str, Any] = {
        "firmware": _firmware(log),
        "simulated": any("SITL" in text for text in log.texts("MSG", "Message")),
        "topics": log.counts(),
    }
    imu_messages = _first_instance(log, "IMU", IMU_COLUMNS, warnings)
    if imu_messages is None:
        why = f"no IMU messages in this dataflash log{last_of(warnings)}: set LOG_BITMASK to log the IMU"
        raise UnusableLogError(source, "dataflash", why, facts, [*log.damage, *warnings])
    values = np.stack([imu_messages[c] for c in IMU_COLUMNS], axis=1)
    imu, gaps = imu_series(_time_us(imu_messages), values[:, :3], values[:, 3:], warnings)
    if not len(imu):
        why = "its IMU messages hold no valid sample"
        raise UnusableLogError(source, "dataflash", why, facts, [*log.damage, *warnings])
    baro_messages = _first_instance(log, "BARO", ("Alt",), warnings)
    baro = None
    if baro_messages is not None:
        baro = baro_series(_time_us(baro_messages), baro_messages["Alt"], warnings)
    velocity = _velocity(log, warnings)
    held = _held(log, warnings)
    base = Signal(imu_messages.offset[::5], _time_us(imu_messages)[::5])
    reference = reference_series(velocity, base, baro, held, warnings)
    return FlightLog(
        source=source,
        sha256=sha256,
        kind="dataflash",
        vehicle=_vehicle(log),
        vehicle_class=_vehicle_class(log),
        imu=imu,
        baro=baro,
        reference=reference,
        gaps=gaps,
        warnings=(*log.damage, *warnings),
        info={
            **facts,
            "imu_source": "IMU",
            "baro_source": "BARO" if baro else None,
            "velocity_source": velocity.source if velocity else None,
        },
    )


def _time_us(messages: Messages) -> NDArray[np.uint64]:
    """Sample time: TimeUS, or TimeMS before 2015."""
    if messages.has("TimeUS"):
        return np.asarray(np.maximum(messages.rows["TimeUS"], 0), dtype=np.uint64)
    return np.asarray(np.maximum(messages.rows["TimeMS"], 0), dtype=np.uint64) * np.uint64(1000)


def _messages(log: DataflashFile, name: str, columns: tuple[str, ...], warnings: list[str]) -> Messages | None:
    """Messages of a name that have these columns. Warns about names and columns that damage may have changed."""
    found = log.messages(name)
    if found is None:
        named = {
            f.name: f.columns for f in log.formats.values() if f.name not in WANTED and set(columns) <= set(f.columns)
        }
        damaged = one_letter_off(name, named)
        if damaged is not None:
            warnings.append(f"message {damaged} looks like a damaged {name}: not read")
        return None
    missing = [c for c in columns if not found.has(c)]
    if missing:
        warnings.append(f"message {name} has no numeric column {missing[0]}: not used")
        return None
    return found


def _first_instance(log: DataflashFile, name: str, columns: tuple[str, ...], warnings: list[str]) -> Messages | None:
    """Messages of the first sensor of a kind ("I", or core "C" of the EKF, is 0), with these columns and a time."""
    found = _messages(log, name, columns, warnings)
    if found is None:
        return None
    if not (found.has("TimeUS") or found.has("TimeMS")):
        warnings.append(f"message {name} has no numeric column TimeUS: not used")
        return None
    for instance in ("I", "C"):
        if found.has(instance):
            return found.where(found.rows[instance] == 0)
    if len(found.format.columns[1]) == 1:
        warnings.append(f"column {found.format.columns[1]} of message {name} looks like a damaged instance number")
    return found


def _firmware(log: DataflashFile) -> str:
    texts = log.texts("MSG", "Message")
    version = next((t for t in texts if re.match(r"(APM:|Ardu)\w+ V?\d", t)), None)
    return version.removeprefix("APM:") if version else "ArduPilot, version unknown"


def _vehicle(log: DataflashFile) -> str:
    """Firmware kind and frame: "ArduCopter QUAD"."""
    kind = _firmware_kind(log)
    frames = [t.removeprefix("Frame: ") for t in log.texts("MSG", "Message") if t.startswith("Frame: ")]
    if frames:
        return f"{kind} {frames[0]}"
    values = _parameters(log)
    for name in ("FRAME_CLASS", "FRAME"):
        if name in values:
            return f"{kind} frame {values[name]:.0f}"
    return kind


def _vehicle_class(log: DataflashFile) -> VehicleClass:
    """By the firmware; a copter's by its frame too, a plane's by Q_ENABLE."""
    kind, values = _firmware_kind(log), _parameters(log)
    if kind in ("ArduCopter", "Copter"):
        heli = any(t.startswith("Frame: HELI") for t in log.texts("MSG", "Message"))
        return "other" if heli or values.get("FRAME_CLASS") in COPTER_NO_MULTIROTOR else "multirotor"
    if kind in ("ArduPlane", "Plane"):
        return "vtol" if values.get("Q_ENABLE", 0) > 0 else "fixed_wing"
    return "unknown" if kind == "ArduPilot" else "other"


def _firmware_kind(log: DataflashFile) -> str:
    """ "ArduCopter"; "ArduPilot" where it is unknown."""
    return _firmware(log).split(",")[0].split(" ")[0]


def _parameters(log: DataflashFile) -> dict[str, float]:
    """The newest value of each parameter."""
    parameters = log.messages("PARM")
    if parameters is None or not parameters.has("Value"):
        return {}
    return dict(zip(log.texts("PARM", "Name"), parameters["Value"].tolist(), strict=False))


def _velocity(log: DataflashFile, warnings: list[str]) -> Velocity | None:
    """Vertical speed used in flight: that of the EKF since 2015, before that of the altitude controller.

    The EKF1 of 2014 ran beside the old inertial navigation and often diverged unnoticed: it is the last choice.
    """
    for name, column in (("XKF1", "VD"), ("NKF1", "VD"), ("CTUN", "CRt"), ("EKF1", "VD")):
        messages = log.messages(name)
        if name == "CTUN" and messages is not None and "NavRoll" in messages.format.columns:
            continue  # ArduPlane's, which has no climb rate
        messages = _first_instance(log, name, (column,), warnings)
        if messages is not None:
            down = -messages["CRt"] / 100.0 if column == "CRt" else messages["VD"]  # CRt: cm/s, up positive
            gps = _gps(log, warnings)
            return Velocity(f"{name}.{column}", _time_us(messages), down, messages.offset, gps=gps)
    return None


def _gps(log: DataflashFile, warnings: list[str]) -> Signal | None:
    """Vertical speed (down, m/s) of the first GPS receiver where it has a 3D fix.

    Before 2015 TimeMS is the time of the GPS week, and T the time since boot (ms).
    """
    messages = _first_instance(log, "GPS", ("Status", "VZ"), warnings)
    if messages is None:
        return None
    messages = messages.where(messages["Status"] >= GPS_STATUS_3D)
    if messages.has("T") and not messages.has("TimeUS"):
        return Signal(messages.rows["T"].astype(np.uint64) * np.uint64(1000), messages["VZ"])
    return Signal(_time_us(messages), messages["VZ"])


def _held(log: DataflashFile, warnings: list[str]) -> dict[str, Signal]:
    """Airborne and armed: from events, else from STAT and ARM, else armed is motors on."""
    held = {}
    events = _messages(log, "EV", ("Id",), warnings)
    if events is not None:
        ids = events.rows["Id"].astype(int)
        if np.isin(ids, (EVENT_LAND_COMPLETE, EVENT_NOT_LANDED)).any():
            held["airborne"] = _states(events, ids, AIRBORNE_EVENTS)
        if np.isin(ids, (EVENT_ARMED, EVENT_DISARMED)).any():
            held["armed"] = _states(events, ids, {EVENT_ARMED: 1, EVENT_DISARMED: 0})
    for key, name, column in (("airborne", "STAT", "isFlying"), ("armed", "ARM", "ArmState")):
        messages = None if key in held else _messages(log, name, (column,), warnings)
        if messages is not None:
            held[key] = Signal(messages.offset, (messages.rows[column] > 0).astype(np.int8))
    tuning = log.messages("CTUN")
    throttles = [c for c in ("ThO", "ThrOut") if tuning is not None and tuning.has(c)]
    if not held and tuning is not None and throttles:
        throttle = tuning[throttles[0]]
        if np.nanmax(throttle, initial=0.0) > 1.5:  # 0…1000 until Copter 3.3, 0…1 since
            throttle = throttle / 1000.0
        held["armed"] = Signal(tuning.offset, (throttle > MOTORS_ON_THROTTLE).astype(np.int8))
    return held


def _states(events: Messages, ids: NDArray[Any], meaning: dict[int, int]) -> Signal:
    """A state from the events that change it."""
    changes = np.isin(ids, list(meaning))
    values = np.array([meaning[event] for event in ids[changes].tolist()], dtype=np.int8)
    return Signal(events.offset[changes], values)
