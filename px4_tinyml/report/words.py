"""Numbers and lists as the report writes them; the filters of its template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

NARROW_SPACE = "\u202f"
NOTHING = "–"
NO_WINDOWS = "no test windows"


def count(value: int) -> str:
    """33 504."""
    return f"{value:,}".replace(",", NARROW_SPACE)


def score(value: float | None) -> str:
    """0.962; text for a class without windows."""
    return NO_WINDOWS if value is None else f"{value:.3f}"


def percent(part: float, whole: float = 1.0) -> str:
    """12.3 %; a dash for a share of nothing."""
    return NOTHING if whole == 0 else f"{100.0 * part / whole:.1f}{NARROW_SPACE}%"


def plural(value: int, noun: str) -> str:
    """1 flight, 2 flights."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def tally(names: Sequence[str]) -> str:
    """a, 2 × b."""
    return ", ".join(f"{n} × {name}" if n > 1 else name for name, n in Counter(names).items())


def signed(value: object) -> str:
    """The text of a number, or of words about numbers, with a proper minus."""
    return str(value).replace("-", "−")


FILTERS = {f.__name__: f for f in (count, score, percent, plural, listed, tally, signed)}
