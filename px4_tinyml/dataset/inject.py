"""Gusts of a known EDR injected into calm flights: examples of turbulence as a vehicle would have measured it.

An example is a window of a background plus the response of a multirotor to gusts (signal/responses.py), both
randomised, in physical units. Then it takes the signal path from step 3 on. The numbers are those with which a network
held best on real flights of vehicles it was not trained on (docs/training.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from px4_tinyml.dataset.backgrounds import COPIES, Piece, Slots
from px4_tinyml.errors import DatasetError
from px4_tinyml.flight_log import F32, F64, I64, Bool
from px4_tinyml.signal.energies import energies, manoeuvring, slot_steps
from px4_tinyml.signal.responses import ResponseLibrary
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.windows import features
from px4_tinyml.units import RAD_PER_DEG

BATCH = 1024
"""Examples that are computed at a time."""

CALM_SHARE, CALM_EXAMPLE_EDR = 0.35, 0.03
"""Share of examples with this EDR, m^⅔/s; the others are log-uniform in EDR_RANGE."""
EDR_RANGE = (0.05, 0.9)
BACKGROUND_GAIN = (0.35, 2.2)
"""Log-uniform factor on a background about its mean."""
SIMULATED_SHARE = 0.5
"""Share of simulated backgrounds with SIMULATED_GAIN, and share with COMPRESSION: their motion is too regular."""
SIMULATED_GAIN = (0.1, 2.5)
COMPRESSION = (0.7, 2.0)
"""Uniform: slots of the background in one slot of the example."""
RESPONSE_GAIN_SIGMA = 0.4
"""Of the logarithm of the factor on a response, drawn apart for a_xy, a_z, g_xy and g_z: vehicles differ."""
TILT = (-0.2, 0.8)
"""Uniform exponent p: the response of the rates is filtered with f^p, 1 at 1 Hz. Controllers differ."""
TILT_LOWEST_HZ = 0.3
LOWPASS_SHARE, LOWPASS_HZ = 0.5, (3.5, 25.0)
"""Share of examples with a single-pole low-pass, as drivers and loggers have, and its log-uniform frequency."""
MOTION_SHARE = 0.4
"""Share of examples, by group, with slow motion that gusts did not cause: sticks and position hold."""
MOTION_HZ = (0.4, 2.0)
"""Log-uniform corner of its spectrum, which falls with f⁻² in amplitude above it."""
MOTION = ((0.02, 0.3), (0.02, 0.5), (1.0 * RAD_PER_DEG, 20.0 * RAD_PER_DEG), (1.0 * RAD_PER_DEG, 20.0 * RAD_PER_DEG))
"""Log-uniform RMS of a_xy, a_z, g_xy and g_z, each axis, m/s² and rad/s."""
NOISE_SHARE = 0.4
"""Share of examples with white noise: vibration that aliased. Log-uniform levels, m/s² and rad/s, of each slot."""
ACCEL_NOISE, GYRO_NOISE = (0.01, 2.0), (0.001, 0.04)
HORIZONTAL_NOISE_SIGMA = 1.0
"""Of the logarithm of the factor on the noise of the horizontal axes, drawn apart for both sensors."""

GROUPS = np.array([0, 0, 1, 2, 2, 3])
"""Group of each channel: a_xy, a_z, g_xy, g_z."""
UNIFORM_DRAWS, NORMAL_DRAWS = 30, 6


@dataclass(frozen=True)
class Responses:
    """A library at the rate of a spec. accel[N,3,T] in m/s²; spectra[N,3,T/2+1] of the rates in rad/s.

    tilt_ln[T/2+1]: ln of the frequency in Hz, limited. edr: of the library, m^⅔/s.
    """

    accel: F64
    spectra: NDArray[np.complex128]
    tilt_ln: F64
    edr: float
    slots: int

    @classmethod
    def of(cls, library: ResponseLibrary, spec: PipelineSpec) -> Responses:
        """Means over slots. Raises DatasetError for a library of another rate, or too short."""
        each, rest = divmod(library.rate_hz, spec.rate_hz)
        slots = library.samples.shape[1] // max(each, 1)
        if rest or not each or slots <= spec.window:
            raise DatasetError(
                f"gust responses of {library.rate_hz} Hz and {library.samples.shape[1]} samples: a multiple of "
                f"{spec.rate_hz} Hz and more than {spec.window} slots expected"
            )
        whole = library.samples[:, : slots * each].astype(np.float64)
        means = whole.reshape(len(whole), slots, each, 6).mean(axis=2).transpose(0, 2, 1)
        frequency = np.fft.rfftfreq(slots, 1 / spec.rate_hz)
        tilt_ln = np.log(np.maximum(frequency, TILT_LOWEST_HZ))
        return cls(means[:, :3], np.fft.rfft(means[:, 3:]), tilt_ln, library.edr, slots)

    def gusts(self, recipe: Recipe, window: int) -> F64:
        """What the gusts of each example add: [n,6,window]."""
        gain = np.exp(recipe.tilt[:, None] * self.tilt_ln)
        rates = np.fft.irfft(self.spectra[recipe.response] * gain[:, None], self.slots)
        first = (recipe.response_start * (self.slots - window)).astype(np.int64)
        at = (first[:, None] + np.arange(window))[:, None]
        response = np.concatenate(
            [np.take_along_axis(self.accel[recipe.response], at, 2), np.take_along_axis(rates, at, 2)], axis=1
        )
        scale = recipe.response_gain[:, GROUPS] * (recipe.edr / self.edr)[:, None]
        return response * scale[:, :, None]


@dataclass(frozen=True)
class Recipe:
    """What is drawn for n examples; every array has n rows.

    background, background_start, response_start: places in [0, 1). compression: slots of background per slot.
    response: row of the library. lowpass_hz: infinite for none. noise[n,6]: standard deviation by channel.
    """

    background: F64
    background_start: F64
    compression: F64
    background_gain: F64
    edr: F64
    response: I64
    response_start: F64
    response_gain: F64
    tilt: F64
    motion: F64
    motion_hz: F64
    lowpass_hz: F64
    noise: F64
    angle: F64

    def rows(self, first: int, end: int) -> Recipe:
        """Some of the examples."""
        return Recipe(*(getattr(self, f.name)[first:end] for f in fields(self)))


def generators(key: str, count: int) -> list[np.random.Generator]:
    """Generators that depend on a text only."""
    seed = int.from_bytes(hashlib.sha256(key.encode("utf-8", "backslashreplace")).digest(), "big")
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(count)]


def draw(key: str, count: int, simulated: bool, responses: Sequence[int]) -> Recipe:
    """Recipes by a text. The first ones are the same for every count. responses: rows of the library to draw from."""
    uniform, normal = generators(key, 2)
    u = iter(uniform.random((count, UNIFORM_DRAWS)).T)
    z = normal.standard_normal((count, NORMAL_DRAWS))
    background, background_start = next(u), next(u)
    compression = np.where(next(u) < SIMULATED_SHARE, _between(next(u), COMPRESSION), 1.0)
    extra = np.where(next(u) < SIMULATED_SHARE, _between(next(u), SIMULATED_GAIN), 1.0)
    gain = _log_between(next(u), BACKGROUND_GAIN)
    edr = np.where(next(u) < CALM_SHARE, CALM_EXAMPLE_EDR, _log_between(next(u), EDR_RANGE))
    response = np.array(responses)[(next(u) * len(responses)).astype(np.int64)]
    response_start, tilt = next(u), _between(next(u), TILT)
    lowpass_hz = np.where(next(u) < LOWPASS_SHARE, _log_between(next(u), LOWPASS_HZ), np.inf)
    noisy, accel, gyro = next(u) < NOISE_SHARE, _log_between(next(u), ACCEL_NOISE), _log_between(next(u), GYRO_NOISE)
    horizontal = np.exp(HORIZONTAL_NOISE_SIGMA * z[:, 4:])
    moving = np.stack([next(u) < MOTION_SHARE for _ in MOTION], axis=1)
    motion_hz = np.stack([_log_between(next(u), MOTION_HZ) for _ in MOTION], axis=1)
    motion = np.stack([_log_between(next(u), limits) for limits in MOTION], axis=1)
    levels = np.stack([accel * horizontal[:, 0], accel, gyro * horizontal[:, 1], gyro], axis=1)
    return Recipe(
        background=background,
        background_start=background_start,
        compression=compression if simulated else np.ones(count),
        background_gain=gain * extra if simulated else gain,
        edr=edr,
        response=response,
        response_start=response_start,
        response_gain=np.exp(RESPONSE_GAIN_SIGMA * z[:, :4]),
        tilt=tilt,
        motion=np.where(moving, motion, 0.0),
        motion_hz=motion_hz,
        lowpass_hz=lowpass_hz,
        noise=np.where(noisy[:, None], levels[:, GROUPS], 0.0),
        angle=_between(next(u), (0.0, 2.0 * np.pi)),
    )


def _between(u: F64, limits: tuple[float, float]) -> F64:
    return limits[0] + u * (limits[1] - limits[0])


def _log_between(u: F64, limits: tuple[float, float]) -> F64:
    return np.asarray(limits[0] * (limits[1] / limits[0]) ** u)


@dataclass(frozen=True)
class Pool:
    """The stretches of one vehicle in one part. slots: all of them, one after the other.

    first[K], length[K]: rows of each stretch; piece[K]: index into pieces; chance[K]: cumulative, of being drawn.
    """

    pieces: tuple[Piece, ...]
    slots: Slots
    first: I64
    length: I64
    piece: I64
    chance: F64

    @classmethod
    def of(cls, pieces: Sequence[Piece], window: int) -> Pool:
        """Pieces count by their calm time; the copies of a log by COPIES, stretches by their number of windows."""
        parts: list[Slots] = []
        number: list[int] = []
        weight: list[float] = []
        for i, piece in enumerate(pieces):
            copies = [
                (share, copy, copy.stretches(piece.low, piece.high, window))
                for copy, (_, share) in zip(piece.background.copies, COPIES, strict=True)
                if copy is not None
            ]
            copies = [entry for entry in copies if len(entry[2])]
            seconds = float(np.diff(piece.background.full.stretches(piece.low, piece.high, window)).sum())
            for share, copy, stretches in copies:
                starts = np.diff(stretches)[:, 0] - (window - 1)
                together = seconds * share / sum(other for other, _, _ in copies)
                for (start, end), windows in zip(stretches.tolist(), starts.tolist(), strict=True):
                    parts.append(copy.rows(start, end))
                    number.append(i)
                    weight.append(together * windows / starts.sum())
        length = np.array([len(part) for part in parts])
        first, chance = np.cumsum(length) - length, np.cumsum(weight)
        return cls(tuple(pieces), Slots.joined(parts), first, length, np.array(number), chance / chance[-1])

    def windows(self, recipe: Recipe, window: int) -> tuple[F64, I64, I64]:
        """Background of each example [n,6,window] in m/s² and rad/s, its rows [n,window], and its stretch [n]."""
        stretch = np.searchsorted(self.chance, recipe.background, side="right")
        last = self.length[stretch] - 1
        # A stretch that is too short for the compression is compressed as far as it reaches.
        step = np.minimum(recipe.compression, last / (window - 1))
        room = last - step * (window - 1)
        start = np.floor(recipe.background_start * (np.floor(room) + 1))
        at = start[:, None] + step[:, None] * np.arange(window)
        below = np.minimum(np.floor(at + 1e-9).astype(np.int64), last[:, None])
        rest = np.maximum(at - below, 0.0)[:, :, None]
        rows = self.first[stretch][:, None] + below
        above = self.first[stretch][:, None] + np.minimum(below + 1, last[:, None])
        x = self.slots.imu[rows] * (1.0 - rest) + self.slots.imu[above] * rest
        return x.transpose(0, 2, 1), rows, stretch


@dataclass(frozen=True)
class Batch:
    """Examples before the gate. x[n,F]; rows[n,window]: slots of the background in the pool; piece[n]: of the pool."""

    x: F32
    edr: F32
    response: I64
    piece: I64
    rows: I64
    sparse: Bool
    manoeuvring: Bool


def make_batches(
    pool: Pool, recipe: Recipe, responses: Responses, noise: np.random.Generator, spec: PipelineSpec
) -> Iterator[Batch]:
    """Examples of a pool in order, BATCH at a time."""
    motion = noise.spawn(1)[0]
    for first in range(0, len(recipe.edr), BATCH):
        some = recipe.rows(first, first + BATCH)
        background, rows, stretch = pool.windows(some, spec.window)
        gusts = responses.gusts(some, spec.window) + slow_motion(some, motion, spec)
        imu = add_gusts(background, gusts, some, noise, spec)
        steps = slot_steps(imu, spec.bands)
        energy = energies(steps, spec)
        yield Batch(
            x=features(energy, pool.slots.vertical_mm_s[rows[:, -1]], spec),
            edr=some.edr.astype(np.float32),
            response=some.response,
            piece=pool.piece[stretch],
            rows=rows,
            sparse=pool.slots.repeated[rows].sum(axis=1) > spec.max_repeated_slots,
            manoeuvring=manoeuvring(steps, energy, spec),
        )


def add_gusts(background: F64, gusts: F64, recipe: Recipe, noise: np.random.Generator, spec: PipelineSpec) -> F32:
    """Slots [n,window,6] of backgrounds [n,6,window] with gusts [n,6,window]."""
    mean = background.mean(axis=2, keepdims=True)
    x = (background - mean) * recipe.background_gain[:, None, None] + gusts
    filtered = np.isfinite(recipe.lowpass_hz)
    frequency = np.fft.rfftfreq(spec.window, 1 / spec.rate_hz)
    single_pole = 1.0 / (1.0 + 1j * frequency / recipe.lowpass_hz[filtered, None])
    x[filtered] = np.fft.irfft(np.fft.rfft(x[filtered]) * single_pole[:, None], spec.window)
    noisy = recipe.noise.any(axis=1)
    x[noisy] += noise.standard_normal(x[noisy].shape) * recipe.noise[noisy, :, None]
    x += mean
    cos, sin = np.cos(recipe.angle)[:, None], np.sin(recipe.angle)[:, None]
    for a, b in ((0, 1), (3, 4)):
        x[:, a], x[:, b] = cos * x[:, a] - sin * x[:, b], sin * x[:, a] + cos * x[:, b]
    return np.ascontiguousarray(x.transpose(0, 2, 1), np.float32)


def slow_motion(recipe: Recipe, random: np.random.Generator, spec: PipelineSpec) -> F64:
    """Motion that gusts did not cause, [n,6,window], with the recipe's RMS about its mean."""
    frequency = np.fft.rfftfreq(spec.window, 1 / spec.rate_hz)
    shape = 1.0 / np.sqrt(1.0 + (frequency / recipe.motion_hz[:, GROUPS, None]) ** 4)
    shape[..., 0] = 0.0
    white = random.standard_normal((len(recipe.motion), len(GROUPS), spec.window))
    x = np.fft.irfft(np.fft.rfft(white) * shape, spec.window)
    return np.asarray(x / x.std(axis=2, keepdims=True) * recipe.motion[:, GROUPS, None])
