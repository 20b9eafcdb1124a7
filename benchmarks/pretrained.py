"""`make pretrained`, last step: a bundle becomes one that ships with the package; px4_module/ is made for `pretrained`.

    python benchmarks/pretrained.py NAME BUNDLE [--backgrounds CSV --real-air JSON] [--dataset DATASET]

Kept of the bundle: the models, the golden vectors, and a manifest without the rows of single flights. Added: the cost
of the classifier on a Cortex-M4F, measured as `px4-tinyml bench` does (not of a `bands` bundle, which has no C++ yet).
--backgrounds and --real-air add the model card, --dataset writes the bundle's report again with it. A second run on a
bundle that ships changes nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from px4_tinyml.bench.measure import measure, read_subject
from px4_tinyml.bundle import REPORT_FILE, ModelBundle
from px4_tinyml.bundle.manifest import ClassifierCost
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.emit.shipped import PRETRAINED, SHIPPED, pretrained_bundle, target_root
from px4_tinyml.errors import Px4TinymlError
from px4_tinyml.quality.shipped_card import make_card, read_backgrounds, read_real_air
from px4_tinyml.report import write_report
from px4_tinyml.targets.registry import generate

CPU = "cortex-m4"


def main() -> int:
    """Write the folder of a bundle that ships, and px4_module/ for `pretrained`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", choices=SHIPPED, metavar="NAME")
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("--backgrounds", type=Path, metavar="CSV", help="backgrounds.csv of pretrained_backgrounds.py")
    parser.add_argument("--real-air", type=Path, metavar="JSON", help="what quality/real_air.py --json printed")
    parser.add_argument("--dataset", type=Path, metavar="DATASET", help="data set of the training, for the report")
    args = parser.parse_args()
    if (args.backgrounds is None) != (args.real_air is None):
        parser.error("--backgrounds and --real-air belong together")
    try:
        bundle = ModelBundle.load(args.bundle)
        if args.backgrounds:
            vehicles = read_real_air(args.real_air, bundle.sha256)
            bundle = bundle.with_manifest(card=make_card(read_backgrounds(args.backgrounds), vehicles))
        if args.dataset:
            write_report(args.bundle / REPORT_FILE, bundle, Dataset.load(args.dataset))
        ship(slim(bundle), args.name)
    except Px4TinymlError as error:
        print(f"pretrained.py: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def ship(bundle: ModelBundle, name: str) -> None:
    """Write the folder of a bundle that ships, and px4_module/ for `pretrained`."""
    folder = pretrained_bundle(name)
    bundle.save(folder)
    if bundle.spec.input == "samples":
        bundle = bundle.with_manifest(cost=cost(folder))
        bundle.save(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}: spec {bundle.spec.short_hash}, {size // 1024} KiB")
    if name == PRETRAINED:
        written = generate(bundle, "px4", target_root("px4_module")).written
        print(f"{len(written)} files of px4_module written")


def slim(bundle: ModelBundle) -> ModelBundle:
    """The bundle without what its manifest holds of single flights; their number stays."""
    replace = msgspec.structs.replace
    metrics, training = bundle.manifest.metrics, bundle.manifest.training
    scores = {name: getattr(metrics, name) for name in ("float32", "int8", "baseline", "slope", "trees", "physics")}
    flights = len(training.dataset.flights) or training.dataset.flight_count
    return bundle.with_manifest(
        metrics=replace(
            metrics, **{name: replace(score, by_flight={}) for name, score in scores.items() if score is not None}
        ),
        training=replace(training, dataset=replace(training.dataset, flights=(), flight_count=flights)),
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
    sys.exit(main())
