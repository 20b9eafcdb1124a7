"""RMS of windows by frequency band: what the physics baseline sees, and how simulation is held to real air."""

from __future__ import annotations

import numpy as np

from px4_tinyml.flight_log import F32

BANDS_HZ = ((0.4, 2.0), (2.0, 5.0), (5.0, 10.0), (10.0, 24.0))


def band_rms(x: F32, rate_hz: float, bands_hz: tuple[tuple[float, float], ...] = BANDS_HZ) -> F32:
    """RMS of x[W,T,C] in each band (half-open, Hz) about the window's mean: [W, bands, C], units of x.

    Parseval on a Hann-windowed spectrum, corrected for the window's power.
    """
    samples = x.shape[1]
    taper = np.hanning(samples + 1)[:-1]
    centred = x - x.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred * taper[None, :, None], axis=1)
    power = 2.0 * np.abs(spectrum) ** 2 / (samples * float((taper**2).sum()))
    frequency = np.fft.rfftfreq(samples, 1.0 / rate_hz)
    rms = [np.sqrt(power[:, (frequency >= low) & (frequency < high)].sum(axis=1)) for low, high in bands_hz]
    return np.stack(rms, axis=1).astype(np.float32)
