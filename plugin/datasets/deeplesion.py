"""DeepLesion (Yan et al. 2018): one radiologist's bookmark, as a row of DL_info.csv describes it.

Coordinates of the file are (column, row) in pixels with the centre of the first pixel at (1, 1), as
its authors' own loaders read them; those of a Bookmark start at (0, 0). Slices are numbered from
head to feet, and a Volume is stacked from feet to head.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import pi
from typing import TYPE_CHECKING

import numpy as np

from plugin.bookmark import Bookmark, LesionType
from plugin.datasets.errors import InvalidDataset
from plugin.measure import length
from plugin.uids import derive

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

    from plugin.bookmark import Axis, Box, Point
    from plugin.volume import Volume

#: Boxes of DeepLesion reach this far beyond the ends of the two diameters, pixels.
PADDING = 5.0
#: Pixel coordinates of the centre of the first pixel.
FIRST_PIXEL = 1.0
#: Coarse_lesion_type of lesions whose type nobody gave: those of the training split.
UNTYPED = -1


class Split(IntEnum):
    """The official division by patient (Train_Val_Test)."""

    TRAIN = 1
    VALIDATION = 2
    TEST = 3


@dataclass(frozen=True)
class Row:
    """One row of DL_info.csv, in the order of its columns; coordinates start at 1."""

    #: Patient, study, series and slice number, such as 000001_01_01_109.png.
    file_name: str
    #: Patient_index, Study_index and Series_ID, from 1.
    patient: int
    study: int
    series: int
    #: Number of the key slice, from 1, head to feet.
    key_slice: int
    #: Ends of long and short axis: (x1, y1, x2, y2) of the long one, then of the short one, pixels.
    measurement: tuple[float, ...]
    #: (column0, row0, column1, row1) in pixels; the ends of both axes with `PADDING` around them.
    box: tuple[float, ...]
    #: Length of long and short axis, pixels.
    diameters_px: tuple[float, ...]
    #: Place in the body (x, y, z) from 0 to 1, right to left, front to back, head to feet; None
    #: where it is unknown.
    location: tuple[float, ...] | None
    #: 1 to 8 in the order of LesionType; UNTYPED.
    coarse_type: int
    #: Whether the authors doubt the annotation.
    possibly_noisy: bool
    #: First and last number of the slices that are given.
    slice_range: tuple[int, int]
    #: Distance of columns, rows and slices, mm.
    spacing: tuple[float, ...]
    #: Columns and rows of the image.
    image_size: tuple[int, int]
    #: Lower and upper end of the display window, HU; several windows follow each other.
    windows: tuple[float, ...]
    #: M, F, or empty.
    gender: str
    #: Years, in the digits of the file; None where it is unknown.
    age: Decimal | None
    #: Part of the official division.
    split: Split
    #: Name and text of columns beyond the eighteen.
    further: tuple[tuple[str, str], ...] = ()

    @property
    def series_name(self) -> str:
        """Folder of the slices, such as 000001_01_01."""
        return self.file_name.rsplit("_", 1)[0]

    @property
    def volume_name(self) -> str:
        """The slices that are given, as their authors name them, such as 000001_01_01_103-115."""
        first, last = self.slice_range
        return f"{self.series_name}_{first:03d}-{last:03d}"

    @property
    def lesion_type(self) -> LesionType | None:
        """None where nobody gave it."""
        return None if self.coarse_type == UNTYPED else tuple(LesionType)[self.coarse_type - 1]

    @property
    def long_axis(self) -> Axis:
        """Ends of the long axis, (column, row) in pixels from 0."""
        return self._axis(0)

    @property
    def short_axis(self) -> Axis:
        """Ends of the short axis, (column, row) in pixels from 0."""
        return self._axis(4)

    @property
    def drawn_box(self) -> Box:
        """The box (column0, row0, column1, row1) in pixels from 0, padded as in the file."""
        column0, row0, column1, row1 = (edge - FIRST_PIXEL for edge in self.box)
        return column0, row0, column1, row1

    @property
    def axes_mm(self) -> tuple[float, float]:
        """Length of long and short axis, mm."""
        column_mm, row_mm, _ = self.spacing
        long_axis, short_axis = self.long_axis, self.short_axis
        return length(long_axis, row_mm, column_mm), length(short_axis, row_mm, column_mm)

    def slice_index(self, number: int) -> int:
        """Index in the volume, from 0 and from feet to head, of a slice number."""
        return self.slice_range[1] - number

    def _axis(self, first: int) -> Axis:
        x0, y0, x1, y1 = (value - FIRST_PIXEL for value in self.measurement[first : first + 4])
        return (x0, y0), (x1, y1)


def drawn_box(long_axis: Axis, short_axis: Axis) -> Box:
    """A box around the ends of two axes as DeepLesion draws it, pixels from 0."""
    columns, rows = zip(*long_axis, *short_axis, strict=True)
    return (
        min(columns) - PADDING,
        min(rows) - PADDING,
        max(columns) + PADDING,
        max(rows) + PADDING,
    )


def series_uid(series_name: str) -> str:
    """A Series Instance UID for a series whose own is not given."""
    return derive("DeepLesion", series_name)


def instance_uid(series_name: str, number: int) -> str:
    """A SOP Instance UID for a slice whose own is not given."""
    return derive("DeepLesion", series_name, str(number))


def bookmark(row: Row, volume: Volume) -> Bookmark:
    """A row as a bookmark in the volume that holds its slices.

    Nobody outlined the lesion: its attenuation is that of the ellipse over the two axes in the key
    slice, its volume that of the ellipsoid whose third diameter is the short axis. The box is the
    tight one around the axes. Raises InvalidDataset for a row without a type.
    """
    if row.lesion_type is None:
        raise InvalidDataset(f"{row.file_name}: Coarse_lesion_type {UNTYPED} is no type")
    index = row.slice_index(row.key_slice)
    long_mm, short_mm = row.axes_mm
    ellipse = _ellipse(row.long_axis, row.short_axis, volume.hu[index].shape)
    return Bookmark(
        series_instance_uid=series_uid(row.series_name),
        sop_instance_uid=volume.slices[index].sop_instance_uid,
        frame_number=None,
        slice_index=index,
        long_axis=row.long_axis,
        short_axis=row.short_axis,
        long_axis_mm=long_mm,
        short_axis_mm=short_mm,
        box=_tight_box(row.long_axis, row.short_axis),
        slice_range=(index, index),
        lesion_type=row.lesion_type,
        score=1.0,
        tracking_uid=derive("DeepLesion", row.file_name, repr(row.measurement)),
        mean_hu=float(volume.hu[index][ellipse].mean(dtype=np.float64)),
        volume_mm3=pi / 6 * long_mm * short_mm**2,
    )


def _tight_box(long_axis: Axis, short_axis: Axis) -> Box:
    columns, rows = zip(*long_axis, *short_axis, strict=True)
    return min(columns), min(rows), max(columns), max(rows)


def _ellipse(long_axis: Axis, short_axis: Axis, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels [row, column] of the ellipse that has these diameters and the middle of the long one.

    At least the pixel in its middle.
    """
    (x0, y0), (x1, y1) = long_axis
    middle = np.array([x0 + x1, y0 + y1]) / 2
    along = np.array([x1 - x0, y1 - y0])
    long_px, short_px = _distance(*long_axis), _distance(*short_axis)
    along = along / long_px
    across = np.array([-along[1], along[0]])
    rows, columns = np.indices(shape)
    away = np.stack([columns, rows], axis=-1) - middle  # [row, column, (x, y)]
    inside = (2 * (away @ along) / long_px) ** 2 + (2 * (away @ across) / short_px) ** 2 <= 1
    inside[round(middle[1]), round(middle[0])] = True
    return np.asarray(inside)


def _distance(start: Point, end: Point) -> float:
    return length((start, end), 1.0, 1.0)
