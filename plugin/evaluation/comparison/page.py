"""A comparison as CSV, PNG and one page."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.figure import Figure

from plugin.evaluation import html, slices
from plugin.evaluation.comparison.match import RULE, Outcome
from plugin.evaluation.errors import axis_error
from plugin.evaluation.plots import draw_bland_altman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from plugin.evaluation.comparison.marks import Lesion
    from plugin.evaluation.comparison.match import Pair
    from plugin.evaluation.errors import AxisError
    from plugin.volume import Volume

#: Colours that people of any colour vision tell apart (Okabe and Ito 2008).
RADIOLOGIST_COLOUR, AI_COLOUR = (86, 180, 233), (230, 159, 0)
#: What compares.
DIFFERENCE: Final = "AI minus radiologist"
COLUMNS: Final = (
    "scan",
    "outcome",
    "radiologist_slice",
    "radiologist_long_mm",
    "radiologist_short_mm",
    "radiologist_type",
    "ai_slice",
    "ai_long_mm",
    "ai_short_mm",
    "ai_type",
    "ai_score",
    "long_difference_mm",
    "short_difference_mm",
)


@dataclass(frozen=True)
class Comparison:
    """What is to be told."""

    #: Names of both sides.
    ai: str
    radiologists: str
    #: Every lesion, scan by scan.
    pairs: Sequence[Pair]
    #: What was left out, and why.
    remarks: Sequence[str]

    def count(self, outcome: Outcome) -> int:
        """Lesions of which that became."""
        return sum(pair.outcome is outcome for pair in self.pairs)


def write(folder: Path, found: Comparison, volume_of: Callable[[str], Volume | None]) -> list[Path]:
    """`lesions.csv`, `index.html`, and where both sides measured the plots; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "lesions.csv"]
    _write_csv(paths[0], found)
    if _compared(found):
        for axis, name in enumerate(("long-axis", "short-axis")):
            paths.append(folder / f"{name}.png")
            _plot(paths[-1], found, axis)
    plots = [path.read_bytes() for path in paths[1:]]
    paths.append(folder / "index.html")
    body = [*_overview(found), *_plots(plots), *_sheets(found, volume_of), *_left_out(found)]
    paths[-1].write_text(html.page("AI and radiologists", body), encoding="utf-8")
    return paths


def summary(found: Comparison) -> list[tuple[str, str]]:
    """Figures with their names."""
    figures = [(outcome.value, str(found.count(outcome))) for outcome in Outcome]
    for axis, name in enumerate(("long", "short")):
        error = _error(found, axis)
        if error:
            figures.append((f"{name} axis, {DIFFERENCE}, {error.count} lesions", _agreement(error)))
    return figures


def _agreement(error: AxisError) -> str:
    """Bias, and the limits of agreement where more than one lesion tells them."""
    bias = f"{error.bias.value:+.1f} mm"
    if not isfinite(error.lower_limit.value):
        return bias
    limits = f"{error.lower_limit.value:+.1f} to {error.upper_limit.value:+.1f} mm"
    return f"{bias} (limits of agreement {limits})"


def _compared(found: Comparison) -> list[Pair]:
    return [pair for pair in found.pairs if pair.differences_mm]


def _lengths(found: Comparison, axis: int) -> NDArray[np.float64]:
    """Of AI and radiologist, mm, [lesions, 2]."""
    both = [(pair.ai, pair.radiologist) for pair in _compared(found)]
    rows = [
        (a.axes_mm[axis], r.axes_mm[axis]) for a, r in both if a and r and a.axes_mm and r.axes_mm
    ]
    return np.array(rows).reshape(-1, 2)


def _error(found: Comparison, axis: int) -> AxisError | None:
    ai, radiologist = _lengths(found, axis).T
    return axis_error(ai.tolist(), radiologist.tolist(), [p.scan for p in _compared(found)])


def _write_csv(path: Path, found: Comparison) -> None:
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(COLUMNS)
        for pair in found.pairs:
            theirs, ours = _cells(pair.radiologist), _cells(pair.ai)
            score = f"{pair.ai.score:.4f}" if pair.ai else ""
            differences = [f"{mm:.2f}" for mm in pair.differences_mm or ()] or ["", ""]
            writer.writerow([pair.scan, pair.outcome, *theirs, *ours, score, *differences])


def _cells(lesion: Lesion | None) -> list[str]:
    """Slice, long and short axis, type."""
    if lesion is None:
        return [""] * 4
    lengths = [f"{mm:.2f}" for mm in lesion.axes_mm or ()] or ["", ""]
    return [str(lesion.key.slice_index), *lengths, lesion.label]


def _plot(path: Path, found: Comparison, axis: int) -> None:
    figure = Figure(figsize=(6.0, 4.5), layout="constrained")
    axes = figure.subplots()
    title = ("Long axis", "Short axis")[axis]
    draw_bland_altman(axes, _lengths(found, axis), _error(found, axis), title, DIFFERENCE)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def _overview(found: Comparison) -> Iterator[str]:
    scans = len({pair.scan for pair in found.pairs})
    yield html.paragraph(f"AI: {found.ai}. Radiologists: {found.radiologists}. {scans} scans.")
    yield html.paragraph(RULE)
    yield html.table(("", "lesions"), summary(found))


def _plots(pictures: list[bytes]) -> Iterator[str]:
    yield html.heading("Diameters")
    if not pictures:
        yield html.paragraph("There is no lesion that both sides measured.")
    names = ("Long axis", "Short axis")
    for png, name in zip(pictures, names, strict=False):
        yield html.figure(png, f"Bland-Altman plot, {name}")


def _sheets(found: Comparison, volume_of: Callable[[str], Volume | None]) -> Iterator[str]:
    """The key slices, scan by scan, so that each volume is read once."""
    keys = html.key(RADIOLOGIST_COLOUR, "radiologist") + html.key(AI_COLOUR, "AI")
    yield f"{html.heading('Key slices')}<p>{keys}</p>"
    for scan in dict.fromkeys(pair.scan for pair in found.pairs):
        volume = volume_of(scan)
        yield html.subheading(scan)
        if volume is None:
            yield html.paragraph("The images are not at hand.")
        else:
            of_scan = [pair for pair in found.pairs if pair.scan == scan]
            yield html.sheet(each for pair in of_scan for each in _pictures(pair, volume))


def _pictures(pair: Pair, volume: Volume) -> Iterator[str]:
    """The radiologist's key slice, and the AI's where it is another one."""
    lesions = [each for each in (pair.radiologist, pair.ai) if each]
    for index in dict.fromkeys(each.key.slice_index for each in lesions):
        drawn = list(_drawn(pair, index))
        png = slices.picture(volume.hu[index], volume.spacing[1:], drawn, lesions[-1].label)
        caption = f"{pair.outcome}, slice {index}: {_sizes(pair)}"
        yield html.figure(png, f"Key slice {index}, {pair.outcome}", caption)


def _drawn(pair: Pair, index: int) -> Iterator[slices.Drawn]:
    """All that either side drew on a slice."""
    sides = (pair.radiologist, RADIOLOGIST_COLOUR), (pair.ai, AI_COLOUR)
    for lesion, colour in sides:
        for each in lesion.drawings if lesion else ():
            if each.slice_index == index:
                yield slices.Drawn(each.box, each.axes, colour)


def _sizes(pair: Pair) -> str:
    sides = ("radiologist", pair.radiologist), ("AI", pair.ai)
    return "; ".join(f"{name} {_size(lesion)}" for name, lesion in sides if lesion)


def _size(lesion: Lesion) -> str:
    if lesion.axes_mm is None:
        return f"box of {lesion.diameter_mm:.1f} mm, {lesion.label}"
    long_mm, short_mm = lesion.axes_mm
    return f"{long_mm:.1f} x {short_mm:.1f} mm, {lesion.label}"


def _left_out(found: Comparison) -> Iterator[str]:
    if found.remarks:
        yield html.heading("Left out")
        yield html.remarks(found.remarks)
