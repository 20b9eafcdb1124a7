"""The figures of real air as Markdown tables, for the terminal and for docs/quality.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from px4_tinyml.errors import SpecError
from px4_tinyml.quality.air_figures import AirFigures, Share, VehicleAir
from px4_tinyml.quality.air_truth import AIR
from px4_tinyml.quality.judge import RealAir, Tables, UnknownAir
from px4_tinyml.quality.motion import COLUMNS, MotionRow

NONE = "–"
STAGE_NAMES = {"alone": "window", "filtered": "filter"}
BEGIN, END = "<!-- begin real air -->", "<!-- end real air -->"


def as_markdown(result: RealAir) -> str:
    """All tables of a result, one rate after the other."""
    parts = [_rate(tables) for tables in result.tables]
    if result.unusable:
        parts.append(f"Not usable: {', '.join(result.unusable)}.")
    return "\n\n".join(parts)


def _rate(tables: Tables) -> str:
    rate = "all samples" if tables.rate_hz is None else f"decimated to {tables.rate_hz:g} Hz"
    with_windows = [vehicle for vehicle in tables.vehicles if any(vehicle.windows.values())]
    parts = [
        f"### Air, by vehicle ({rate})",
        table(
            ("vehicle", "logs", "windows " + " / ".join(AIR), "left out", "stretches " + " / ".join(AIR)),
            [_counts(vehicle) for vehicle in tables.vehicles],
        ),
        table(
            ("vehicle", "by", "calm called turbulence", "turbulent found", "manoeuvre called turbulence", "AUC"),
            [
                (vehicle.vehicle, STAGE_NAMES[stage], *_rates(figures))
                for vehicle in with_windows
                for stage, figures in vehicle.stages.items()
            ],
        ),
        table(
            ("vehicle", "by", "uncertain of calm", "uncertain of all", "stretches reporting turbulence", "onset [s]"),
            [
                (vehicle.vehicle, STAGE_NAMES[stage], *_more(figures))
                for vehicle in with_windows
                for stage, figures in vehicle.stages.items()
            ],
        ),
        f"### Vertical motion, macro-F1 ({rate})",
        table(
            ("log", "windows", "four classes, window", "four classes, filter", "vertical", "barometer slope"),
            [_motion(row) for row in tables.motion],
        ),
        f"### Flights without truth about the air ({rate})",
        table(
            ("log", "windows", "turbulence, window", "turbulence, filter", "uncertain"),
            [_unknown(log) for log in tables.unknown_air],
        ),
    ]
    if tables.no_window:
        parts.append(f"No window: {', '.join(tables.no_window)}.")
    return "\n\n".join(parts)


def _counts(vehicle: VehicleAir) -> tuple[str, ...]:
    windows, stretches = (
        " / ".join(str(counts[name] or NONE) for name in AIR) for counts in (vehicle.windows, vehicle.stretches)
    )
    return vehicle.vehicle, str(vehicle.logs), windows, str(vehicle.left_out), stretches


def _rates(figures: AirFigures) -> tuple[str, ...]:
    auc = _number(figures.auc, 3) + (f" ({figures.not_scored} not scored)" if figures.not_scored else "")
    return str(figures.calm_called), str(figures.turbulent_found), str(figures.manoeuvre_called), auc


def _more(figures: AirFigures) -> tuple[str, ...]:
    reporting = ", ".join(f"{name} {s.count}/{s.of}" for name, s in figures.stretches_reporting.items() if s.of)
    onset = figures.onset
    delay = NONE
    if onset.missed.of:
        delay = f"{_number(onset.median_s, 1)}, at most {_number(onset.max_s, 1)}"
        delay += f", {onset.missed.count}/{onset.missed.of} never"
    return _uncertain(figures.uncertain["calm"]), _uncertain(figures.uncertain["all"]), reporting or NONE, delay


def _uncertain(shares: dict[str, Share]) -> str:
    """The total, and the counts by reason; a window may have several."""
    reasons = ", ".join(f"{name} {s.count}" for name, s in shares.items() if name != "total" and s.count)
    return f"{shares['total']}{f': {reasons}' if reasons else ''}"


def _motion(row: MotionRow) -> tuple[str, ...]:
    return row.name, str(row.windows), *(_number(row.macro_f1[column], 3) for column in COLUMNS)


def _unknown(log: UnknownAir) -> tuple[str, ...]:
    shares = log.turbulence_alone, log.turbulence_filtered
    return log.name, str(log.windows), *map(str, shares), _uncertain(log.uncertain)


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns; one word without rows."""
    if not rows:
        return "None."
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def between(page: Path, begin: str = BEGIN, end: str = END) -> tuple[str, str, str]:
    """A page before, between and after two markers, these left out. Raises SpecError for a page without them."""
    try:
        before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    except OSError as error:
        raise SpecError(f"{page}: cannot be read ({error.strerror})") from error
    inside, found, after = rest.partition(end)
    if not found:
        raise SpecError(f"{page}: no lines {begin} and {end} found, both expected around the generated text")
    return before, inside, after


def write_page(page: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Replace the text between the markers of a page. Raises SpecError for a page without them."""
    before, _, after = between(page, begin, end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
