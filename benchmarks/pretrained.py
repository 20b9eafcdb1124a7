"""`make pretrained`, last step: a bundle becomes one that ships with the package; px4_module/ is made for `pretrained`.

    python benchmarks/pretrained.py NAME BUNDLE

Kept of the bundle: the models, the golden vectors, and a manifest without the rows for every single flight. Added: what
the classifier takes on a Cortex-M4F, measured as `px4-tinyml bench` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from px4_tinyml.bench.measure import measure, read_subject
from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.shipped import PRETRAINED, PRETRAINED_50HZ, pretrained_bundle, target_root
from px4_tinyml.targets.registry import generate

CPU = "cortex-m4"
PER_FLIGHT = ("by_flight", "flights")


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
    """Without what the manifest says of single flights; their number stays."""
    flights = len(bundle.manifest["training"]["dataset"]["flights"])
    kept = without(bundle.manifest, PER_FLIGHT)
    kept["training"]["dataset"]["flight_count"] = flights
    return bundle.with_manifest(**kept)


def without(data: Any, names: tuple[str, ...]) -> Any:
    """JSON data without the keys of these names, at any depth."""
    if isinstance(data, dict):
        return {key: without(value, names) for key, value in data.items() if key not in names}
    return [without(value, names) for value in data] if isinstance(data, list) else data


def cost(folder: Path) -> dict[str, Any]:
    """Flash, RAM and instructions of the compiled engine with the signal path around it."""
    found = measure(read_subject(folder), CPU)
    return {
        "target": CPU,
        "engine": found.engine,
        "instructions": found.instructions,
        "flash_bytes": found.classifier_flash_bytes,
        "ram_bytes": found.classifier_ram_bytes,
        "stack_bytes": found.stack_bytes,
    }


if __name__ == "__main__":
    main()
