"""Matplotlib figures as SVG inside the page, styled by its style sheet.

Charts are drawn in placeholder colours that become CSS variables, and text stays text: one drawing for light and dark
pages and any font.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from px4_tinyml.errors import ToolchainError
from px4_tinyml.signal.spec import MAX_LABELS

STYLE_COLOURS = ("ink", "soft", "faint", "line", "accent", "uncertain", "between")
COLOUR_NAMES = (*STYLE_COLOURS, *(f"label-{i}" for i in range(MAX_LABELS)))
KNOWN_LABELS = ("level", "climb", "descend", "turbulence")
"""These have the same colour in every report."""


@dataclass(frozen=True)
class Size:
    """One rendering of a chart. name is also the CSS class that shows it; width in CSS pixels."""

    name: str
    width: int


SIZES = (Size("laptop", 940), Size("phone", 358))


def colour(name: str) -> str:
    """The placeholder that `inline_svg` turns into var(--name)."""
    return f"#fe00{COLOUR_NAMES.index(name):02x}"


def label_colours(labels: tuple[str, ...]) -> dict[str, str]:
    """CSS colour name of each label: known labels keep theirs, others get the remaining ones."""
    known = len(KNOWN_LABELS)
    fixed = {name: KNOWN_LABELS.index(name) for name in labels if name in KNOWN_LABELS}
    free = (i for i in (*range(known, MAX_LABELS), *range(known)) if i not in fixed.values())
    return {name: f"label-{fixed[name] if name in fixed else next(free)}" for name in labels}


@contextmanager
def new_figure(size: Size, height: int) -> Iterator[Any]:
    """A figure of size.width × height CSS pixels (one point is one pixel), with the page's typography."""
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ToolchainError("matplotlib is missing: pip install 'px4-tinyml[train]'") from error
    style: Any = {
        "svg.fonttype": "none",
        "font.size": 12,
        "axes.edgecolor": colour("line"),
        "axes.labelcolor": colour("soft"),
        "axes.titlecolor": colour("ink"),
        "axes.titlelocation": "left",
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.titlepad": 5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.facecolor": "none",
        "grid.color": colour("line"),
        "grid.linewidth": 0.7,
        "xtick.color": colour("line"),
        "ytick.color": colour("line"),
        "xtick.labelcolor": colour("soft"),
        "ytick.labelcolor": colour("soft"),
        "figure.facecolor": "none",
        "figure.dpi": 72,
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not the user's matplotlibrc: the same inputs give the same bytes
        matplotlib.rcParams.update(style)
        figure = Figure(figsize=(size.width / 72, height / 72))
        FigureCanvasSVG(figure)
        yield figure


def inline_svg(figure: Any, name: str, size: Size, description: str) -> Markup:
    """The figure as an <svg> element; call inside `new_figure`. name keeps its ids apart from other charts'."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    head, body = text.split(">", 1)
    view_box = re.search(r'viewBox="[^"]*"', head)
    assert view_box is not None
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    for before in (' id="', "url(#", ' href="#'):
        body = body.replace(before, f"{before}{name}-{size.name}-")
    body = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", body)
    for colour_name in COLOUR_NAMES:
        body = body.replace(colour(colour_name), f"var(--{colour_name})")
    attributes = f'class="chart {size.name}" {view_box[0]} role="img" aria-label="{escape(description)}"'
    return Markup(f"<svg {attributes}>{body.strip()}")
