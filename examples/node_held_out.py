"""Classify the captures of a data set that were held out of training, in the emulated sensor node.

    python examples/node_held_out.py DATASET BUNDLE CAPTURES.csv...

Builds the sketch for the bundle, runs it on a Cortex-M4F in QEMU with the held-out captures as its sensors' samples,
and reads its MAVLink messages (docs/tutorial_arduino.md). Exit code 3 when a decision differs from Python's.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.errors import Px4TinymlError
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs import read_log
from px4_tinyml.signal.slots import Feed, feed
from px4_tinyml.targets.arduino.build import build_node
from px4_tinyml.targets.arduino.run import run_node
from px4_tinyml.targets.compare import compare
from px4_tinyml.units import US_PER_S


def held_out(dataset: Path, paths: list[Path]) -> list[FlightLog]:
    """The captures that the data set's test part has, found by their content and number."""
    document = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    wanted = {
        (flight["sha256"], flight["source"].rpartition("#")[2])
        for flight in document["flights"]
        if flight["part"] == "test"
    }
    captures = [capture for path in paths for capture in read_log(path)]
    return [c for c in captures if (c.sha256, c.source.rpartition("#")[2]) in wanted]


def one_after_the_other(captures: list[FlightLog], bundle: ModelBundle) -> Feed:
    """One after the other, with a pause between in which the window is reset."""
    spec = bundle.spec
    pause_us = 2 * spec.hop * US_PER_S  # whole hops: each capture stays one window
    feeds = [feed(capture, spec) for capture in captures]
    start_us = [spec.slot_start_us(spec.slot_of(int(f.imu_time_us[1]))) for f in feeds]
    times = [
        f.imu_time_us.astype(np.int64) - start + (number + 1) * pause_us
        for number, (f, start) in enumerate(zip(feeds, start_us, strict=True))
    ]
    nothing = np.zeros(0)
    return Feed(
        np.concatenate(times).astype(np.uint64),
        np.concatenate([f.imu for f in feeds]),
        nothing.astype(np.uint64),
        nothing.astype(np.float32),
        np.zeros(sum(map(len, times)), np.int64),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("captures", type=Path, nargs="+")
    args = parser.parse_args()
    bundle = ModelBundle.load(args.bundle)
    spec = bundle.spec
    captures = held_out(args.dataset, args.captures)
    if not captures:
        print("none of these captures was held out of the data set", file=sys.stderr)
        return 2
    events = one_after_the_other(captures, bundle)
    expected = bundle.classifier().run(events)
    reported = run_node(build_node(bundle), events, spec)
    difference = compare(("python", "node"), expected, reported, spec)

    labels = [capture.labels[0].label for capture in captures]
    names = [*spec.labels, "uncertain"]
    width = max(map(len, names))
    print(f"{len(captures)} captures held out; rows: label, columns: class reported by the node\n")
    print(" " * width, *(f"{name:>{width}}" for name in names))
    for label in spec.labels:
        classes = reported.decisions["class_index"][[i for i, each in enumerate(labels) if each == label]]
        counts = [int((classes == index).sum()) for index in (*range(len(spec.labels)), -1)]
        print(f"{label:{width}}", *(f"{count or '.':>{width}}" for count in counts))
    index = reported.decisions["class_index"]
    right = sum(name == label for name, label in zip(map(names.__getitem__, index), labels, strict=True))
    likeliest = reported.decisions["probability"].argmax(axis=1)
    likely = sum(names[best] == label for best, label in zip(likeliest, labels, strict=True))
    print(f"\nright: {right}, uncertain: {int((index < 0).sum())}, of {len(captures)}; likeliest class right: {likely}")
    print(f"different from Python: {difference.mismatches}")
    if difference.first:
        print(difference.first)
    return 3 if difference.mismatches else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Px4TinymlError as error:
        sys.exit(f"{error}")
