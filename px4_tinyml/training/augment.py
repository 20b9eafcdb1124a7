"""Changes to training windows that must not change the prediction.

The heading of the air in the body frame is arbitrary (rotation about z), a barometer fails now and then,
propellers shake some frames more than others, and a light or aggressively tuned vehicle turns faster in the same air.
"""

from __future__ import annotations

import numpy as np

from px4_tinyml.flight_log import F32
from px4_tinyml.signal.spec import ALTITUDE_CHANNEL, VERTICAL_SPEED, PipelineSpec

BARO_DROPOUT = 0.15
VIBRATION_SHARE = 0.3
VIBRATION_MAX_M_S2 = 1.0
VIBRATION_MAX_RAD_S = 0.05
RATE_GAIN_SIGMA = 0.5
"""Standard deviation of the logarithm of the factor on a window's turn rates."""


def augment(x: F32, rng: np.random.Generator, spec: PipelineSpec) -> F32:
    """A changed copy of physical windows x[W,T,C]. The changes do not depend on the label.

    Log energies [W,1,F] do not know the heading; only the vertical speed is lost now and then.
    """
    x = x.copy()
    if spec.input == "bands":
        if VERTICAL_SPEED in spec.features:
            x[rng.random(len(x)) < BARO_DROPOUT, :, spec.features.index(VERTICAL_SPEED)] = 0.0
        return x
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
    rates = [index[name] for name in ("gx", "gy", "gz") if name in index]
    x[:, :, rates] *= np.exp(rng.normal(0.0, RATE_GAIN_SIGMA, (count, 1, 1))).astype(np.float32)
    _shake(x, rng, index)
    return x


def _shake(x: F32, rng: np.random.Generator, index: dict[str, int]) -> None:
    """Add vibration to a share of the windows, in place."""
    shaken = np.flatnonzero(rng.random(len(x)) < VIBRATION_SHARE)
    level = rng.random((len(shaken), 1, 1)) ** 2
    for names, top in ((("ax", "ay", "az"), VIBRATION_MAX_M_S2), (("gx", "gy", "gz"), VIBRATION_MAX_RAD_S)):
        at = np.array([index[n] for n in names if n in index], np.intp)
        noise = rng.standard_normal((len(shaken), x.shape[1] + 1, len(at)))
        # Aliased propeller lines lie high in the band: the difference of white noise has little below 5 Hz.
        high = np.diff(noise, axis=1) / np.sqrt(2.0)
        added = (level * top * high).astype(np.float32)
        x[shaken[:, None], :, at[None, :]] += added.transpose(0, 2, 1)
