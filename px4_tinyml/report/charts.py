"""The charts: loss curves, and the timeline of a flight, each drawn for a laptop and for a phone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from px4_tinyml.bundle.manifest import Training
from px4_tinyml.dataset.autolabel import CALM_EDR, TURBULENT_EDR
from px4_tinyml.report.svg import SIZES, Size, colour, inline_svg, label_colours, new_figure
from px4_tinyml.report.timeline import Timeline
from px4_tinyml.signal.spec import PipelineSpec

F64 = NDArray[np.float64]

LEFT, RIGHT, TOP, BOTTOM = 62, 12, 22, 40
TITLE = 30
"""Margins and the room a panel's title takes, in pixels."""


def both_sizes(draw: Callable[[Size], Markup]) -> Markup:
    """A chart at every size; the style sheet shows one of them."""
    return Markup("\n").join(draw(size) for size in SIZES)


def loss_chart(training: Training, spec: PipelineSpec) -> Markup:
    """Training and validation loss by epoch, with the epoch whose weights were kept."""
    title = "Huber loss of log EDR" if spec.output == "edr" else "weighted cross-entropy"

    def draw(size: Size) -> Markup:
        height = 260
        with new_figure(size, height) as figure:
            axes = panel(figure, size, height, TOP, height - TOP - BOTTOM)
            epochs = np.arange(1, len(training.loss) + 1)
            best = training.best_epoch
            axes.axvline(best, color=colour("line"), linewidth=1)
            axes.plot(epochs, training.loss, color=colour("faint"), linewidth=1.6)
            axes.plot(epochs, training.validation_loss, color=colour("accent"), linewidth=2)
            axes.plot(best, training.validation_loss[best - 1], "o", color=colour("accent"), markersize=7)
            axes.set_ylim(bottom=0)
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set_title(title)
            return inline_svg(figure, "loss", size, "Training and validation loss by epoch")

    return both_sizes(draw)


def timeline_chart(timeline: Timeline, spec: PipelineSpec, name: str) -> Markup:
    """Truth, decisions and confidence above the signals of one flight."""
    panels = _panels(timeline, spec)

    def draw(size: Size) -> Markup:
        height = TOP + sum(h for h, _, _ in panels) + TITLE * (len(panels) - 1) + BOTTOM
        with new_figure(size, height) as figure:
            top, first = TOP, None
            for panel_height, title, paint in panels:
                axes = panel(figure, size, height, top, panel_height, first)
                axes.set_title(title)
                axes.tick_params(labelbottom=False)
                paint(axes, size)
                top += panel_height + TITLE
                first = first or axes
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("minutes : seconds of flight")
            axes.set_xlim(0, timeline.end_s[-1])
            axes.xaxis.set_major_locator(_time_ticks(timeline.end_s[-1], size))
            axes.xaxis.set_major_formatter(lambda s, _: f"{int(s) // 60}:{int(s) % 60:02d}")
            return inline_svg(figure, name, size, "Signals, truth and decisions of one flight over time")

    return both_sizes(draw)


Paint = Callable[[Any, Size], None]


def _panels(timeline: Timeline, spec: PipelineSpec) -> list[tuple[int, str, Paint]]:
    """Height, title and painter of every panel with data."""
    panels: list[tuple[int, str, Paint]] = [
        (52, "labels", lambda axes, _: _paint_bands(axes, timeline, spec)),
        (48, "confidence", lambda axes, _: _paint_confidence(axes, timeline, spec)),
    ]
    for values, title, levels in (
        (timeline.altitude_m, "altitude, m", []),
        (timeline.climb_m_s, "vertical speed, m/s (up)", [0.0]),
        (timeline.edr_m23_s, "EDR, m^⅔/s (truth)", [CALM_EDR, TURBULENT_EDR]),
    ):
        if np.isfinite(values).any():
            panels.append((72, title, _curve(timeline, np.asarray(values, np.float64), levels)))
    for inks, title in (
        ({"az": "soft"}, "a_z about its mean, m/s²"),
        ({"ax": "accent", "ay": "faint"}, "a_x (violet), a_y (grey), m/s²"),
    ):
        if all(channel in timeline.slots for channel in inks):
            limits = _without_spikes([timeline.slots[channel] for channel in inks])
            panels.append((86, title + (", spikes cut" if limits else ""), _envelopes(timeline, inks, limits)))
    return panels


def _without_spikes(curves: Sequence[F64]) -> tuple[float, float] | None:
    """Limits that show all but the farthest 0.4 % of the values, where those (a touchdown) would flatten the rest."""
    values = np.concatenate(curves)
    low, high = np.nanpercentile(values, [0.2, 99.8]).tolist()
    room = 0.25 * (high - low)
    spiky = np.nanmax(values) - np.nanmin(values) > 1.5 * (high - low + 2 * room)
    return (low - room, high + room) if spiky else None


def panel(figure: Any, size: Size, height: int, top: int, panel_height: int, share: Any = None) -> Any:
    """Axes by pixels from the top."""
    box = (
        LEFT / size.width,
        1 - (top + panel_height) / height,
        (size.width - LEFT - RIGHT) / size.width,
        panel_height / height,
    )
    axes = figure.add_axes(box, sharex=share)
    axes.tick_params(length=0)
    return axes


def _time_ticks(seconds: float, size: Size) -> Any:
    from matplotlib.ticker import MultipleLocator

    wanted = 5 if size.name == "phone" else 10
    steps = (5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
    return MultipleLocator(next((s for s in steps if seconds / s <= wanted), seconds / wanted))


def _runs(values: NDArray[Any], start_s: F64, end_s: F64) -> list[tuple[Any, float, float]]:
    """Adjacent windows of the same value joined: (value, start, end)."""
    cut = np.flatnonzero((values[1:] != values[:-1]) | (start_s[1:] > end_s[:-1] + 1e-6)) + 1
    edges = [0, *cut.tolist(), len(values)]
    return [(values[a], float(start_s[a]), float(end_s[b - 1])) for a, b in itertools.pairwise(edges)]


def _paint_bands(axes: Any, timeline: Timeline, spec: PipelineSpec) -> None:
    names = list(label_colours(spec.labels).values())
    for row, values, other in ((1, timeline.truth, "between"), (0, timeline.decision, "uncertain")):
        for value, start, end in _runs(values, timeline.end_s - timeline.hop_s, timeline.end_s):
            fill = colour(other if value < 0 else names[value])
            axes.broken_barh([(start, end - start)], (row + 0.06, 0.88), facecolor=fill, linewidth=0)
    axes.set_ylim(0, 2)
    axes.set_yticks([1.5, 0.5], ["truth", "decision"])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)


def _paint_confidence(axes: Any, timeline: Timeline, spec: PipelineSpec) -> None:
    for threshold in (spec.decision.enter, spec.decision.leave) if spec.output == "classes" else ():
        axes.axhline(threshold, color=colour("faint"), linewidth=0.9, linestyle=(0, (3, 3)))
    time, values = _broken(timeline, timeline.confidence)
    axes.plot(time, values, color=colour("ink"), linewidth=1.2, drawstyle="steps-pre")
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 1])


def _curve(timeline: Timeline, values: F64, levels: Sequence[float]) -> Paint:
    def paint(axes: Any, _: Size) -> None:
        for level in levels:
            axes.axhline(level, color=colour("faint"), linewidth=0.9, linestyle=(0, (3, 3)))
        axes.plot(*_broken(timeline, values), color=colour("ink"), linewidth=1.4)
        axes.margins(y=0.12)
        if levels and min(levels) > 0:
            axes.set_ylim(bottom=0)  # a quantity with thresholds is read from zero
        axes.locator_params(axis="y", nbins=4)

    return paint


def _broken(timeline: Timeline, values: F64) -> tuple[F64, F64]:
    """Times and values with a NaN where slots are missing."""
    at = np.flatnonzero(timeline.broken)
    return np.insert(timeline.end_s, at, timeline.end_s[at]), np.insert(values, at, np.nan)


def _envelopes(timeline: Timeline, channels: Mapping[str, str], limits: tuple[float, float] | None) -> Paint:
    """Least to greatest slot mean of each two pixels: a dense curve in a few kilobytes."""

    def paint(axes: Any, size: Size) -> None:
        count = min((size.width - LEFT - RIGHT) // 2, len(timeline.slot_s))
        scale = count / (timeline.end_s[-1] + 1e-9)
        middle = (np.arange(count) + 0.5) / scale
        column = np.minimum((timeline.slot_s * scale).astype(np.int64), count - 1)
        for channel, name in channels.items():
            low, high = np.full(count, np.nan), np.full(count, np.nan)
            np.fmin.at(low, column, timeline.slots[channel])
            np.fmax.at(high, column, timeline.slots[channel])
            alpha = 0.75 if len(channels) > 1 else 1.0
            axes.fill_between(middle, low, high, color=colour(name), linewidth=0.6, alpha=alpha)
        axes.margins(y=0.08)
        if limits:
            axes.set_ylim(limits)
        axes.locator_params(axis="y", nbins=4)

    return paint
