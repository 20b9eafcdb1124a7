"""`dataset --inject`: backgrounds and gust responses to labelled examples in three parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from px4_tinyml.bundle.manifest import Part, SplitBy
from px4_tinyml.dataset import DEFAULT_EXAMPLES
from px4_tinyml.dataset.autolabel import (
    BETWEEN,
    CALM_EDR,
    MANOEUVRING,
    MIXED,
    SPARSE,
    TURBULENT_EDR,
    label_counts,
    label_windows,
    reason_code,
)
from px4_tinyml.dataset.backgrounds import Background, Piece, split_backgrounds
from px4_tinyml.dataset.inject import Batch, Pool, Responses, draw, generators, make_batches
from px4_tinyml.dataset.split import PARTS, SHARES, by_rank
from px4_tinyml.dataset.store import STORED_REASONS, BackgroundEntry, FlightWindows, Injected
from px4_tinyml.errors import DatasetError, SpecError
from px4_tinyml.flight_log import I64
from px4_tinyml.progress import bar
from px4_tinyml.signal.responses import SHIPPED, ResponseLibrary, load_responses
from px4_tinyml.signal.spec import TURBULENCE_LABEL, PipelineSpec
from px4_tinyml.signal.vertical import speed_m_s

KINDS = {True: "simulated", False: "real"}


@dataclass(frozen=True)
class InjectOptions:
    """examples: number to make, those dropped included. responses: library of gust responses.

    split_by: what of recorded flights stays in one part; None: the coarsest of vehicle, flight and stretch that leaves
    no part empty.
    """

    examples: int = DEFAULT_EXAMPLES
    responses: Path = SHIPPED
    split_by: SplitBy | None = None


@dataclass(frozen=True)
class Examples:
    """Examples of one piece. counts: all that were drawn, by label or reason."""

    piece: Piece
    windows: FlightWindows
    counts: Mapping[str, int]


Labelled = tuple[FlightWindows, I64]
"""Examples with labels or the codes of reasons, and the piece of the pool of each."""


def check_inject(spec: PipelineSpec) -> None:
    """SpecError unless gusts can be injected for a spec."""
    if spec.input != "bands" or TURBULENCE_LABEL not in spec.labels:
        raise SpecError(
            f"--inject needs a spec with input = 'bands' and output = 'edr' or the label {TURBULENCE_LABEL}: "
            'use --preset bands, or preset = "bands" in the spec'
        )


def make_examples(
    backgrounds: Sequence[Background], spec: PipelineSpec, options: InjectOptions, seed: int
) -> tuple[list[Examples], SplitBy, Injected]:
    """Examples by piece in order, what was kept together by the split, and the summary.

    The same logs and seed give the same examples in any order of the logs. Those of a vehicle are drawn by its key.
    Raises DatasetError when a part has no background or no response.
    """
    library = load_responses(options.responses)
    response_parts = _response_parts(library)
    pieces, split_by = _pieces(backgrounds, spec, options.split_by)
    _check_parts(response_parts, pieces, backgrounds)
    responses = Responses.of(library, spec)
    made: list[Examples] = []
    with bar(total=options.examples, desc="injecting gusts", unit="example") as shown:
        for part, share in zip(PARTS, _apportion(options.examples, SHARES), strict=True):
            rows = [i for i, where in enumerate(response_parts) if where == part]
            for pool, count in _pools([p for p in pieces if p.part == part], share, spec):
                batches: list[Labelled] = []
                for batch in _drawn(pool, count, rows, responses, spec, seed):
                    batches.append(_label(pool, batch, spec))
                    shown.update(len(batch.edr))
                made += _by_piece(pool, batches, spec)
    made.sort(key=lambda examples: (examples.piece.background.log.source, examples.piece.low))
    return made, _weakest(split_by), _summary(made, backgrounds, library, response_parts, split_by)


def _pieces(
    backgrounds: Sequence[Background], spec: PipelineSpec, by: SplitBy | None
) -> tuple[list[Piece], dict[str, SplitBy]]:
    """Backgrounds in their parts; simulated and real ones are split apart."""
    pieces: list[Piece] = []
    split_by: dict[str, SplitBy] = {}
    for simulated, kind in KINDS.items():
        some = sorted((b for b in backgrounds if b.simulated == simulated), key=lambda b: b.flight)
        if some:
            more, split_by[kind] = split_backgrounds(some, spec.window, None if simulated else by)
            pieces += more
    return pieces, split_by


def _response_parts(library: ResponseLibrary) -> list[Part]:
    """Part of each response. Each is of a vehicle of its own, drawn around its airframe."""
    keys = [f"{airframe} {number}" for number, airframe in enumerate(library.airframe)]
    parts = by_rank(keys)
    return [parts[key] for key in keys]


def _check_parts(response_parts: Sequence[Part], pieces: Sequence[Piece], backgrounds: Sequence[Background]) -> None:
    if {piece.part for piece in pieces} != set(PARTS):
        raise DatasetError(
            f"{sum(b.seconds for b in backgrounds):.0f} s of background found in {len(backgrounds)} flight(s): too "
            "little to train, validate and test on different stretches; add calm flights"
        )
    if set(response_parts) != set(PARTS):
        raise DatasetError(
            f"{len(response_parts)} gust responses found, at least {len(PARTS)} needed; "
            "write more with `px4-tinyml fly --responses`"
        )


def _weakest(split_by: Mapping[str, SplitBy]) -> SplitBy:
    order: tuple[SplitBy, ...] = ("stretch", "flight", "airframe")
    return next(by for by in order if by in split_by.values())


def _apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers near the weights, of the given sum."""
    edges = np.rint(total * np.cumsum(weights) / sum(weights)).astype(int)
    return [int(n) for n in np.diff(edges, prepend=0)]


def _pools(pieces: Sequence[Piece], count: int, spec: PipelineSpec) -> Iterator[tuple[Pool, int]]:
    """Pieces by vehicle, and their number of examples: half of simulated vehicles, each vehicle alike within a half."""
    order = sorted(pieces, key=lambda p: (p.background.simulated, p.background.log.vehicle, p.background.flight))
    kinds = [list(group) for _, group in groupby(order, key=lambda p: p.background.simulated)]
    for kind, half in zip(kinds, _apportion(count, [1.0] * len(kinds)), strict=True):
        vehicles = [list(group) for _, group in groupby(kind, key=lambda p: p.background.log.vehicle)]
        for vehicle, examples in zip(vehicles, _apportion(half, [1.0] * len(vehicles)), strict=True):
            if examples:
                yield Pool.of(vehicle, spec.window), examples


def _drawn(
    pool: Pool, count: int, rows: Sequence[int], responses: Responses, spec: PipelineSpec, seed: int
) -> Iterator[Batch]:
    piece = pool.pieces[0]
    simulated = piece.background.simulated
    key = f"{seed} {KINDS[simulated]} {piece.part} {piece.background.log.vehicle}"
    recipe = draw(key, count, simulated, rows)
    return make_batches(pool, recipe, responses, generators(f"{key} noise", 1)[0], spec)


def _label(pool: Pool, batch: Batch, spec: PipelineSpec) -> Labelled:
    """Labels by the injected EDR, else the background's over the slots of its reported vertical speed, else level."""
    slots, last = pool.slots, batch.rows[:, -1]
    # As reported: of the last slots of the background, which time compression leaves as they are.
    recent = np.maximum(last[:, None] + np.arange(1 - spec.vertical.mean_slots, 1), batch.rows[:, :1])
    y = label_windows(slots.label[recent], batch.sparse)
    unknown = spec.labels.index("level") if "level" in spec.labels else reason_code("unlabelled")
    y[(y < 0) & (y != reason_code(MIXED))] = unknown
    y[batch.edr > CALM_EDR] = BETWEEN
    y[batch.edr >= TURBULENT_EDR] = spec.labels.index(TURBULENCE_LABEL)
    y[batch.manoeuvring] = reason_code(MANOEUVRING)
    y[batch.sparse] = reason_code(SPARSE)
    starts = [spec.slot_start_us(slot) for slot in slots.index[batch.rows[:, 0]].tolist()]
    windows = FlightWindows(
        x=batch.x[:, None],
        y=y,
        start_us=np.array(starts, np.uint64),
        baro_ok=slots.baro_ok[last],
        altitude_m=np.full(len(y), np.nan, np.float32),
        velocity_down_m_s=slots.velocity_down_m_s[last],
        edr_m23_s=batch.edr,
        response=batch.response.astype(np.int32),
        vertical_speed_m_s=speed_m_s(slots.vertical_mm_s[last]),
        baro_slope_m_s=slots.baro_slope_m_s[last],
    )
    return windows, batch.piece


def _by_piece(pool: Pool, batches: Sequence[Labelled], spec: PipelineSpec) -> list[Examples]:
    """Examples of each piece of a pool, by time; those without a label are counted only, unless their EDR is of use."""
    names = list(vars(batches[0][0]))
    columns = {name: np.concatenate([getattr(windows, name) for windows, _ in batches]) for name in names}
    number = np.concatenate([piece for _, piece in batches])
    stored = [*range(len(spec.labels)), *STORED_REASONS.values()]
    result = []
    for i, piece in enumerate(pool.pieces):
        mine = np.flatnonzero(number == i)
        kept = mine[np.isin(columns["y"][mine], stored)]
        kept = kept[np.argsort(columns["start_us"][kept], kind="stable")]
        windows = FlightWindows(**{name: column[kept] for name, column in columns.items()})
        result.append(Examples(piece, windows, label_counts(columns["y"][mine], spec)))
    return result


def _summary(
    made: Sequence[Examples],
    backgrounds: Sequence[Background],
    library: ResponseLibrary,
    response_parts: Sequence[Part],
    split_by: dict[str, SplitBy],
) -> Injected:
    examples: dict[Part, int] = dict.fromkeys(PARTS, 0)
    dropped: Counter[str] = Counter()
    for each in made:
        examples[each.piece.part] += len(each.windows.y)
        dropped.update({why: each.counts[why] for why in (MANOEUVRING, SPARSE, "unlabelled") if each.counts[why]})
    return Injected(
        examples=examples,
        dropped=dict(dropped),
        airframes=library.airframe,
        response_parts=tuple(response_parts),
        split_by=split_by,
        backgrounds=tuple(_by_vehicle(backgrounds)),
    )


def _by_vehicle(backgrounds: Sequence[Background]) -> Iterator[BackgroundEntry]:
    """Seconds of each vehicle."""
    order = sorted(backgrounds, key=lambda b: (b.simulated, b.log.vehicle, b.flight))
    for (simulated, vehicle), group in groupby(order, key=lambda b: (b.simulated, b.log.vehicle)):
        flights = list(group)
        left_out: dict[str, float] = {}
        for flight in flights:
            for why, seconds in flight.left_out.items():
                left_out[why] = round(left_out.get(why, 0.0) + seconds, 2)
        total = round(sum(flight.seconds for flight in flights), 2)
        yield BackgroundEntry(vehicle, simulated, len(flights), total, left_out)
