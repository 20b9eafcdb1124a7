"""The models of benchmarks/models, and bundles around two of them. Their weights are random."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.signal.golden import make_golden
from px4_tinyml.signal.slots import Feed
from px4_tinyml.signal.spec import PRESETS, DecisionSpec, PipelineSpec

MODELS = Path(__file__).resolve().parents[1] / "benchmarks" / "models"
_SCALES: dict[str, Any] = {"offset": (0.1, -0.2, -9.8, 0.0, 0.01, 0.0), "inv_scale": (0.4, 0.4, 0.3, 2.0, 2.0, 3.0)}
SPECS: dict[str, PipelineSpec] = {
    # The model never says more than 0.3.
    "conv": dataclasses.replace(PRESETS["imu6"], **_SCALES, decision=DecisionSpec(enter=0.285, leave=0.28)),
    "dense": dataclasses.replace(PRESETS["arduino119"], **_SCALES),
}


def reference_bundle(
    name: str, golden: Feed | None = None, manifest: dict[str, Any] | None = None, **changes: Any
) -> ModelBundle:
    """A model of SPECS behind its spec with changes. golden: what the golden vectors are made of, if there are any."""
    spec = dataclasses.replace(SPECS[name], **changes)
    model = (MODELS / f"{name}.tflite").read_bytes()
    bundle = ModelBundle(spec=spec, model=model, float_model=b"none", manifest=manifest or {}, golden={})
    return bundle if golden is None else dataclasses.replace(bundle, golden=make_golden(bundle.classifier(), golden))
