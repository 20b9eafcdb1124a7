"""Attitude from roll, pitch and yaw, rad: body FRD to NED."""

from __future__ import annotations

import math


def body_to_ned(roll: float, pitch: float, yaw: float) -> tuple[float, ...]:
    """Rotation matrix, row by row."""
    cr, sr, cp, sp, cy, sy = (
        math.cos(roll), math.sin(roll), math.cos(pitch), math.sin(pitch), math.cos(yaw), math.sin(yaw),
    )  # fmt: skip
    return (
        cp * cy, sr * sp * cy - cr * sy, cr * sp * cy + sr * sy,
        cp * sy, sr * sp * sy + cr * cy, cr * sp * sy - sr * cy,
        -sp, sr * cp, cr * cp,
    )  # fmt: skip


def quaternion(roll: float, pitch: float, yaw: float) -> tuple[float, float, float, float]:
    """Unit quaternion [w, x, y, z]."""
    cr, cp, cy = (math.cos(0.5 * a) for a in (roll, pitch, yaw))
    sr, sp, sy = (math.sin(0.5 * a) for a in (roll, pitch, yaw))
    return (
        cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy,
    )  # fmt: skip


def wrapped(angle: float) -> float:
    """The angle within ±π."""
    return math.remainder(angle, 2.0 * math.pi)
