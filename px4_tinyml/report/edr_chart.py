"""The chart of EDR: what the network reads of test windows, and what is reported after the curve, by the true EDR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.report.charts import BOTTOM, TOP, both_sizes, panel
from px4_tinyml.report.svg import Size, colour, inline_svg, new_figure
from px4_tinyml.signal.air_decision import EDR_UNIT, edr_e4, ln_q16
from px4_tinyml.training.quantize import int8_outputs

F64 = NDArray[np.float64]

EDGES = (0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.45, 0.65, 1.0)
"""Windows are grouped by true EDR between these, m^⅔/s."""
FEWEST = 5
"""Windows of a group that is drawn."""
TICKS = (0.03, 0.05, 0.1, 0.2, 0.5, 1.0)
LEVELS = (0.16, 0.5, 0.84)


@dataclass(frozen=True, eq=False)
class EdrByTruth:
    """Groups of test windows. true[G]: median; read[G]: median before the curve; reported[G,3]: LEVELS after it."""

    true: F64
    read: F64
    reported: F64


def edr_by_truth(bundle: ModelBundle, dataset: Dataset) -> EdrByTruth | None:
    """None for labels, and without test windows whose EDR is known."""
    spec = bundle.spec
    if spec.output != "edr":
        return None
    windows = dataset.windows(["test"], every=True)
    windows = windows.take(np.isfinite(windows.edr_m23_s))
    group = np.digitize(windows.edr_m23_s, EDGES)
    groups = [rows for rows in (group == i for i in range(1, len(EDGES))) if rows.sum() >= FEWEST]
    if len(groups) < 2:
        return None
    read = np.exp(int8_outputs(bundle.model, windows.x, spec)[:, 0].astype(np.float64))
    reported = np.array([edr_e4(ln_q16(float(edr)), spec) * EDR_UNIT for edr in read])
    return EdrByTruth(
        true=np.array([np.median(windows.edr_m23_s[rows]) for rows in groups]),
        read=np.array([np.median(read[rows]) for rows in groups]),
        reported=np.array([np.quantile(reported[rows], LEVELS) for rows in groups]),
    )


def edr_chart(found: EdrByTruth) -> Markup:
    """EDR as read and as reported against the truth, both axes logarithmic. The dashed line: where they are equal."""

    def draw(size: Size) -> Markup:
        height = 320
        with new_figure(size, height) as figure:
            axes = panel(figure, size, height, TOP, height - TOP - BOTTOM)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.plot(EDGES, EDGES, color=colour("faint"), linewidth=0.9, linestyle=(0, (3, 3)))
            low, middle, high = found.reported.T
            axes.fill_between(found.true, low, high, color=colour("accent"), linewidth=0, alpha=0.2)
            axes.plot(found.true, found.read, "o-", color=colour("faint"), linewidth=1.6, markersize=4)
            axes.plot(found.true, middle, "o-", color=colour("accent"), linewidth=2, markersize=5)
            for axis, limits in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
                axis.set_minor_locator(_none())
                axis.set_ticks(TICKS, [f"{tick:g}" for tick in TICKS])
                limits(EDGES[0], EDGES[-1])
            axes.set_xlabel("true EDR, m^⅔/s")
            axes.set_title("EDR of test windows, m^⅔/s")
            return inline_svg(figure, "edr", size, "EDR read and reported by true EDR")

    return both_sizes(draw)


def _none() -> object:
    from matplotlib.ticker import NullLocator

    return NullLocator()
