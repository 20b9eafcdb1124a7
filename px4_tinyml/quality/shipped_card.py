"""The model card of a bundle that ships: from backgrounds.csv and the JSON of real_air.py, and as a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.model_card import CardBackground, CardShare, CardVehicle, ModelCard
from px4_tinyml.errors import DatasetError, ParityError, SpecError
from px4_tinyml.files import checked, parse_json, read_file
from px4_tinyml.quality.air_figures import Share, VehicleAir
from px4_tinyml.quality.judge import RealAir
from px4_tinyml.quality.tables import NONE, table

BEGIN, END = "<!-- begin model card -->", "<!-- end model card -->"
MAX_BYTES = 1 << 24
INTENDED_USE = (
    "Multirotors only: vehicles known to be of another class are not judged.",
    "Advisory: an estimate beside other information, read by people or logged.",
    "IMU data of 25 Hz or more. Below 75 Hz vibration aliases: turbulence is missed more often, and each decision "
    "has the note reduced_sensitivity.",
)
NOT_FOR = (
    "Airworthiness or certified functions.",
    "Fixed wings, VTOLs and helicopters.",
    "Decisions on which safety depends.",
    "Go or no-go by itself: a decision that is uncertain has no information about the air.",
)
REPRODUCTION = (
    "The recordings are not part of the repository: repository, commit and file of each are named above.",
    "Everything else is made by make pretrained DATA=DIR: simulated flights, injected gusts, data set, training, and "
    "this card.",
)


def make_card(backgrounds: Iterable[CardBackground], vehicles: Iterable[VehicleAir]) -> ModelCard:
    """The card of a bundle trained with these recordings."""
    used = tuple(backgrounds)
    files = {recording.file for recording in used}
    return ModelCard(
        backgrounds=used,
        real_air=tuple(
            _vehicle(v, trained_on=not files.isdisjoint(v.files)) for v in vehicles if any(v.windows.values())
        ),
        intended_use=INTENDED_USE,
        not_for=NOT_FOR,
        reproduction=REPRODUCTION,
    )


def _vehicle(vehicle: VehicleAir, trained_on: bool) -> CardVehicle:
    figures = vehicle.stages["filtered"]
    shares = (
        figures.calm_called, figures.turbulent_found, figures.manoeuvre_called, figures.uncertain["all"]["total"]
    )  # fmt: skip
    return CardVehicle(vehicle.vehicle, trained_on, *(CardShare(share.count, share.of) for share in shares))


def read_backgrounds(path: Path) -> tuple[CardBackground, ...]:
    """Rows of a backgrounds.csv. Raises DatasetError."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_file(path, MAX_BYTES).decode("utf-8"), newline="")))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); `make pretrained` writes it") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a CSV file: {error}; `make pretrained` writes it") from error
    expected = CardBackground.__struct_fields__
    if not rows or any(set(row) != set(expected) or None in row.values() for row in rows):
        raise DatasetError(f"{path}: rows with the columns {', '.join(expected)} expected; `make pretrained` writes it")
    return tuple(CardBackground(**row) for row in rows)


def read_real_air(path: Path, model_sha256: str) -> list[VehicleAir]:
    """Vehicles of the JSON of real_air.py, with all samples. DatasetError; ParityError when it is of another model."""
    advice = "`real_air.py --json` writes it"
    try:
        data = parse_json(read_file(path, MAX_BYTES))
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); {advice}") from error
    except ValueError as error:
        raise DatasetError(f"{path}: damaged: {error}; {advice}") from error
    result = checked(RealAir, data, str(path), DatasetError, advice)
    if result.model_sha256 != model_sha256:
        raise ParityError(
            f"{path}: of model {result.model_sha256[:16]}, the bundle holds {model_sha256[:16]}: "
            "judge this bundle again"
        )
    return next((tables.vehicles for tables in result.tables if tables.rate_hz is None), [])


def page_text(bundle: ModelBundle) -> str:
    """The generated part of docs/model_card.md. Raises SpecError for a bundle without a card."""
    card = bundle.manifest.card
    if card is None:
        raise SpecError("the bundle has no model card; benchmarks/pretrained.py adds one")
    parts = [
        f"Spec {bundle.spec.short_hash}, model {bundle.sha256[:16]}.",
        "## Recordings it was trained with",
        table(
            ("recording", "vehicle", "licence", "source"),
            [(r.file, r.vehicle, r.licence, f"{r.source} @ {r.commit[:10]}") for r in card.backgrounds],
        ),
    ]
    if card.stated_elsewhere:
        files = ", ".join(f"`{r.file}`" for r in card.stated_elsewhere)
        parts.append(f"These have no licence file; the licence is stated where the brackets name it: {files}.")
    parts += [
        "## Real air, by vehicle",
        table(
            ("vehicle", "trained with it", "calm called turbulence", "turbulent found", "manoeuvre called turbulence",
             "uncertain"),
            [_row(vehicle) for vehicle in card.real_air],
        ),
        "## Intended use", _listed(card.intended_use),
        "## Must not be used for", _listed(card.not_for),
        "## What a clone can reproduce", _listed(card.reproduction),
    ]  # fmt: skip
    return "\n\n".join(parts)


def _row(v: CardVehicle) -> tuple[str, ...]:
    shares = (v.calm_called, v.turbulent_found, v.manoeuvre_called, v.uncertain)
    return v.vehicle, "yes" if v.trained_on else "no", *(str(Share(s.count, s.of)) for s in shares)


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences) or NONE
