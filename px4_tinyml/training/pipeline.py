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
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.errors import ToolchainError
from px4_tinyml.signal.golden import make_golden
from px4_tinyml.signal.golden_feed import choose, golden_feed
from px4_tinyml.training import baselines
from px4_tinyml.training.evaluation import check_quantization, evaluate_models
from px4_tinyml.training.fit import Trained, TrainOptions, fit_network
from px4_tinyml.training.quantize import to_tflite

log = logging.getLogger(__name__)


def train(dataset: Dataset, out: Path, options: TrainOptions | None = None) -> ModelBundle:
    """Train on a data set, quantize to int8, evaluate on the test part, and write the bundle to `out`.

    Weights are fitted on the part `train`, stopped by `validation`. The same data set and options give the same bytes.

    Raises QuantizationError when int8 loses more than 0.5 points of macro-F1, DatasetError when there is too little
    to learn from, ToolchainError without TensorFlow or scikit-learn, ConversionError when `out` cannot be written.
    """
    options = options or TrainOptions()
    ModelBundle.check_folder(out)
    train_part, validation = dataset.windows(["train"]), dataset.windows(["validation"])
    trained = fit_network(train_part, validation, dataset.spec, options)
    model, float_model = to_tflite(trained, train_part, validation, options.seed)
    graph, baseline = read_model(model), baselines.fit(train_part, dataset.spec, options.seed)
    evaluate = partial(evaluate_models, trained.spec, model, float_model, baseline, dataset)
    entries = manifest.Manifest(
        model=describe_model(options.arch, graph, model, trained.model.count_params()),
        memory=_memory(graph, model),
        training=_describe_training(dataset, trained, options),
        baseline=baseline,
        tools={name: importlib.metadata.version(name) for name in ("px4-tinyml", "tensorflow", "numpy")},
        int8_gate=check_quantization(evaluate(PARTS)),
        metrics=evaluate(["test"]),
    )
    bundle = ModelBundle(trained.spec, model, float_model, entries, golden={})
    chosen = choose(train_part.x, train_part.y, trained.spec, options.seed)
    bundle = replace(bundle, golden=make_golden(bundle.classifier(), golden_feed(chosen, trained.spec, options.seed)))
    bundle.save(out)
    return bundle


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


def _describe_training(dataset: Dataset, trained: Trained, options: TrainOptions) -> manifest.Training:
    about = dataset.about
    return manifest.Training(
        seed=options.seed,
        epochs=options.epochs,
        epochs_run=len(trained.loss),
        best_epoch=int(np.argmin(trained.validation_loss)) + 1,
        batch=options.batch,
        learning_rate=options.learning_rate,
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
