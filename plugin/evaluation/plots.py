"""Figures as PNG; needs matplotlib (the extra `training`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from plugin.evaluation.errors import AxisError
    from plugin.evaluation.resampling import Estimate
    from plugin.evaluation.summary import Summary

_SIZE_INCHES, _DPI = (6.0, 4.5), 120
#: Shading of intervals.
_FAINT = 0.15


def draw(folder: Path, summary: Summary) -> list[Path]:
    """FROC, precision-recall and Bland-Altman plots of one evaluation; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, draw_one in _PLOTS.items():
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.subplots()
        draw_one(axes, summary)
        axes.grid(alpha=0.3)
        paths.append(folder / f"{summary.protocol}-{name}.png")
        figure.savefig(paths[-1], dpi=_DPI)
    return paths


def _draw_froc(axes: Axes, summary: Summary) -> None:
    """On a logarithmic axis, with 95 % intervals at the protocol's points."""
    low, high = summary.points[0] / 1.25, summary.points[-1] * 1.25
    found = summary.froc
    label = f"{summary.detector}, mean {summary.everything.mean_sensitivity.value:.3f}"
    # The staircase starts from nothing and goes on to the right of its last point.
    x = np.concatenate([[low], np.maximum(found.false_positives, low), [high]])
    y = np.concatenate(
        [[0.0], found.sensitivity, found.sensitivity.max(initial=0.0, keepdims=True)]
    )
    axes.step(x, y, where="post", label=label)
    _draw_intervals(axes, summary.points, summary.everything.sensitivity)
    axes.set_xscale("log", base=2)
    axes.set_xticks(summary.points, [f"{point:g}" for point in summary.points])
    axes.set(xlim=(low, high), ylim=(0, 1.02))
    axes.set(xlabel=f"false positives per {summary.place}", ylabel="sensitivity")
    axes.legend(loc="lower right")


def _draw_intervals(axes: Axes, points: tuple[float, ...], values: tuple[Estimate, ...]) -> None:
    centres = np.array([each.value for each in values])
    ends = np.array([each.interval for each in values]).T  # [2, points]
    reach = np.abs(ends - centres)
    axes.errorbar(points, centres, reach, fmt="o", markersize=4, capsize=3, color="C0")


def _draw_precision_recall(axes: Axes, summary: Summary) -> None:
    points, average = summary.precision_recall, summary.average_precision
    low, high = average.interval
    label = f"{summary.detector}, average {average.value:.3f} [{low:.3f}, {high:.3f}]"
    axes.step(
        np.append(0.0, points.recall), np.append(1.0, points.precision), where="pre", label=label
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.legend(loc="upper right")


def _draw_long_axis(axes: Axes, summary: Summary) -> None:
    draw_bland_altman(axes, _compared(summary, 0), summary.everything.long_axis, "Long axis")


def _draw_short_axis(axes: Axes, summary: Summary) -> None:
    draw_bland_altman(axes, _compared(summary, 1), summary.everything.short_axis, "Short axis")


def _compared(summary: Summary, axis: int) -> NDArray[np.float64]:
    """Measured and true length of the lesions that an error counts, mm, [lesions, 2]."""
    pairs = [
        (m.finding.axes_mm[axis], m.truth.axes_mm[axis])
        for m in summary.meetings
        if m.finding and m.truth.axes_mm and m.score > summary.threshold
    ]
    return np.array(pairs).reshape(-1, 2)


def draw_bland_altman(
    axes: Axes,
    pairs: NDArray[np.float64],
    error: AxisError | None,
    title: str,
    difference: str = "measured minus true",
) -> None:
    """Difference against mean of lengths in mm, [lesions, 2] (Bland and Altman 1986)."""
    axes.scatter(pairs.mean(axis=1), pairs[:, 0] - pairs[:, 1], s=12, alpha=0.6)
    axes.axhline(0.0, color="black", linewidth=0.8)
    if error is not None:
        _draw_line(axes, error.bias, "bias")
        _draw_line(axes, error.lower_limit, "lower limit of agreement")
        _draw_line(axes, error.upper_limit, "upper limit of agreement")
    axes.set(xlabel="mean of both, mm", ylabel=f"{difference}, mm", title=title)


def _draw_line(axes: Axes, at: Estimate, name: str) -> None:
    if np.isfinite(at.value):
        style = "-" if name == "bias" else "--"
        axes.axhline(at.value, color="C3", linestyle=style, linewidth=1.0)
        axes.axhspan(*at.interval, color="C3", alpha=_FAINT)
        axes.annotate(
            f"{name} {at.value:+.1f}",
            (0.99, at.value),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
        )


_PLOTS = {
    "froc": _draw_froc,
    "precision-recall": _draw_precision_recall,
    "long-axis": _draw_long_axis,
    "short-axis": _draw_short_axis,
}
