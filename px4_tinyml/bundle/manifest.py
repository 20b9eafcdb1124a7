"""What manifest.json holds, key by key. `ModelBundle.load` checks a file against these types once.

Keys on disk are the names of the fields, unless a field names another. No dates: the same inputs and seed give the
same bytes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from px4_tinyml.bundle.model_card import ModelCard
from px4_tinyml.files import JsonObject

SplitBy = Literal["airframe", "flight", "stretch"]
Part = Literal["train", "validation", "test"]
Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Finite = Annotated[float, Meta(ge=-1e30, le=1e30)]
Confusion = list[list[Count]]
"""Windows [truth, predicted]."""


class FlightScore(JsonObject, frozen=True):
    """One model on one flight."""

    windows: Count
    accuracy: Share
    macro_f1: Share
    confusion: Confusion


class Score(FlightScore, frozen=True):
    """One model on the flights of a part. f1: by label, None without windows; by_flight: by source."""

    macro_f1_interval: tuple[Share, Share]
    f1: dict[str, Share | None]
    by_flight: dict[str, FlightScore] = msgspec.field(default_factory=dict)


class CalledShare(JsonObject, frozen=True):
    """Windows called turbulence, of those in a range of true EDR."""

    windows: Count
    called: Count


class EdrFigures(JsonObject, frozen=True):
    """int8 ln EDR against the true EDR of single windows, m^⅔/s, after the curve.

    calm: up to 0.10; moderate: 0.2 to 0.3; strong: 0.3 to 0.9. factor_68, factor_90: 68 % and 90 % of the windows from
    0.15 up are within this factor of the truth, None without any. unfamiliar: share of all windows.
    """

    calm: CalledShare
    moderate: CalledShare
    strong: CalledShare
    factor_68: Finite | None
    factor_90: Finite | None
    unfamiliar: Share


class TreesAgreement(JsonObject, frozen=True):
    """Share of windows in which int8 and the boosted trees decide alike, and the accuracy of int8 in those and others.

    None: no such window.
    """

    share: Share
    accuracy_where_agreed: Share | None
    accuracy_elsewhere: Share | None


class Metrics(JsonObject, frozen=True):
    """What `evaluate --json` prints. agreement: share of windows in which int8 and float predict the same label.

    between: how int8 classifies the windows with EDR between calm and turbulent, by label. baseline: thresholds on the
    features; slope: the barometer alone; trees: boosted trees on the same features; physics: EDR by a formula. None
    where one does not apply, or cannot be had.
    """

    labels: tuple[str, ...]
    spec_hash: str
    float32: Score = msgspec.field(name="float")
    int8: Score
    baseline: Score
    agreement: Share
    between: dict[str, Count] | None = None
    slope: Score | None = None
    trees: Score | None = None
    physics: Score | None = None
    agreement_trees: TreesAgreement | None = None
    edr: EdrFigures | None = None

    def __post_init__(self) -> None:
        for name, score in self.scores.items():
            if {len(self.labels)} != {len(score.confusion), *map(len, score.confusion)}:
                raise ValueError(f"expected {len(self.labels)} rows and columns in the confusion of {name}")
            if set(score.f1) != set(self.labels):
                raise ValueError(f"expected f1 of {', '.join(self.labels)} for {name}")

    @property
    def scores(self) -> dict[str, Score]:
        """By the name of the model in the JSON document."""
        every = {
            "float": self.float32, "int8": self.int8, "baseline": self.baseline,
            "slope": self.slope, "trees": self.trees, "physics": self.physics,
        }  # fmt: skip
        return {name: score for name, score in every.items() if score is not None}


class QuantizedTensor(JsonObject, frozen=True):
    """real value = scale · (int8 value − zero_point)."""

    scale: Annotated[float, Meta(gt=0.0, le=1e30)]
    zero_point: Annotated[int, Meta(ge=-128, le=127)]
    shape: tuple[Annotated[int, Meta(ge=1)], ...]


class TfliteModel(JsonObject, frozen=True):
    """The int8 network of model.tflite: the one kind of model so far. operators: in order of execution."""

    arch: str
    parameters: Count
    macs: Count
    operators: tuple[str, ...]
    weights_bytes: Count
    model_bytes: Count
    input: QuantizedTensor
    output: QuantizedTensor


class ArenaBytes(JsonObject, frozen=True):
    """Arena of each engine. tflm_arena_bytes: on a 64-bit computer, None where it could not be measured."""

    compiled_arena_bytes: Count
    tflm_arena_bytes: Count | None


class WindowCounts(JsonObject, frozen=True):
    """Windows of a data set: by part and label, and those left out, by reason. resets: of the signal path, by cause."""

    windows: dict[Part, dict[str, Count]]
    between: Count
    dropped: dict[str, Count]
    resets: dict[str, Count]

    def __post_init__(self) -> None:
        if set(self.windows) != set(get_args(Part)):
            raise ValueError(f"expected windows of {', '.join(get_args(Part))}")


class TrainedFlight(JsonObject, frozen=True):
    """A flight of the data set. labels: windows by label."""

    source: str
    vehicle: str
    part: Part
    labels: dict[str, Count]


class TrainedOn(JsonObject, frozen=True):
    """The data set of a training. A bundle that ships with the package has flight_count instead of flights."""

    spec_hash: str
    split_by: SplitBy
    counts: WindowCounts
    thinned_hz: Finite | UnsetType | None = UNSET
    flights: tuple[TrainedFlight, ...] = ()
    flight_count: Count | None = None


class Training(JsonObject, frozen=True):
    """Options and course of a training. loss, validation_loss: by epoch; best_epoch counts from 1."""

    seed: int
    epochs: Count
    epochs_run: Count
    best_epoch: Count
    batch: Count
    learning_rate: Finite
    loss: list[Finite]
    validation_loss: list[Finite]
    dataset: TrainedOn

    def __post_init__(self) -> None:
        if not len(self.loss) == len(self.validation_loss) == self.epochs_run >= self.best_epoch >= 1:
            raise ValueError(f"expected {self.epochs_run} losses, and a best epoch among them")


class Thresholds(JsonObject, frozen=True):
    """The physics baseline: a decision tree over named features. left and right: the next node, −1 at a leaf."""

    features: list[str]
    feature: list[int]
    threshold: list[Finite]
    left: list[int]
    right: list[int]
    label: list[Count]
    rules: str

    def __post_init__(self) -> None:
        nodes = len(self.feature)
        if not nodes or any(len(values) != nodes for values in (self.threshold, self.left, self.right, self.label)):
            raise ValueError("expected `feature`, `threshold`, `left`, `right` and `label` of one length")
        if not all(-1 <= node < nodes for node in (*self.left, *self.right)):
            raise ValueError(f"expected nodes -1 to {nodes - 1} in `left` and `right`")
        if not all(feature < len(self.features) for feature in self.feature):
            raise ValueError(f"expected features up to {len(self.features) - 1} in `feature`")


class QuantizationGate(JsonObject, frozen=True):
    """What int8 costs over every labelled window of the data set."""

    windows: Count
    agreement: Share
    float_macro_f1: Share
    int8_macro_f1: Share


class ClassifierCost(JsonObject, frozen=True):
    """Classifier with its signal path on a target, measured. In bundles that ship with the package."""

    target: str
    engine: str
    instructions: Count
    flash_bytes: Count
    ram_bytes: Count
    stack_bytes: Count


class Manifest(JsonObject, frozen=True):
    """How a bundle was trained, and how good and how big it is. tools: version by package.

    physics_ln: the constant of the formula for ln EDR (training/baselines.py), of bundles with output = "edr".
    card: of bundles that ship and were trained on recordings too.
    """

    model: TfliteModel
    memory: ArenaBytes
    training: Training
    baseline: Thresholds
    tools: dict[str, str]
    int8_gate: QuantizationGate
    metrics: Metrics
    cost: ClassifierCost | None = None
    physics_ln: Finite | None = None
    card: ModelCard | None = None


class ManifestFile(Manifest, frozen=True, kw_only=True):
    """manifest.json: the manifest, the spec, and the hashes of the other files. files: None before version 0.1.0."""

    bundle_version: int
    spec: dict[str, Any]
    spec_hash: str
    labels: tuple[str, ...]
    model_sha256: str
    files: dict[str, str] | None = None
