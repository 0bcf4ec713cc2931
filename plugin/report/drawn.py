"""Two lines drawn across each other on an image -> a bookmark."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

from plugin.bookmark import Bookmark
from plugin.errors import InvalidReport
from plugin.measure import length
from plugin.report.reading import MARKED_BY_HAND
from plugin.uids import derive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin.bookmark import Axis, Box, LesionType, Point
    from plugin.report.source import Source
    from plugin.volume import Slice

#: The corner of a pixel lies this far from its centre, pixels.
HALF = 0.5


@dataclass(frozen=True)
class Cross:
    """A long axis and a short axis, as they are drawn."""

    #: The image they are drawn on.
    place: Slice
    #: Ends of both, (column, row) in pixels from 0.
    long_axis: Axis
    short_axis: Axis
    #: Lengths of both as they are written, mm; None where only the lines are there.
    lengths_mm: tuple[float, float] | None
    #: A frame drawn around them; None where there is none.
    box: Box | None
    lesion_type: LesionType
    #: Tracking Unique Identifier; empty where none is given.
    tracking_uid: str


def bookmark(cross: Cross, source: Source, owner: str, where: str) -> Bookmark:
    """The bookmark of two axes; `owner` is the SOP Instance UID of the object that has them.

    Nobody outlined the lesion: it has neither mean HU nor volume (NaN), and without a frame its box
    is that of the axes. Raises InvalidReport for lines that leave their image.
    """
    image = source.image(cross.place, where)
    _check_inside((cross.long_axis, cross.short_axis), image.shape, where)
    axes = cross.long_axis, cross.short_axis
    long_mm, short_mm = cross.lengths_mm or (length(axis, *image.spacing) for axis in axes)
    index = source.index(cross.place, where)
    name = derive(owner, cross.place.sop_instance_uid, repr(axes))
    return Bookmark(
        series_instance_uid=image.series_instance_uid,
        sop_instance_uid=cross.place.sop_instance_uid,
        frame_number=cross.place.frame_number,
        slice_index=index,
        long_axis=cross.long_axis,
        short_axis=cross.short_axis,
        long_axis_mm=long_mm,
        short_axis_mm=short_mm,
        box=cross.box or around(*axes),
        slice_range=(index, index),
        lesion_type=cross.lesion_type,
        score=MARKED_BY_HAND,
        tracking_uid=cross.tracking_uid or name,
        mean_hu=nan,
        volume_mm3=nan,
    )


def around(*lines: Sequence[Point]) -> Box:
    """The box that the points of lines span."""
    columns, rows = zip(*(point for line in lines for point in line), strict=True)
    return min(columns), min(rows), max(columns), max(rows)


def _check_inside(axes: tuple[Axis, ...], shape: tuple[int, int], where: str) -> None:
    rows, columns = shape
    column0, row0, column1, row1 = around(*axes)
    inside = min(column0, row0) >= -HALF and column1 <= columns - HALF and row1 <= rows - HALF
    if not inside:
        raise InvalidReport(f"{where}: the lines leave their image of {columns} x {rows} pixels")
