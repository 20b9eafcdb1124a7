"""ModelBundle: the folder that holds a trained, quantized classifier.

model.tflite    the int8 model
float.tflite    the same network in float32, to see what int8 costs
manifest.json   spec and hash, sha256 of the other files, scales, operators, metrics, versions (manifest.py)
golden.npz      raw samples → windows → int8 input → int8 output → decisions
report.html     the training report
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from px4_tinyml.bundle.manifest import Manifest, ManifestFile
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.interpreter import Int8Interpreter
from px4_tinyml.compiler.oracle import TflmInterpreter
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.emit.shipped import bundle_folder
from px4_tinyml.errors import ConversionError, SpecError
from px4_tinyml.files import checked, parse_json, read_file, write_json
from px4_tinyml.signal.classifier import Classifier, Engine, Model
from px4_tinyml.signal.golden_arrays import read_arrays
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.signal.streaming import NumpyPipeline

BUNDLE_VERSION = 1
MODEL_FILE = "model.tflite"
FLOAT_FILE = "float.tflite"
MANIFEST_FILE = "manifest.json"
GOLDEN_FILE = "golden.npz"
REPORT_FILE = "report.html"
HASHED_FILES = (MODEL_FILE, FLOAT_FILE, GOLDEN_FILE)
"""Files whose sha256 is in the manifest's `files`."""
MAX_BYTES = 1 << 26
"""Of each file of a bundle."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelBundle:
    """A bundle in memory. golden: arrays by name (signal/golden.py)."""

    spec: PipelineSpec
    model: bytes
    float_model: bytes
    manifest: Manifest
    golden: Mapping[str, NDArray[Any]]

    @property
    def sha256(self) -> str:
        """SHA-256 of the model, hex."""
        return _sha256(self.model)

    @cached_property
    def graph(self) -> Graph:
        """The model, parsed and checked against the spec."""
        graph = read_model(self.model)
        check_model(self.spec, graph)
        return graph

    def classifier(self, engine: str = "numpy") -> Classifier:
        """Classifies whole logs. engine: a name of ENGINES."""
        return Classifier(self.spec, self._model(engine))

    def pipeline(self, engine: str = "numpy") -> NumpyPipeline:
        """Classifies sample by sample. engine: a name of ENGINES."""
        return NumpyPipeline(self.spec, self._model(engine))

    def _model(self, engine: str) -> Model:
        if engine not in ENGINES:
            raise SpecError(f"engine {engine!r} is not known; expected one of {', '.join(ENGINES)}")
        graph = self.graph
        ends = (graph.input.scale, graph.input.zero_point, graph.output.scale, graph.output.zero_point)
        return Model(ENGINES[engine](self), *ends)

    def tflm_arena_bytes(self) -> int:
        """Arena that the tflite-micro wheel uses, as measured by `train`, else measured now."""
        return self.manifest.memory.tflm_arena_bytes or TflmInterpreter(self.model).arena_bytes()

    def with_manifest(self, **entries: Any) -> ModelBundle:
        """The same bundle with manifest entries replaced."""
        return replace(self, manifest=msgspec.structs.replace(self.manifest, **entries))

    @staticmethod
    def check_folder(folder: Path) -> None:
        """ConversionError when a bundle cannot be written there, or something else would be overwritten."""
        try:
            if folder.exists() and not (folder / MANIFEST_FILE).exists() and any(folder.iterdir()):
                raise ConversionError(f"{folder}: exists and is not a model bundle; give another folder")
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConversionError(f"{folder}: cannot be written ({error.strerror}); give another folder") from error

    def save(self, folder: Path) -> None:
        """Write the bundle's files into a folder (made if missing)."""
        self.check_folder(folder)
        arrays: dict[str, Any] = dict(self.golden)
        golden = io.BytesIO()
        np.savez(golden, **arrays)
        files = {MODEL_FILE: self.model, FLOAT_FILE: self.float_model, GOLDEN_FILE: golden.getvalue()}
        manifest = ManifestFile(
            **{name: getattr(self.manifest, name) for name in Manifest.__struct_fields__},
            bundle_version=BUNDLE_VERSION,
            spec=self.spec.to_dict(),
            spec_hash=self.spec.hash,
            labels=self.spec.labels,
            model_sha256=self.sha256,
            files={name: _sha256(data) for name, data in files.items()},
        )
        for name, data in files.items():
            (folder / name).write_bytes(data)
        write_json(folder / MANIFEST_FILE, manifest, indent=2, sort_keys=True)

    @property
    def for_thinned(self) -> bool:
        """True when it was also trained on decimated logs, as 50 Hz links carry them (signal/decimate.py)."""
        return bool(self.manifest.training.dataset.thinned_hz)

    @classmethod
    def load(cls, folder: Path) -> ModelBundle:
        """Read and check a bundle. folder: also the name of a bundle that ships with the package.

        Raises ConversionError or SpecError with the file, what was found, what was expected and what to do.
        """
        folder = bundle_folder(folder)
        path = folder / MANIFEST_FILE
        try:
            data = parse_json(read_file(path, MAX_BYTES))
            files = {name: read_file(folder / name, MAX_BYTES) for name in HASHED_FILES}
        except OSError as error:
            raise ConversionError(
                f"{folder}: not a model bundle ({error.filename}: {error.strerror}); `px4-tinyml train` writes one"
            ) from error
        except ValueError as error:
            raise ConversionError(f"{path}: damaged: {error}; train again") from error
        version = data.get("bundle_version") if isinstance(data, dict) else "no version"
        if version is True or version != BUNDLE_VERSION:
            raise ConversionError(f"{path}: bundle version {ascii(version)[:40]} found, {BUNDLE_VERSION} expected")
        manifest = checked(ManifestFile, data, str(path), ConversionError, "train again")
        spec = PipelineSpec.from_dict(manifest.spec, where=str(path))
        if not spec.fitted:
            raise SpecError(f"{path}: the spec has no offsets and scales; train again")
        if manifest.metrics.labels != spec.labels or max(manifest.baseline.label) >= len(spec.labels):
            raise ConversionError(f"{path}: metrics and baseline are of other labels than the spec's; train again")
        _check_hashes(path, manifest, spec, files)
        golden = read_arrays(files[GOLDEN_FILE], spec, str(folder / GOLDEN_FILE))
        return cls(spec, files[MODEL_FILE], files[FLOAT_FILE], manifest, golden)


ENGINES: Mapping[str, Callable[[ModelBundle], Engine]] = {
    "numpy": lambda bundle: Int8Interpreter(bundle.graph),
    "tflm": lambda bundle: TflmInterpreter(bundle.model),
}
"""Engines in Python: our NumPy interpreter, and TensorFlow Lite Micro (the tflite-micro wheel)."""


def check_model(spec: PipelineSpec, graph: Graph) -> None:
    """Raise ConversionError unless the model takes this spec's windows and gives its outputs."""
    for side, found, expected in (
        ("inputs", graph.input.size, spec.input_shape[0] * spec.input_shape[1]),
        ("outputs", graph.output.size, spec.outputs),
    ):
        if found != expected:
            raise ConversionError(f"the model has {found} {side}, the spec needs {expected}: train again")
    if spec.output == "classes" and (graph.output.scale, graph.output.zero_point) != (1 / 256, -128):
        raise ConversionError(
            f"the model's output has scale {graph.output.scale} and zero point {graph.output.zero_point}: "
            "expected the 1/256 and −128 of an int8 softmax"
        )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_hashes(path: Path, manifest: ManifestFile, spec: PipelineSpec, files: Mapping[str, bytes]) -> None:
    """ConversionError when a part is not the one the manifest was written for."""
    written = manifest.files
    if written is None:
        log.warning("%s: no hashes of all files in the manifest (written before 0.1.0); train again to add them", path)
    elif sorted(written) != sorted(HASHED_FILES):
        raise ConversionError(
            f"{path}: files is {ascii(written)[:60]}, "
            f"the sha256 of each of {', '.join(HASHED_FILES)} expected; train again"
        )
    for name, found, expected in (
        ("the spec", spec.hash, manifest.spec_hash),
        ("the model", _sha256(files[MODEL_FILE]), manifest.model_sha256),
        *((name, _sha256(files[name]), digest) for name, digest in (written or {}).items()),
    ):
        if found != expected:
            raise ConversionError(
                f"{path.parent}: hash of {name} is {found[:16]}, {expected[:16]!a} in the manifest: "
                "the parts come from different trainings, or one was changed; copy the bundle again, or train again"
            )
