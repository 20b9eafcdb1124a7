"""Data set → trained, quantized, checked bundle: what `train` and `demo` share."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from px4_tinyml.bundle import REPORT_FILE, ModelBundle
from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.oracle import TflmInterpreter
from px4_tinyml.compiler.plan import plan_memory
from px4_tinyml.compiler.reader import read_model
from px4_tinyml.compiler.tensor import Tensor
from px4_tinyml.dataset.split import PARTS
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.errors import ParityError, ToolchainError
from px4_tinyml.report import write_report
from px4_tinyml.signal.golden import make_golden
from px4_tinyml.signal.golden_feed import choose, golden_feed
from px4_tinyml.training import baselines as baseline
from px4_tinyml.training.evaluation import check_quantization, evaluate
from px4_tinyml.training.fit import Trained, TrainOptions, train
from px4_tinyml.training.quantize import to_float, to_int8

log = logging.getLogger(__name__)


def train_bundle(dataset: Dataset, out: Path, options: TrainOptions) -> ModelBundle:
    """Train, quantize, pass the int8 gate, evaluate on the test part, write the bundle and its report."""
    ModelBundle.check_folder(out)
    train_part, validation = dataset.windows(["train"]), dataset.windows(["validation"])
    trained = train(train_part, validation, dataset.spec, options)
    float_model = to_float(trained)
    model = to_int8(trained, float_model, train_part, validation, options.seed)
    graph = read_model(model)
    bundle = ModelBundle(
        spec=trained.spec,
        model=model,
        float_model=float_model,
        manifest={
            "model": _describe_model(options.arch, trained, graph, model),
            "memory": _memory(graph, model),
            "training": _describe_training(dataset, trained, options),
            "baseline": baseline.fit(train_part, dataset.spec, options.seed),
            "tools": {name: importlib.metadata.version(name) for name in ("px4-tinyml", "tensorflow", "numpy")},
        },
        golden={},
    )
    events = golden_feed(choose(train_part.x, train_part.y, dataset.spec, options.seed), trained.spec, options.seed)
    bundle = replace(bundle, golden=make_golden(bundle.classifier(), events))
    bundle = bundle.with_manifest(int8_gate=_gate(bundle, dataset), metrics=evaluate_part(bundle, dataset, ["test"]))
    bundle.save(out)
    write_report(out / REPORT_FILE, bundle, dataset)
    return bundle


def _gate(bundle: ModelBundle, dataset: Dataset) -> dict[str, Any]:
    """What int8 costs over every labelled window; shown in full when it is too much."""
    metrics = evaluate_part(bundle, dataset, PARTS)
    try:
        check_quantization(metrics)
    except ParityError:
        print_metrics(metrics, "all")
        raise
    return {
        "windows": metrics["int8"]["windows"],
        "agreement": metrics["agreement"],
        **{f"{name}_macro_f1": metrics[name]["macro_f1"] for name in ("float", "int8")},
    }


def evaluate_part(bundle: ModelBundle, dataset: Dataset, parts: Sequence[str]) -> dict[str, Any]:
    """`evaluate` on some parts of a data set."""
    sources = [flight["source"] for flight in dataset.flights]
    return evaluate(bundle, dataset.windows(parts), sources, dataset.windows(parts, between=True))


def print_metrics(metrics: Mapping[str, Any], part: str = "test") -> None:
    """Macro-F1 with its interval and F1 by class, one line a model. part: of the data set, as `evaluate` calls it."""
    labels = metrics["labels"]
    flights = len(metrics["int8"]["by_flight"])
    missing = {"all": "no windows", "train": "no training windows"}.get(part, f"no {part} windows")
    wide = max(12, len(missing) + 2) if None in metrics["int8"]["f1"].values() else 12
    print(
        f"{f'{flights} flights' if flights > 1 else 'one flight':10}{'macro-F1':>10}{'interval':>16}{'accuracy':>10}"
        + "".join(f"{n:>{wide}}" for n in labels)
    )
    for name in ("float", "int8", "baseline"):
        m = metrics[name]
        low, high = m["macro_f1_interval"]
        interval = f"{low:.3f}…{high:.3f}" if flights > 1 else "none"  # drawing one flight again tells nothing
        f1 = "".join(f"{missing if m['f1'][n] is None else format(m['f1'][n], '.3f'):>{wide}}" for n in labels)
        print(f"{name:10}{m['macro_f1']:10.4f}{interval:>16}{m['accuracy']:10.4f}{f1}")
    if "between" in metrics:
        calls = ", ".join(f"{n} {c}" for c, n in metrics["between"].items())
        print(f"windows with EDR between calm and turbulent are called: {calls}")


def _describe_model(arch: str, trained: Trained, graph: Graph, model: bytes) -> dict[str, Any]:
    def quantization(tensor: Tensor) -> dict[str, Any]:
        return {"scale": tensor.scale, "zero_point": tensor.zero_point, "shape": list(tensor.shape)}

    return {
        "arch": arch,
        "parameters": int(trained.model.count_params()),
        "macs": graph.macs,
        "operators": [operator.name for operator in graph.operators],
        "weights_bytes": graph.weights_bytes,
        "model_bytes": len(model),
        "input": quantization(graph.input),
        "output": quantization(graph.output),
    }


def _memory(graph: Graph, model: bytes) -> dict[str, int | None]:
    try:
        tflm = TflmInterpreter(model).arena_bytes()
    except ToolchainError as error:
        log.info("TFLite Micro's arena is not measured: %s", error)
        tflm = None
    return {"compiled_arena_bytes": plan_memory(graph).arena_bytes, "tflm_arena_bytes": tflm}


def _describe_training(dataset: Dataset, trained: Trained, options: TrainOptions) -> dict[str, Any]:
    flights = [{k: f[k] for k in ("source", "vehicle", "part", "labels")} for f in dataset.flights]
    loss, validation = trained.history["loss"], trained.history["validation_loss"]
    return {
        "seed": options.seed,
        "epochs": options.epochs,
        "epochs_run": len(loss),
        "best_epoch": int(np.argmin(validation)) + 1,
        "batch": options.batch,
        "learning_rate": options.learning_rate,
        "loss": loss,
        "validation_loss": validation,
        "dataset": {
            "spec_hash": dataset.spec.hash,
            "split_by": dataset.about["split_by"],
            "thinned_hz": dataset.about.get("thinned_hz"),
            "counts": dataset.about["counts"],
            "flights": flights,
        },
    }
