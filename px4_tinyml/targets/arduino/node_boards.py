"""Boards that `generate arduino` knows."""

from __future__ import annotations

from dataclasses import dataclass

from px4_tinyml.errors import SpecError


@dataclass(frozen=True)
class NodeBoard:
    """A board of a sketch. macro: in src/BoardConfig.hpp. libraries: of the Library Manager, "name (version)".

    imu_hz: rate of its slowest IMU.
    """

    macro: str
    imu_hz: int
    title: str
    fqbn: str
    platform: str
    libraries: tuple[str, ...]


NODE_BOARDS = {
    "nano33ble-rev1": NodeBoard(
        "NODE_BOARD_NANO33BLE_REV1", 238, "Arduino Nano 33 BLE Sense (Rev1: LSM9DS1, LPS22HB)",
        "arduino:mbed_nano:nano33ble", "arduino:mbed_nano (4.6.0)", (),
    ),
    "nano33ble-rev2": NodeBoard(
        "NODE_BOARD_NANO33BLE_REV2", 200, "Arduino Nano 33 BLE Sense Rev2 (BMI270, LPS22HB)",
        "arduino:mbed_nano:nano33ble", "arduino:mbed_nano (4.6.0)", ("Arduino_BMI270_BMM150 (1.2.3)",),
    ),
    "generic": NodeBoard(
        "NODE_BOARD_GENERIC", 200, "any board with an MPU-6050 or ICM-20948 and a BMP280 on I²C", "", "", (),
    ),
}  # fmt: skip
DEFAULT_BOARD = "nano33ble-rev1"


def node_board(name: str) -> NodeBoard:
    """By name; raises SpecError that lists the known ones."""
    if name not in NODE_BOARDS:
        raise SpecError(f"--board {name}: a sketch is for one of {', '.join(NODE_BOARDS)}")
    return NODE_BOARDS[name]
