"""The atlas, the sizes and the types of a data set, as PNG."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from plugin.bookmark import LesionType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from plugin.evaluation.atlas.lesions import Lesion

_DPI = 120
#: Long axes are counted in steps up to a last one that holds all longer ones, mm.
STEPS_MM: Final = (*range(0, 105, 5), 1000)


def draw(folder: Path, lesions: Sequence[Lesion]) -> dict[str, Path]:
    """`atlas.png` where places are known, `sizes.png`, `types.png`; paths by what they show."""
    plots: dict[str, tuple[Callable[[Axes, Sequence[Lesion]], None], tuple[float, float]]] = {
        "sizes": (_draw_sizes, (7.0, 4.0)),
        "types": (_draw_types, (7.0, 4.0)),
    }
    if any(each.location for each in lesions):
        plots = {"atlas": (_draw_atlas, (8.0, 8.5))} | plots
    paths = {}
    for name, (draw_one, size) in plots.items():
        figure = Figure(figsize=size, layout="constrained")
        draw_one(figure.subplots(), lesions)
        paths[name] = folder / f"{name}.png"
        figure.savefig(paths[name], dpi=_DPI)
    return paths


def labels(lesions: Sequence[Lesion]) -> list[str]:
    """The types that occur: those of DeepLesion in its order, then others by name."""
    found = {each.label for each in lesions}
    known = [kind.value for kind in LesionType if kind.value in found]
    return known + sorted(found - set(known))


def _colours(lesions: Sequence[Lesion]) -> dict[str, str]:
    """The same colour for the same type of DeepLesion in every data set."""
    known = {kind.value: f"C{index}" for index, kind in enumerate(LesionType)}
    others = [each for each in labels(lesions) if each not in known]
    further = [to_hex(colour) for colour in colormaps["Dark2"](range(8))]
    return known | {each: further[index % len(further)] for index, each in enumerate(others)}


def _draw_atlas(axes: Axes, lesions: Sequence[Lesion]) -> None:
    """Each lesion at its place, seen from the front: the patient's right is on the left."""
    colours = _colours(lesions)
    for label in labels(lesions):
        places = [e.location for e in lesions if e.label == label and e.location]
        if places:
            x, _, z = np.array(places).T
            axes.scatter(x, z, s=6, alpha=0.6, color=colours[label], label=label)
    axes.set(xlim=(0, 1), ylim=(1, 0), aspect=1.4)
    axes.set(xlabel="patient's right to left", ylabel="head to feet", title="Places in the body")
    axes.figure.legend(loc="outside right upper", markerscale=2.5, fontsize=8)


def _draw_sizes(axes: Axes, lesions: Sequence[Lesion]) -> None:
    colours = _colours(lesions)
    names = labels(lesions)
    counts = [
        np.histogram([e.axes_mm[0] for e in lesions if e.label == label and e.axes_mm], STEPS_MM)[0]
        for label in names
    ]
    _stack(axes, np.array(STEPS_MM[:-1]) + 2.5, counts, names, [colours[each] for each in names])
    axes.set(xlabel="long axis, mm (last: all from 100 on)", ylabel="lesions", title="Sizes")


def _draw_types(axes: Axes, lesions: Sequence[Lesion]) -> None:
    names = labels(lesions)
    splits = list(dict.fromkeys(each.split for each in lesions))
    counted = Counter((each.split, each.label) for each in lesions)
    counts = [np.array([counted[split, label] for label in names]) for split in splits]
    colours = [f"C{index}" for index in range(len(splits))]
    _stack(axes, np.arange(len(names), dtype=float), counts, splits, colours, width=0.7)
    axes.set_xticks(np.arange(len(names)), names, rotation=30, ha="right")
    axes.set(ylabel="lesions", title="Types, by part of the data set")


def _stack(
    axes: Axes,
    at: np.ndarray[tuple[int], np.dtype[np.float64]],
    counts: Sequence[np.ndarray[tuple[int], np.dtype[np.int64]]],
    names: Sequence[str],
    colours: Sequence[str],
    width: float = 4.5,
) -> None:
    """Bars on top of each other."""
    below = np.zeros(len(at))
    for count, name, colour in zip(counts, names, colours, strict=True):
        axes.bar(at, count, width, bottom=below, color=colour, label=name)
        below = below + count
    axes.legend(fontsize=8)
