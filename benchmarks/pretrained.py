"""`make pretrained`, last step: a bundle becomes one that ships with the package; px4_module/ is made for `pretrained`.

    python benchmarks/pretrained.py NAME BUNDLE

Kept of the bundle: the models, the golden vectors, and a manifest without the rows of single flights. Added: the cost
of the classifier on a Cortex-M4F, measured as `px4-tinyml bench` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from px4_tinyml.bench.measure import measure, read_subject
from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import ClassifierCost
from px4_tinyml.emit.shipped import PRETRAINED, PRETRAINED_50HZ, pretrained_bundle, target_root
from px4_tinyml.targets.registry import generate

CPU = "cortex-m4"


def main() -> None:
    """Write px4_tinyml/pretrained/ and px4_module/, or px4_tinyml/pretrained_50hz/."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=(PRETRAINED, PRETRAINED_50HZ), metavar="NAME")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    args = parser.parse_args()
    bundle, folder = slim(ModelBundle.load(args.bundle)), pretrained_bundle(args.name)
    bundle.save(folder)
    bundle = bundle.with_manifest(cost=cost(folder))
    bundle.save(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{args.name}: spec {bundle.spec.short_hash}, {size // 1024} KiB")
    if args.name == PRETRAINED:
        written = generate(bundle, "px4", target_root("px4_module")).written
        print(f"{len(written)} files of px4_module written")


def slim(bundle: ModelBundle) -> ModelBundle:
    """The bundle without what its manifest holds of single flights; their number stays."""
    replace = msgspec.structs.replace
    metrics, training = bundle.manifest.metrics, bundle.manifest.training
    scores = {name: getattr(metrics, name) for name in ("float32", "int8", "baseline", "slope", "trees", "physics")}
    return bundle.with_manifest(
        metrics=replace(
            metrics, **{name: replace(score, by_flight={}) for name, score in scores.items() if score is not None}
        ),
        training=replace(
            training,
            dataset=replace(training.dataset, flights=(), flight_count=len(training.dataset.flights)),
        ),
    )


def cost(folder: Path) -> ClassifierCost:
    """Flash, RAM and instructions of the compiled engine with the signal path around it."""
    measured = measure(read_subject(folder), CPU)
    return ClassifierCost(
        target=CPU,
        engine=measured.engine,
        instructions=measured.instructions,
        flash_bytes=measured.classifier_flash_bytes,
        ram_bytes=measured.classifier_ram_bytes,
        stack_bytes=measured.stack_bytes,
    )


if __name__ == "__main__":
    main()
