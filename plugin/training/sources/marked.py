"""Series with `lesions.json`: boxes, axes, and outlines where they are given."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from plugin.datasets.marked import read_marked
from plugin.datasets.outlines import filled_outlines
from plugin.datasets.series_folders import is_held_out_series
from plugin.training.samples import Annotation, Scan
from plugin.training.shape import Outline, Told
from plugin.training.sources.types import place_of
from plugin.volume import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin.datasets.marked import Mark, MarkedSeries
    from plugin.training.config import Source
    from plugin.volume import Volume


def scans(source: Source) -> list[Scan]:
    """The series that `lesions.json` describes, without those held out by patient or by series.

    Raises InvalidDataset.
    """
    described = [each for each in read_marked(source.folder) if each.marks]
    return [_scan(each, source) for each in described]


def _scan(series: MarkedSeries, source: Source) -> Scan:
    groups: dict[int, list[Mark]] = defaultdict(list)
    for mark in series.marks:
        groups[mark.group].append(mark)
    return Scan(
        name=series.folder.name,
        volume=lambda: read(series.folder.iterdir()),
        annotations=lambda volume: [annotation(m, volume, source) for m in groups.values()],
        learned=not is_held_out_series(series.folder, series.patient),
    )


def annotation(marks: Sequence[Mark], volume: Volume, source: Source) -> Annotation:
    """One lesion from the marks of several readers, or on several slices."""
    boxes = np.array([mark.box for mark in marks])  # [N, (column0, row0, column1, row1)]
    lengths = _axes_mm(marks, volume)
    depth_mm, middle = _along(marks, volume.spacing[0])
    mask = filled_outlines([c for mark in marks for c in mark.contours], volume.hu.shape)
    told = Told(
        axes=any(mark.axes_mm for mark in marks),
        depth=depth_mm is not None,
        outline=Outline.NOWHERE if mask is None else Outline.EVERYWHERE,
        lesion_type=place_of(marks[0].label, source.types),
    )
    return Annotation(
        centre=(middle, float(boxes[:, 1::2].mean()), float(boxes[:, 0::2].mean())),
        long_mm=lengths[0],
        short_mm=lengths[1],
        depth_mm=depth_mm,
        told=told,
        direction=_direction(marks),
        mask=None if mask is None else mask.inside,
        offset=(0, 0, 0) if mask is None else mask.offset,
    )


def _axes_mm(marks: Sequence[Mark], volume: Volume) -> tuple[float, float]:
    """Mean axes of the readers; of boxes the sides of the largest."""
    axes = [mark.axes_mm for mark in marks if mark.axes_mm]
    if axes:
        long_mm, short_mm = np.mean(axes, axis=0)
        return float(long_mm), float(short_mm)
    boxes = np.array([mark.box for mark in marks])
    sides = ((boxes[:, 2:] - boxes[:, :2] + 1) * volume.spacing[:0:-1]).max(axis=0)
    return float(sides.max()), float(sides.min())


def _along(marks: Sequence[Mark], slice_mm: float) -> tuple[float | None, float]:
    """Extent in mm, where several slices were marked, and middle slice of a lesion."""
    extents = [mark.extent for mark in marks if mark.extent]
    if extents:
        first, last = np.mean(extents, axis=0)
        return float(last - first + 1) * slice_mm, float(first + last) / 2
    slices = [mark.slice_index for mark in marks]
    if len(set(slices)) == 1 or any(mark.axes_mm for mark in marks):
        # Several readers chose several key slices.
        return None, float(np.mean(slices))
    return (max(slices) - min(slices) + 1) * slice_mm, (max(slices) + min(slices)) / 2


def _direction(marks: Sequence[Mark]) -> tuple[float, float, float] | None:
    """Of the first long axis that was drawn."""
    drawn = next((mark.long_axis for mark in marks if mark.long_axis), None)
    if drawn is None:
        return None
    (x0, y0), (x1, y1) = drawn
    return 0.0, y1 - y0, x1 - x0
