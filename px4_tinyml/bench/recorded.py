"""Figures of other engines for the two reference models, measured once, for a comparison without these engines.

arm-none-eabi-gcc 12.2 -O2, Cortex-M4F, TensorFlow Lite Micro of August 2026 in a release build with only int8
kernels registered; flash without the weights. ram_bytes is the arena, the input in it.
"""

from __future__ import annotations

from dataclasses import replace

from px4_tinyml.targets.base import Cost

_DENSE = Cost("dense", "", "cortex-m4", 36_480, 36_748, None, None, None, recorded=True)
_CONV = Cost("conv", "", "cortex-m4", 33_504, 1_056, None, None, None, recorded=True)

RECORDED: dict[str, tuple[Cost, ...]] = {
    "c5016aeb925f4a57493fac395030d1198910920e058173ae90f9eea1161e1f16": (
        replace(_DENSE, engine="tflm", instructions=75_527, flash_bytes=36_184, ram_bytes=2_212, arena_bytes=2_212),
        replace(_DENSE, engine="tflm-reference", instructions=225_639),
        replace(_DENSE, engine="cmsis-nn", instructions=74_549, flash_bytes=8_100, ram_bytes=800),
    ),
    "57aaa0fddb2e8061a3836f847520fb11a51630dd4b3b883bfd1cf168f345246f": (
        replace(_CONV, engine="tflm", instructions=200_121, flash_bytes=50_072, ram_bytes=3_028, arena_bytes=3_028),
        replace(_CONV, engine="tflm-reference", instructions=540_926),
        replace(_CONV, engine="cmsis-nn", instructions=145_206, flash_bytes=12_200, ram_bytes=1_900),
    ),
}
"""By SHA-256 of the model file: benchmarks/models/dense.tflite and conv.tflite."""
