"""Step 3 of a `bands` spec: int16 slots to log energies by frequency band, in integers (docs/signal_path.md).

An FFT of 128 slots with a Hann window, scaled by ½ in each of its seven stages, so that nothing overflows int32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.flight_log import F32, I64
from px4_tinyml.signal.spec import FFT_SLOTS, PipelineSpec
from px4_tinyml.signal.spec_tables import BandsSpec
from px4_tinyml.units import RAD_PER_DEG

I16 = NDArray[np.int16]

SLOT_LIMIT = 16383
"""Slot means are clipped to ± so many steps: 64 m/s² and 8 rad/s (458 °/s) at the default scales."""
STAGES = 7
HANN_Q14 = np.rint(16384 * 0.5 * (1.0 - np.cos(2.0 * np.pi * np.arange(FFT_SLOTS) / FFT_SLOTS))).astype(np.int64)
ENERGY_PER_STEP2 = 2.0**14 * FFT_SLOTS * float((HANN_Q14 / 16384.0) @ (HANN_Q14 / 16384.0))
"""An energy is RMS² in steps² times this."""
LOG2_CURVE = 22525
"""log2(1 + f) is near f + 0.3437·f·(1 − f): error below 0.008."""
PAIRS = ((0, 1), (3, 4), (2, 5))
"""Channels that share a complex FFT: ax and ay, gx and gy, az and gz."""


def slot_steps(imu: F32, bands: BandsSpec) -> I16:
    """Slot means [.., 6] (m/s², rad/s) to int16 steps, halves rounded to even, clipped to ±SLOT_LIMIT."""
    per_unit = np.array([bands.accel_per_unit] * 3 + [bands.gyro_per_unit] * 3, np.float32)
    return np.asarray(np.clip(np.rint(imu * per_unit), -SLOT_LIMIT, SLOT_LIMIT), np.int16)


def _twiddles(size: int) -> tuple[I64, I64]:
    """cos and −sin of the first half of `size` steps of a turn, Q31."""
    angle = 2.0 * np.pi * np.arange(size // 2) / size
    return (
        np.rint(np.cos(angle) * 2.0**31).astype(np.int64),
        np.rint(-np.sin(angle) * 2.0**31).astype(np.int64),
    )


def fft128(re: I64, im: I64) -> tuple[I64, I64]:
    """Complex FFT over the last axis, divided by 128: radix 2, decimation in frequency, natural order.

    Each stage: (a + b) >> 1 and ((a − b)·w) >> 32 with w in Q31; the factors 1 and −j are exact ((a − b) >> 1).
    """
    shape, size = re.shape, FFT_SLOTS
    while size > 1:
        half = size // 2
        a_re, b_re = np.split(re.reshape(*shape[:-1], FFT_SLOTS // size, size), 2, axis=-1)
        a_im, b_im = np.split(im.reshape(*shape[:-1], FFT_SLOTS // size, size), 2, axis=-1)
        d_re, d_im = a_re - b_re, a_im - b_im
        w_re, w_im = _twiddles(size)
        # 1 and −j: 2³¹ times a difference, shifted by 32, is the difference shifted by 1.
        t_re, t_im = (d_re * w_re - d_im * w_im) >> 32, (d_re * w_im + d_im * w_re) >> 32
        re = np.concatenate([(a_re + b_re) >> 1, t_re], axis=-1).reshape(shape)
        im = np.concatenate([(a_im + b_im) >> 1, t_im], axis=-1).reshape(shape)
        size = half
    order = np.array([int(f"{k:07b}"[::-1], 2) for k in range(FFT_SLOTS)])
    return re[..., order], im[..., order]


def energies(steps: I16, spec: PipelineSpec) -> I64:
    """Windows of int16 steps [W,128,6] to energies [W, group, band]: a_xy, a_z, g_xy, g_z."""
    x = steps.astype(np.int64).transpose(0, 2, 1)
    x = (x - ((x.sum(axis=-1, keepdims=True) + FFT_SLOTS // 2) >> STAGES)) * HANN_Q14
    first, second = zip(*PAIRS, strict=True)
    re, im = fft128(x[:, list(first)], x[:, list(second)])
    bins = [np.arange(*_bin_range(edges, spec.rate_hz)) for edges in spec.bands.edges_hz]
    mirrored = -np.arange(FFT_SLOTS) % FFT_SLOTS
    re_m, im_m = re[..., mirrored], im[..., mirrored]
    both = re**2 + im**2 + re_m**2 + im_m**2
    a_z = ((re[:, 2] + re_m[:, 2]) ** 2 + (im[:, 2] - im_m[:, 2]) ** 2) >> 1
    g_z = ((re[:, 2] - re_m[:, 2]) ** 2 + (im[:, 2] + im_m[:, 2]) ** 2) >> 1
    groups = np.stack([both[:, 0], a_z, both[:, 1], g_z], axis=1)
    return np.stack([groups[..., b].sum(axis=-1) for b in bins], axis=-1)


def _bin_range(edges_hz: tuple[float, float], rate_hz: int) -> tuple[int, int]:
    """First bin of a band and the first one beyond it."""
    low, high = (int(np.ceil(edge * FFT_SLOTS / rate_hz - 1e-9)) for edge in edges_hz)
    return low, high


def energy_of(rms: float, per_unit: int) -> int:
    """The energy of an RMS in m/s² or rad/s."""
    return int((rms * per_unit) ** 2 * ENERGY_PER_STEP2)


def log2_q8(value: I64) -> I64:
    """log2 of integers from 1, in 1/256, rounded down."""
    whole = np.zeros_like(value)
    for shift in (32, 16, 8, 4, 2, 1):
        whole += np.where(value >> (whole + shift) > 0, shift, 0)
    fraction = np.where(whole >= 16, value >> np.maximum(whole - 16, 0), value << np.maximum(16 - whole, 0)) - 65536
    curve = (((fraction * (65536 - fraction)) >> 16) * LOG2_CURVE) >> 16
    return np.asarray((whole << 8) + ((fraction + curve) >> 8), np.int64)


def log_energies(energy: I64, spec: PipelineSpec) -> F32:
    """Energies [W, group, band] to features [W, group·band]: log2(energy + floor), exact multiples of 1/256."""
    bands = spec.bands
    accel, gyro = energy_of(bands.floor_m_s2, bands.accel_per_unit), energy_of(bands.floor_rad_s, bands.gyro_per_unit)
    floor = np.array([accel, accel, gyro, gyro], np.int64)[:, None]
    return np.asarray(
        (log2_q8(energy + floor) / 256.0).reshape(len(energy), energy.shape[1] * energy.shape[2]), np.float32
    )


def manoeuvring(steps: I16, energy: I64, spec: PipelineSpec) -> NDArray[np.bool_]:
    """Whether the vehicle was flown too hard for the air to be judged. steps[W, 128, 6], energy[W, group, band]."""
    limits, bands = spec.limits, spec.bands
    a_xy, slow = energy[:, 0, :4].sum(axis=-1), energy[:, :, :2].sum(axis=-1)

    def turns(group: int, deg_s: float) -> NDArray[np.bool_]:
        return np.asarray(slow[:, group] > energy_of(deg_s * RAD_PER_DEG, bands.gyro_per_unit))

    turning = turns(2, limits.turning_deg_s) | turns(3, limits.turning_deg_s)
    weakest = -round(limits.least_a_z_m_s2 * bands.accel_per_unit * FFT_SLOTS)
    return np.asarray(
        turns(2, limits.g_xy_deg_s)
        | turns(3, limits.g_z_deg_s)
        | (slow[:, 1] > energy_of(limits.a_z_m_s2, bands.accel_per_unit))
        | ((a_xy > energy_of(limits.a_xy_m_s2, bands.accel_per_unit)) & turning)
        | (steps[:, :, 2].sum(axis=1, dtype=np.int64) > weakest)
    )
