"""Data set → trained, quantized, checked bundle."""

from __future__ import annotations

import importlib.metadata
import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from px4_tinyml.bundle import ModelBundle, manifest
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.oracle import TflmInterpreter
from px4_tinyml.compiler.plan import plan_memory
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.dataset.split import PARTS
from px4_tinyml.dataset.store import Dataset, Windows
from px4_tinyml.errors import DatasetError, ToolchainError
from px4_tinyml.signal.golden import make_golden
from px4_tinyml.signal.golden_feed import training_feed
from px4_tinyml.signal.scaling import quantize
from px4_tinyml.signal.spec import PipelineSpec
from px4_tinyml.training import baselines, rivals
from px4_tinyml.training.evaluation import Compared, check_quantization, evaluate_models
from px4_tinyml.training.fit import Course, Trained, TrainOptions, fit_network, windows_of
from px4_tinyml.training.known import fit_curve, fit_limits
from px4_tinyml.training.quantize import int8_outputs, to_tflite

log = logging.getLogger(__name__)


def train(dataset: Dataset, out: Path, options: TrainOptions | None = None) -> ModelBundle:
    """Train on a data set, quantize to int8, evaluate on the test part, and write the bundle to `out`.

    Weights are fitted on the part `train`, stopped by `validation`. The same data set and options give the same bytes.

    Raises QuantizationError when int8 loses more than 0.5 points of macro-F1, DatasetError when there is too little
    to learn from, ToolchainError without TensorFlow or scikit-learn, ConversionError when `out` cannot be written.
    """
    options = options or TrainOptions()
    Course.of(options, dataset.spec)  # before the data set is read
    ModelBundle.check_folder(out)
    train_part, validation = (windows_of(dataset, [part]) for part in ("train", "validation"))
    trained = fit_network(train_part, validation, dataset.spec, options)
    model, float_model = to_tflite(trained, train_part, validation, options.seed)
    graph, spec = read_model(model), fit_known(trained.spec, model, train_part, validation, options.seed)
    compared = _compared(spec, model, float_model, dataset, train_part, options.seed)
    evaluate = partial(evaluate_models, compared, dataset)
    entries = manifest.Manifest(
        model=describe_model(trained.course.arch, graph, model, trained.model.count_params()),
        memory=_memory(graph, model),
        training=_describe_training(dataset, trained),
        baseline=compared.thresholds,
        tools={name: importlib.metadata.version(name) for name in ("px4-tinyml", "tensorflow", "numpy")},
        int8_gate=check_quantization(evaluate(PARTS)),
        metrics=evaluate(["test"]),
        physics_ln=compared.physics_ln,
    )
    bundle = ModelBundle(spec, model, float_model, entries, golden={})
    events = training_feed(train_part.x, train_part.y, spec, options.seed)
    bundle = replace(bundle, golden=make_golden(bundle.classifier(), events))
    bundle.save(out)
    return bundle


def fit_known(spec: PipelineSpec, model: bytes, train_part: Windows, validation: Windows, seed: int) -> PipelineSpec:
    """The spec with what a `bands` bundle knows beside its network (known.py), by int8 inputs and outputs."""
    if spec.input == "samples":
        return spec
    source = read_model(model).input
    spec = replace(spec, limits=fit_limits(spec.limits, quantize(train_part.x, spec, source.scale, source.zero_point)))
    if spec.output == "classes":
        return spec
    # The vehicles of the validation part alone are few: a curve of theirs was off by ×1.4 on others.
    drawn = np.random.default_rng(seed).permutation(len(train_part))[: len(validation)]
    windows = validation.with_rows_of(train_part.take(np.sort(drawn)))
    read = int8_outputs(model, windows.x, spec)[:, 0]
    return replace(spec, edr=fit_curve(spec.edr, read, windows.edr_m23_s))


def _compared(
    spec: PipelineSpec, model: bytes, float_model: bytes, dataset: Dataset, train_part: Windows, seed: int
) -> Compared:
    labelled = dataset.windows(["train"])
    if not len(labelled):
        raise DatasetError("no training window has a label: the thresholds that the network is compared with need some")
    physics_ln = rivals.fit_physics(train_part, spec) if spec.output == "edr" else None
    trees = rivals.fit_trees(train_part, spec, seed)
    return Compared(spec, model, float_model, baselines.fit(labelled, spec, seed), physics_ln, trees)


def describe_model(arch: str, graph: Graph, model: bytes, parameters: int) -> manifest.TfliteModel:
    """The manifest's entry of a network."""
    return manifest.TfliteModel(
        arch=arch,
        parameters=int(parameters),
        macs=graph.macs,
        operators=tuple(operator.name for operator in graph.operators),
        weights_bytes=graph.weights_bytes,
        model_bytes=len(model),
        input=_quantization(graph.input),
        output=_quantization(graph.output),
    )


def _quantization(tensor: Tensor) -> manifest.QuantizedTensor:
    return manifest.QuantizedTensor(tensor.scale, tensor.zero_point, tensor.shape)


def _memory(graph: Graph, model: bytes) -> manifest.ArenaBytes:
    try:
        tflm = TflmInterpreter(model).arena_bytes()
    except ToolchainError as error:
        log.info("TFLite Micro's arena is not measured: %s", error)
        tflm = None
    return manifest.ArenaBytes(plan_memory(graph).arena_bytes, tflm)


def _describe_training(dataset: Dataset, trained: Trained) -> manifest.Training:
    about, course = dataset.about, trained.course
    return manifest.Training(
        seed=course.seed,
        epochs=course.epochs,
        epochs_run=len(trained.loss),
        best_epoch=int(np.argmin(trained.validation_loss)) + 1,
        batch=course.batch,
        learning_rate=course.learning_rate,
        loss=trained.loss,
        validation_loss=trained.validation_loss,
        dataset=manifest.TrainedOn(
            spec_hash=dataset.spec.hash,
            split_by=about.split_by,
            thinned_hz=about.thinned_hz or None,
            counts=about.counts,
            flights=tuple(manifest.TrainedFlight(f.source, f.vehicle, f.part, f.labels) for f in about.flights),
        ),
    )
