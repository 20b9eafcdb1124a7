"""model/MotionSpec.hpp: the constants of the signal path for the C++ core."""

from __future__ import annotations

import math

import numpy as np

from px4_tinyml.emit.cpp import float_literal, listed, quoted
from px4_tinyml.emit.write import render
from px4_tinyml.errors import SpecError
from px4_tinyml.signal.spec import IMU_CHANNELS, TURBULENCE_LABEL, PipelineSpec

SPEC_HEADER = "model/MotionSpec.hpp"
MIN_INPUT_SCALE = 1e-6


def spec_header(spec: PipelineSpec, input_scale: float, input_zero_point: int) -> str:
    """The header's text. input_scale, input_zero_point: int8 quantization of the model's input.

    Raises SpecError for a spec without offsets and scales, or a scale the core cannot work with.
    """
    if spec.offset is None or spec.inv_scale is None:
        raise SpecError("the spec has no offsets and scales: it must come from a trained bundle")
    if not (math.isfinite(input_scale) and input_scale >= MIN_INPUT_SCALE):
        raise SpecError(f"the model's input scale is {input_scale}: expected at least {MIN_INPUT_SCALE}")
    return render(
        "targets/templates/MotionSpec.hpp.j2",
        spec=spec,
        imu_axes=[IMU_CHANNELS.index(c) for c in spec.channels if c in IMU_CHANNELS],
        offset=listed(map(float_literal, spec.offset)),
        inv_scale=listed(map(float_literal, spec.inv_scale)),
        labels=listed(map(quoted, spec.labels)),
        clip=float_literal(spec.clip),
        inv_input_scale=float_literal(1.0 / float(np.float32(input_scale))),
        input_zero_point=input_zero_point,
        turbulence=spec.labels.index(TURBULENCE_LABEL) if TURBULENCE_LABEL in spec.labels else -1,
    )
