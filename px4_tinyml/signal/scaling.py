"""Step 4 of the signal path: physical windows to the network's int8 input (docs/signal_path.md)."""

from __future__ import annotations

import numpy as np

from px4_tinyml.flight_log import F32, I8
from px4_tinyml.signal.spec import PipelineSpec


def scale(x: F32, spec: PipelineSpec) -> F32:
    """Step 4, first half: physical windows [.., C] to the network's input, clipped to ±clip."""
    if spec.offset is None or spec.inv_scale is None:
        raise ValueError("the spec has no offsets and scales yet")
    clip = np.float32(spec.clip)
    with np.errstate(over="ignore"):
        y = (x - np.array(spec.offset, np.float32)) * np.array(spec.inv_scale, np.float32)
    return np.asarray(np.minimum(np.maximum(y, -clip), clip), np.float32)


def quantize(x: F32, spec: PipelineSpec, input_scale: float, input_zero_point: int) -> I8:
    """Step 4: physical windows [W,T,C] to int8 [W, T·C], the one rounding rule."""
    inv_input_scale = np.float32(1.0 / float(np.float32(input_scale)))
    q = np.rint(scale(x, spec) * inv_input_scale) + np.float32(input_zero_point)
    int8: I8 = np.clip(q, -128, 127).astype(np.int8).reshape(len(x), x.shape[1] * x.shape[2])
    return int8
