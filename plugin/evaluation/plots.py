"""Figures as PNG; needs matplotlib (the extra `training`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from plugin.evaluation.froc import LUNA16_POINTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plugin.evaluation.froc import Curve
    from plugin.evaluation.judge import Meeting


def draw_froc(path: Path, curves: dict[str, Curve]) -> None:
    """FROC curves by name, on LUNA16's logarithmic axis."""
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, each in curves.items():
        axes.step(np.maximum(each.false_positives, 0.1), each.sensitivity, where="post", label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(LUNA16_POINTS, [f"{point:g}" for point in LUNA16_POINTS])
    axes.set(xlim=(0.1, 10), ylim=(0, 1), xlabel="false positives a scan", ylabel="sensitivity")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def draw_bland_altman(path: Path, meetings: Sequence[Meeting]) -> None:
    """Difference of long axes against their mean, for the lesions that were found."""
    pairs = np.array(
        [
            (m.finding.axes_mm[0], m.truth.axes_mm[0])
            for m in meetings
            if m.finding is not None and m.truth.axes_mm is not None
        ]
    ).reshape(-1, 2)
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.scatter(pairs.mean(axis=1), pairs[:, 0] - pairs[:, 1], s=12, alpha=0.6)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(xlabel="mean of both, mm", ylabel="measured minus true, mm", title="Long axis")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
