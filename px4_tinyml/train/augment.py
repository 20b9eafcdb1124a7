"""Changes to training windows that a classifier must not care about.

The vehicle's heading in the body frame is arbitrary for air and for mounting (rotation about z), a
barometer fails now and then, and propellers shake some frames more than others: none of that is turbulence.
"""

from __future__ import annotations

import numpy as np

from px4_tinyml.spec import ALTITUDE_CHANNEL, PipelineSpec
from px4_tinyml.types import F32, I32, Bool

BARO_DROPOUT = 0.15
VIBRATION_SHARE = 0.3
VIBRATION_MAX_M_S2 = 1.0
VIBRATION_MAX_RAD_S = 0.05


def augment(x: F32, rng: np.random.Generator, spec: PipelineSpec, calm: Bool) -> F32:
    """A changed copy of physical windows x[W,T,C]; vibration is added only where calm[W]."""
    x = x.copy()
    index = {name: i for i, name in enumerate(spec.channels)}
    count = len(x)
    if ALTITUDE_CHANNEL in index:
        x[rng.random(count) < BARO_DROPOUT, :, index[ALTITUDE_CHANNEL]] = 0.0
    angle = rng.uniform(0, 2 * np.pi, count).astype(np.float32)[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    for a, b in (("ax", "ay"), ("gx", "gy")):
        if a in index and b in index:
            u, v = x[:, :, index[a]].copy(), x[:, :, index[b]].copy()
            x[:, :, index[a]], x[:, :, index[b]] = cos * u - sin * v, sin * u + cos * v
    shaken = np.flatnonzero(calm & (rng.random(count) < VIBRATION_SHARE))
    level = rng.random((len(shaken), 1, 1)) ** 2
    for names, top in ((("ax", "ay", "az"), VIBRATION_MAX_M_S2), (("gx", "gy", "gz"), VIBRATION_MAX_RAD_S)):
        at = [index[n] for n in names if n in index]
        noise = rng.standard_normal((len(shaken), x.shape[1] + 1, len(at)))
        # Aliased propeller lines lie high in the band: the difference of white noise has little below 5 Hz.
        high = np.diff(noise, axis=1) / np.sqrt(2.0)
        added = (level * top * high).astype(np.float32)
        x[shaken[:, None], :, np.array(at)[None, :]] += added.transpose(0, 2, 1)
    return x


def calm_windows(y: I32, spec: PipelineSpec) -> Bool:
    """Where vibration may be added: every label but turbulence."""
    turbulent = spec.labels.index("turbulence") if "turbulence" in spec.labels else -1
    return np.asarray(y != turbulent)
