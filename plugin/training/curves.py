"""The log of a run, and its curves as PNG; needs matplotlib (the extra `training`)."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from plugin.training.losses import Losses

_COLUMNS = ("step", "learning_rate", "centre", "regression", "mask", "lesion_type")


def write_log(path: Path, step: int, rate: float, parts: Losses) -> None:
    """Append one line to the log."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        if new:
            writer.writerow(_COLUMNS)
        writer.writerow([step, f"{rate:.3g}", *(f"{float(part):.4f}" for part in parts)])


def read_log(path: Path) -> list[dict[str, float]]:
    """The lines of a log by step; of a step that was repeated after an interruption the last."""
    with path.open(newline="", encoding="utf-8") as table:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(table)]
    by_step = {row["step"]: row for row in rows}
    return [by_step[step] for step in sorted(by_step)]


def draw_curves(log: Path, path: Path) -> None:
    """Losses and learning rate against the step."""
    rows = read_log(log)
    steps = [row["step"] for row in rows]
    figure = Figure(figsize=(13, 6), layout="constrained")
    for axes, name in zip(figure.subplots(2, 3).flat, _COLUMNS[1:], strict=False):
        axes.plot(steps, [row[name] for row in rows])
        axes.set(title=name.replace("_", " "), xlabel="step")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
