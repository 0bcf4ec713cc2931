"""A lesion as one side sees it, in the coordinates of its series."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from plugin.measure import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.bookmark import Axis, Bookmark, Box
    from plugin.datasets.deeplesion import Row
    from plugin.datasets.marked import Mark
    from plugin.detector import Detection
    from plugin.volume import Volume


@dataclass(frozen=True)
class Drawing:
    """What was drawn on one slice."""

    #: Index of the slice, from 0, ascending along the normal.
    slice_index: int
    #: Outermost pixels (column0, row0, column1, row1).
    box: Box
    #: The axes that were drawn, (column, row) in pixels; none where only a box was.
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Lesion:
    """One lesion of one side."""

    #: Centre of what was drawn, mm in the coordinates of the series, [3].
    centre: NDArray[np.float64]
    #: Long axis where one was drawn, else the longest side of a box, mm.
    diameter_mm: float
    #: Long and short axis, mm; None where only boxes were drawn.
    axes_mm: tuple[float, float] | None
    #: What it is, in the words of its source.
    label: str
    #: Certainty, 0 to 1; 1 where people drew it.
    score: float
    #: On its slices; of the longest first.
    drawings: tuple[Drawing, ...]

    @property
    def key(self) -> Drawing:
        """On the slice where it is longest."""
        return self.drawings[0]


def of_bookmark(mark: Bookmark, volume: Volume) -> Lesion:
    """A bookmark; its centre is that of its box halfway between its first and last slice."""
    column, row = (mark.box[0] + mark.box[2]) / 2, (mark.box[1] + mark.box[3]) / 2
    axes = mark.long_axis, mark.short_axis
    return Lesion(
        centre=volume.to_patient(np.array([sum(mark.slice_range) / 2, row, column])),
        diameter_mm=mark.long_axis_mm,
        axes_mm=(mark.long_axis_mm, mark.short_axis_mm),
        label=mark.lesion_type.value,
        score=mark.score,
        drawings=(Drawing(mark.slice_index, mark.box, axes),),
    )


def of_detection(found: Detection, volume: Volume) -> Lesion:
    """What a detector found; its centre is that of its voxels."""
    measured = measure(found.mask, found.offset, volume)
    axes = measured.diameters.long_axis, measured.diameters.short_axis
    axes_mm = measured.diameters.long_axis_mm, measured.diameters.short_axis_mm
    return Lesion(
        centre=volume.to_patient(np.argwhere(found.mask).mean(axis=0) + found.offset),
        diameter_mm=axes_mm[0],
        axes_mm=axes_mm,
        label=found.lesion_type.value,
        score=found.score,
        drawings=(Drawing(measured.slice_index, measured.box, axes),),
    )


def of_marks(marks: Sequence[Mark], volume: Volume) -> Lesion:
    """One lesion of `lesions.json`, by several readers or on several slices: their means."""
    boxes = np.array([mark.box for mark in marks])  # [N, (column0, row0, column1, row1)]
    slices = np.array([mark.slice_index for mark in marks], float)
    middle = np.array([slices.mean(), boxes[:, 1::2].mean(), boxes[:, 0::2].mean()])
    measured = [mark.axes_mm for mark in marks if mark.axes_mm]
    axes_mm = None
    if measured:
        long_mm, short_mm = np.mean(measured, axis=0).tolist()
        axes_mm = (long_mm, short_mm)
    sides = (boxes[:, 2:] - boxes[:, :2] + 1) * volume.spacing[:0:-1]  # [N, (across, down)] mm
    ordered = sorted(zip(sides.max(axis=1), range(len(marks)), strict=True), reverse=True)
    return Lesion(
        centre=volume.to_patient(middle),
        diameter_mm=axes_mm[0] if axes_mm else float(sides.max()),
        axes_mm=axes_mm,
        label=marks[0].label,
        score=1.0,
        drawings=tuple(_drawing(marks[index]) for _, index in ordered),
    )


def of_row(row: Row, affine: NDArray[np.float64]) -> Lesion:
    """A row of DL_info.csv; `affine` maps (slice, row, column, 1) of its slices to mm."""
    columns, rows = zip(*row.long_axis, *row.short_axis, strict=True)
    box = min(columns), min(rows), max(columns), max(rows)
    index = row.slice_index(row.key_slice)
    middle = np.array([index, (box[1] + box[3]) / 2, (box[0] + box[2]) / 2])
    return Lesion(
        centre=affine[:3, :3] @ middle + affine[:3, 3],
        diameter_mm=row.axes_mm[0],
        axes_mm=row.axes_mm,
        label=row.lesion_type.value if row.lesion_type else "not given",
        score=_score(row),
        drawings=(Drawing(index, box, (row.long_axis, row.short_axis)),),
    )


def _drawing(mark: Mark) -> Drawing:
    axes = (mark.long_axis,) if mark.long_axis else ()
    return Drawing(mark.slice_index, mark.box, axes)


def _score(row: Row) -> float:
    """A further column `Score`, as lists of findings have it; 1 without."""
    text = dict(row.further).get("Score", "1")
    try:
        score = float(text)
    except ValueError:
        return 1.0
    return score if isfinite(score) else 1.0
