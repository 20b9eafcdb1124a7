"""docs/signal_path.md, steps 6 to 9, written a second time: plain integers, one slot at a time, as C++ would.

The page promises what fits 32 and 64 bits; `i32` and `i64` check it.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque

import numpy as np
import pytest
from bands_bundle import CENTRE, PER_LOG2, air_flight, bands_bundle, bands_spec

from px4_tinyml.flight_log import BaroSeries, ImuSeries
from px4_tinyml.signal.air_decision import edr_e4, unfamiliar
from px4_tinyml.signal.decision import UNCERTAIN
from px4_tinyml.signal.energies import energies, log2_q8, log_energies, slot_steps
from px4_tinyml.signal.energies import manoeuvring as of_package
from px4_tinyml.signal.slots import feed, make_slots
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.spec_tables import LimitsSpec, VerticalSpec
from px4_tinyml.signal.windows import make_windows, window_rows

HANN = [round(16384 * 0.5 * (1 - math.cos(2 * math.pi * i / 128))) for i in range(128)]
BINS = ((2, 6), (6, 11), (11, 18), (18, 29), (29, 47))
E = 128 * sum(h * h for h in HANN) / 2**14


def i32(value: int) -> int:
    assert -(2**31) <= value < 2**31
    return value


def i64(value: int) -> int:
    assert -(2**63) <= value < 2**63
    return value


def fft(re: list[int], im: list[int]) -> tuple[list[int], list[int]]:
    """Step 6, FFT."""
    size = 128
    while size > 1:
        half = size // 2
        for block in range(0, 128, size):
            for k in range(half):
                p, q = block + k, block + k + half
                d_re, d_im = i32(re[p] - re[q]), i32(im[p] - im[q])
                re[p], im[p] = i32(re[p] + re[q]) >> 1, i32(im[p] + im[q]) >> 1
                if k == 0:
                    re[q], im[q] = d_re >> 1, d_im >> 1
                elif 4 * k == size:
                    re[q], im[q] = d_im >> 1, -d_re >> 1
                else:
                    w_re = i32(round(math.cos(2 * math.pi * k / size) * 2**31))
                    w_im = i32(round(-math.sin(2 * math.pi * k / size) * 2**31))
                    re[q] = i32(i64(d_re * w_re - d_im * w_im) >> 32)
                    im[q] = i32(i64(d_re * w_im + d_im * w_re) >> 32)
        size = half
    order = [int(f"{k:07b}"[::-1], 2) for k in range(128)]
    return [re[k] for k in order], [im[k] for k in order]


def band_energies(window: list[list[int]]) -> list[list[int]]:
    """Step 6, taper and energies. window: six channels of 128 steps."""
    tapered = []
    for x in window:
        m = i32(sum(x) + 64) >> 7
        tapered.append([i32((x[i] - m) * HANN[i]) for i in range(128)])
    ax, ay, az, gx, gy, gz = tapered
    groups: list[list[int]] = [[], [], [], []]
    xy = [fft(list(ax), list(ay)), fft(list(gx), list(gy))]
    re, im = fft(list(az), list(gz))
    for low, high in BINS:
        sums = [0, 0, 0, 0]
        for k in range(low, high):
            m = 128 - k
            for group, (r, j) in zip((0, 2), xy, strict=True):
                sums[group] += r[k] ** 2 + j[k] ** 2 + r[m] ** 2 + j[m] ** 2
            sums[1] += i64((re[k] + re[m]) ** 2 + (im[k] - im[m]) ** 2) >> 1
            sums[3] += i64((re[k] - re[m]) ** 2 + (im[k] + im[m]) ** 2) >> 1
        for group, value in zip(groups, sums, strict=True):
            group.append(i64(value))
    return groups


def energy_of(rms: float, per_unit: int) -> int:
    return int((rms * per_unit) ** 2 * E)


def manoeuvring(window: list[list[int]], found: list[list[int]], spec: PipelineSpec) -> bool:
    """Step 8."""
    limits = spec.limits
    a_xy, (_, a_z, g_xy, g_z) = sum(found[0][:4]), (sum(group[:2]) for group in found)
    turning = energy_of(math.radians(limits.turning_deg_s), 2048)
    return (
        g_xy > energy_of(math.radians(limits.g_xy_deg_s), 2048)
        or g_z > energy_of(math.radians(limits.g_z_deg_s), 2048)
        or a_z > energy_of(limits.a_z_m_s2, 256)
        or (a_xy > energy_of(limits.a_xy_m_s2, 256) and (g_xy > turning or g_z > turning))
        or i32(sum(window[2])) > -round(limits.least_a_z_m_s2 * 256 * 128)
    )


def log2(v: int) -> int:
    """Step 6, logarithm."""
    n = v.bit_length() - 1
    f = (v >> (n - 16) if n >= 16 else v << (16 - n)) - 65536
    c = i32(i32(f * (65536 - f)) >> 16) * 22525 >> 16
    return (n << 8) + ((f + c) >> 8)


def clamp(value: int, limit: int) -> int:
    return max(-limit, min(limit, value))


class Filter:
    """Step 7, one filter; default constants."""

    def __init__(self, altitudes: list[int], slope: int) -> None:
        n = len(altitudes)
        self.origin, self.speed = altitudes[-1], slope
        total = sum(a - self.origin for a in altitudes)
        self.height = (total << 10) // n + (i64(slope * 671_089 * (n - 1)) >> 25)
        self.g, self.bias, self.energy, self.age = [0, 0, 0], 0, 0, 0

    def update(self, steps: list[int], alt: int, stale: bool) -> None:
        f, r, g = steps[:3], steps[3:], self.g
        gain = max(201_327, 2**24 // (self.age + 1))
        turned = [g[1] * r[2] - g[2] * r[1], g[2] * r[0] - g[0] * r[2], g[0] * r[1] - g[1] * r[0]]
        self.g = [
            i32(g[i] + (i64(turned[i] * 328) >> 24) + (i64(((f[i] << 12) - g[i]) * gain) >> 24)) for i in range(3)
        ]
        v = [x >> 9 for x in self.g]
        along = i64(sum(a * b for a, b in zip(f, v, strict=True)))
        quotient = abs(along) // max(math.isqrt(sum(x * x for x in v)), 1)
        up = i32(((quotient if along >= 0 else -quotient) - 2511) * 4096)
        innovation = 0 if stale else clamp(((alt - self.origin) << 10) - self.height, 2**26)
        self.bias += innovation * 10_486 >> 24
        self.speed += (innovation * 125_829 >> 24) + (i64((up + self.bias) * 671_089) >> 24)
        self.height += (innovation * 503_316 >> 24) + (i64(self.speed * 671_089) >> 24)
        self.energy += ((innovation >> 10) ** 2 - self.energy) >> 8
        self.age += 1


class Vertical:
    """Step 7: two filters, what is reported."""

    def __init__(self, spec: PipelineSpec) -> None:
        self.hop, self.restart, self.n = spec.hop, spec.vertical.restart_slots, spec.vertical.mean_slots
        self.filters: list[Filter | None] = [None, None]
        self.altitudes, self.stale = deque[int](maxlen=self.n), deque[bool](maxlen=self.n)
        self.reported = deque[tuple[int, bool, int]](maxlen=self.n)

    def fresh(self) -> bool:
        return len(self.stale) == self.n and not any(self.stale)

    def slope(self) -> int:
        pairs = enumerate(self.altitudes)
        total = sum((a - self.altitudes[-1]) * (2 * i - (self.n - 1)) for i, a in pairs)
        return i64(total * 614_550) >> 20

    def push(self, k: int, steps: list[int], altitude_m: np.float32, stale: bool) -> None:
        alt = i32(int(np.rint(altitude_m * np.float32(1024.0))))
        self.altitudes.append(alt)
        self.stale.append(stale)
        running = [f for f in self.filters if f is not None]
        for each in running:
            each.update(steps, alt, stale)
        older = max(running, key=lambda f: f.age, default=None)
        self.reported.append((older.speed, older.age >= self.n, older.energy) if older else (0, False, 0))
        if (k + 1) % self.hop:
            return
        for i in (0, 1):
            if (k + 1) % self.restart == 0 and (k + 1) // self.restart % 2 == i:
                self.filters[i] = None
            if self.filters[i] is None and self.fresh():
                self.filters[i] = Filter(list(self.altitudes), self.slope())

    def mm_s(self, aliased: bool) -> int:
        rows = list(self.reported)
        heard = not all(self.stale) and not aliased
        if len(rows) == self.n and heard and all(valid for _, valid, _ in rows) and rows[-1][2] <= 4_194_304:
            return clamp(i64(sum(speed for speed, _, _ in rows) // self.n * 1000) >> 20, 32767)
        return clamp(i64((i64(self.slope() * 853) >> 10) * 1000) >> 20, 32767) if self.fresh() else -32768


class Decide:
    """Step 9, output = "edr"."""

    def __init__(self, spec: PipelineSpec, scale: float, zero_point: int) -> None:
        self.spec, self.scale, self.zero = spec, round(scale * 65536), zero_point
        self.enter, self.leave = (round(math.log(x) * 65536) for x in (spec.edr.enter, spec.edr.leave))
        self.s: int | None = None
        self.turbulent, self.silent = False, 0

    def update(self, out: int, judged: bool, mm_s: int) -> tuple[int, int, list[int], int]:
        """Class, confidence, probabilities, flag FIRST."""
        if not judged:
            self.silent += 1
            if self.silent >= self.spec.edr.forget_windows:
                self.s, self.turbulent = None, False
            return UNCERTAIN, 0, [0] * 8, 0
        self.silent, first = 0, self.s is None
        x = (out - self.zero) * self.scale
        if self.s is None:
            self.s = x
        else:
            self.s += i32((x - self.s) * (51 if x < self.s else 128)) >> 8
        threshold = self.leave if self.turbulent else self.enter
        self.turbulent = self.s > threshold
        limit = round(self.spec.vertical.threshold_m_s * 1000)
        vertical = 0 if mm_s == -32768 else 1 if mm_s > limit else 2 if mm_s < -limit else 0
        chosen, other = (3, vertical) if self.turbulent else (vertical, 3)
        confidence = 32768 + i32(min(abs(self.s - threshold), 45426) * 32768) // 45426
        p = [0] * 8
        p[chosen], p[other] = min(confidence >> 8, 255), min((65536 - confidence) >> 8, 255)
        return chosen, confidence, p, 4 if first else 0


def small(spec: PipelineSpec) -> PipelineSpec:
    """Restarts within a short flight."""
    return dataclasses.replace(spec, vertical=VerticalSpec(restart_slots=160))


@pytest.mark.parametrize("every", [1, 5])
def test_features_and_vertical_speed(every: int) -> None:
    spec = small(bands_spec())
    flight = air_flight(80.0)
    imu = flight.imu
    picked = ImuSeries(imu.timestamp_us[::every], imu.accel_m_s2[::every], imu.gyro_rad_s[::every])
    flight = dataclasses.replace(flight, imu=picked, on_ground=flight.on_ground[::every])
    flight = dataclasses.replace(flight, baro=None if flight.baro is None else silenced(flight.baro, 56.0, 60.0))
    stream = make_slots(feed(flight, spec), spec)
    raw = make_windows(stream, spec)
    steps = slot_steps(stream.imu, spec.bands)
    floors = [energy_of(0.01, 256)] * 2 + [energy_of(0.001, 2048)] * 2
    for w in range(0, len(raw), 9):
        window = steps[window_rows(raw.end_row[w : w + 1], spec)[0]].T.tolist()
        found = band_energies(window)
        features = [log2(v + floor) / 256 for group, floor in zip(found, floors, strict=True) for v in group]
        assert features == raw.x[w, 0].tolist()
    vertical, reported, rows = Vertical(spec), [], steps.tolist()
    ends = set(raw.end_row.tolist())
    for row, k in enumerate(stream.index.tolist()):
        vertical.push(k, rows[row], stream.altitude_m[row], bool(stream.stale[row]))
        if row in ends:
            window = steps[row - 127 : row + 1].T.tolist()
            decimated = int(stream.samples[row - 127 : row + 1].sum()) < 3 * 128
            reported.append(vertical.mm_s(decimated and band_energies(window)[1][4] > energy_of(0.4, 256)))
    assert reported == raw.vertical_mm_s.tolist()
    assert stream.stale.any() and max(reported) > 1000


@pytest.mark.parametrize(
    ("axis", "least", "most", "hz"),
    [(3, 0.9, 1.3, 1.2), (5, 0.9, 1.3, 1.2), (2, 2.2, 3.2, 1.2), (0, 2.2, 3.6, 3.0), (2, 0.5, 2.5, 0.0)],
)
def test_manoeuvring(axis: int, least: float, most: float, hz: float) -> None:
    """A slow swing of one axis (with some turning), or a weaker az, on either side of each limit."""
    spec, i = bands_spec(), np.arange(128)
    called = []
    for size in np.linspace(least, most, 8):
        imu = np.random.default_rng(3).normal(0, 0.05, (128, 6))
        imu[:, 2] -= 9.80665
        imu[:, 4] += 0.4 * np.sin(2 * np.pi * 1.1 * i / 25)
        imu[:, axis] += size * np.cos(2 * np.pi * hz * i / 25)
        steps = slot_steps(imu.astype(np.float32), spec.bands)[None]
        energy = energies(steps, spec)
        expected = bool(of_package(steps, energy, spec)[0])
        assert manoeuvring(steps[0].T.tolist(), energy[0].tolist(), spec) == expected
        called.append(expected)
    assert not called[0] and called[-1]


def silenced(baro: BaroSeries, start_s: float, end_s: float) -> BaroSeries:
    """A barometer without its samples of a time."""
    t = baro.timestamp_us / 1e6 - 5.0
    keep = (t < start_s) | (t > end_s)
    return dataclasses.replace(baro, timestamp_us=baro.timestamp_us[keep], altitude_m=baro.altitude_m[keep])


def test_extreme_steps_fit() -> None:
    """The largest steps, at frequencies that fall into one bin, and their log2."""
    spec = bands_spec()
    i = np.arange(128)
    for wave in (np.sign(np.sin(2 * np.pi * 3 * i / 128) + 1e-9), np.where(i < 64, 1, -1), np.where(i % 2, 1, -1)):
        steps = np.tile((16383 * wave).astype(np.int16)[:, None], (1, 6))
        expected = energies(steps[None], spec)
        assert band_energies(steps.T.tolist()) == expected[0].tolist()
    values = [1, 2, 3, 65535, 65536, 65537, 2**40 + 12345, 2**62]
    assert [log2(v) for v in values] == log2_q8(np.array(values)).tolist()
    assert log_energies(np.zeros((1, 4, 5), np.int64), spec)[0, 0] == log2(659_707_259) / 256


def test_decisions() -> None:
    bundle = bands_bundle(dataclasses.replace(bands_spec(), offset=(CENTRE,) * 20, inv_scale=(PER_LOG2,) * 20))
    result = bundle.classifier().classify(air_flight(80.0))
    decide = Decide(bundle.spec, bundle.graph.output.scale, bundle.graph.output.zero_point)
    for row, (out,) in zip(result.decisions, result.outputs.tolist(), strict=True):
        found = decide.update(out, not int(row["reasons"]) & 0b100111, int(row["vertical_mm_s"]))
        first = int(row["flags"]) & 4
        assert found == (row["class_index"], row["confidence_q16"], row["probability"].tolist(), first)


def test_the_curve() -> None:
    """Step 9, curve: EDR read × 2 in bands_spec(), the ends extended."""
    spec = bands_spec()
    table = [min(max(round(2 * math.exp(-5 + i / 8) / 1e-4), 0), 65534) for i in range(46)]
    for x in [*range(-400_000, 60_000, 977), -327_680, -(2**31), 2**31]:
        u = max(0, min(x + 327_680, 45 * 8192 - 1))
        i = u >> 13
        assert edr_e4(x, spec) == table[i] + ((table[i + 1] - table[i]) * (u & 8191) >> 13)


def test_unfamiliar() -> None:
    """Step 8: W row by row, lower triangle."""
    rng = np.random.default_rng(6)
    n = 20
    centre, whiten = rng.integers(-20, 20, n).tolist(), rng.integers(-90, 90, n * (n + 1) // 2).tolist()
    limits = LimitsSpec(centre=tuple(centre), whiten=tuple(whiten), distance=2_000_000_000)
    spec = dataclasses.replace(bands_spec(), limits=limits)
    q = rng.integers(-128, 128, (200, n)).astype(np.int8)
    expected = []
    for row in q.tolist():
        total, at = 0, 0
        for i in range(n):
            total += sum(whiten[at + j] * (row[j] - centre[j]) for j in range(i + 1)) ** 2
            at += i + 1
        expected.append(total > limits.distance)
    assert unfamiliar(q, spec).tolist() == expected and len(set(expected)) == 2
