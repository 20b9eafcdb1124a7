"""Prepared flights to a data set folder, which is replaced as a whole."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from msgspec import UNSET, UnsetType

from px4_tinyml import __version__
from px4_tinyml.bundle.manifest import Part, SplitBy, WindowCounts
from px4_tinyml.dataset.autolabel import BETWEEN_NAME
from px4_tinyml.dataset.spans import file_and_part
from px4_tinyml.dataset.split import PARTS
from px4_tinyml.dataset.store import (
    DATASET_FILE,
    DATASET_VERSION,
    FLIGHTS_FOLDER,
    Dataset,
    Description,
    FlightEntry,
    FlightWindows,
    Injected,
    UnusedLog,
    write_flight,
)
from px4_tinyml.errors import DatasetError
from px4_tinyml.files import write_json
from px4_tinyml.flight_log import FlightLog
from px4_tinyml.logs.checks import rate_warnings
from px4_tinyml.signal.spec import PipelineSpec


@dataclass
class Prepared:
    """One flight ready to be stored. counts: its complete windows by label, or by the reason why they have no label.

    flight: key of the flight; recordings with one key stay in one part of the split.
    """

    flight: str
    log: FlightLog
    windows: FlightWindows
    counts: Mapping[str, int]
    resets: Mapping[str, int]


def unique_names(sources: Sequence[str]) -> list[str]:
    """A short name for each log: its file name, with as many parent folders as make it unique."""
    split_up = [file_and_part(source) for source in sources]
    deepest = max((len(PurePath(file).parts) for file, _ in split_up), default=0)
    tails = [
        [str(PurePath(*PurePath(file).parts[-depth:])) + part for file, part in split_up]
        for depth in range(1, deepest + 1)
    ]
    counts = [Counter(names) for names in tails]
    return [
        next((names[i] for names, count in zip(tails, counts, strict=True) if count[names[i]] == 1), source)
        for i, source in enumerate(sources)
    ]


def write_dataset(
    out: Path,
    spec: PipelineSpec,
    flights: Sequence[Prepared],
    parts: Sequence[Part],
    names: Sequence[str],
    split_by: SplitBy,
    seed: int,
    unusable: Sequence[UnusedLog],
    thinned_hz: float | None = None,
    inject: Injected | UnsetType = UNSET,
) -> Dataset:
    """Write a data set folder. parts, names: of each flight."""
    with _replacing(out) as folder:
        entries = []
        for i, (flight, name, part) in enumerate(zip(flights, names, parts, strict=True)):
            stem = re.sub(r"[^A-Za-z0-9_.#-]", "_", PurePath(name).name)[-100:]
            file = f"{FLIGHTS_FOLDER}/{i:04d}_{stem}.parquet"
            sha256 = write_flight(folder / file, flight.windows, spec)
            entries.append(_entry(flight, spec, file, sha256, name, part))
        about = Description(
            dataset_version=DATASET_VERSION,
            px4_tinyml=__version__,
            spec=spec.to_dict(),
            spec_hash=spec.hash,
            labels=spec.labels,
            seed=seed,
            split_by=split_by,
            thinned_hz=thinned_hz,
            counts=_totals(entries, spec),
            flights=tuple(entries),
            unusable=tuple(unusable),
            inject=inject,
        )
        write_json(folder / DATASET_FILE, about, indent=1)
    return Dataset(out, spec, about)


def check_out(out: Path) -> None:
    """DatasetError when a data set cannot be written there, or something else would be overwritten."""
    try:
        if out.exists() and not (out / DATASET_FILE).exists() and any(out.iterdir()):
            raise DatasetError(f"{out}: exists and is not a data set; give another folder")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"{out}: cannot be written ({error.strerror}); give another folder") from error


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A new folder whose content replaces the data set in `out` once it is complete."""
    check_out(out)
    with tempfile.TemporaryDirectory(dir=out, prefix="new-") as new:
        folder = Path(new)
        (folder / FLIGHTS_FOLDER).mkdir()
        yield folder
        (out / DATASET_FILE).unlink(missing_ok=True)  # first: what an interrupt leaves must not load
        shutil.rmtree(out / FLIGHTS_FOLDER, ignore_errors=True)
        for name in (FLIGHTS_FOLDER, DATASET_FILE):
            (folder / name).rename(out / name)


def _entry(flight: Prepared, spec: PipelineSpec, file: str, file_sha256: str, source: str, part: Part) -> FlightEntry:
    counts = flight.counts
    return FlightEntry(
        file=file,
        file_sha256=file_sha256,
        source=source,
        part=part,
        sha256=flight.log.sha256,
        kind=flight.log.kind,
        vehicle=flight.log.vehicle,
        labels={name: counts[name] for name in spec.labels},
        between=counts[BETWEEN_NAME],
        without_baro=int((~flight.windows.baro_ok).sum()),
        dropped={why: n for why, n in counts.items() if n and why not in (*spec.labels, BETWEEN_NAME)},
        resets=dict(flight.resets),
        warnings=log_warnings(flight, spec),
    )


def log_warnings(flight: Prepared, spec: PipelineSpec) -> tuple[str, ...]:
    """Warnings about a flight's log."""
    return (*flight.log.warnings, *rate_warnings(flight.log.imu, spec))


def _totals(entries: Sequence[FlightEntry], spec: PipelineSpec) -> WindowCounts:
    dropped: Counter[str] = Counter()
    resets: Counter[str] = Counter()
    windows: dict[Part, dict[str, int]] = {part: dict.fromkeys(spec.labels, 0) for part in PARTS}
    for entry in entries:
        dropped.update(entry.dropped)
        resets.update(entry.resets)
        for name, n in entry.labels.items():
            windows[entry.part][name] += n
    return WindowCounts(windows, sum(entry.between for entry in entries), dict(dropped), dict(resets))
