"""Outlines on slices -> the voxels inside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.bookmark import Point

#: Pixels are drawn this many times as fine, so that half a pixel is seen.
_FINER = 4


@dataclass(frozen=True)
class Contour:
    """What bounds a lesion on one slice."""

    #: Index of the slice, from 0.
    slice_index: int
    #: Its corners, (column, row) in pixels with integers at pixel centres.
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Inside:
    """Voxels of a lesion, cropped to where they are."""

    #: [slice, row, column]
    inside: NDArray[np.bool_]
    #: Index (slice, row, column) of the first of them.
    offset: tuple[int, int, int]


def filled_outlines(contours: Sequence[Contour], shape: tuple[int, ...]) -> Inside | None:
    """The voxels of a volume of `shape` whose middle lies inside the contours of their slice.

    None where there are none. A contour inside another one cuts a hole.
    """
    slices = sorted({each.slice_index for each in contours if 0 <= each.slice_index < shape[0]})
    if not slices:
        return None
    first = slices[0]
    inside = np.zeros((slices[-1] - first + 1, *shape[1:]), np.bool_)
    for each in contours:
        if first <= each.slice_index <= slices[-1]:
            inside[each.slice_index - first] ^= _filled(each.points, shape[1:])
    return cropped(inside, first)


def cropped(inside: NDArray[np.bool_], first: int = 0) -> Inside | None:
    """A mask [slice, row, column] whose first slice is `first`, as small as can be."""
    if not inside.any():
        return None
    ranges = [np.flatnonzero(inside.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    window = tuple(slice(int(r[0]), int(r[-1]) + 1) for r in ranges)
    z, y, x = (each.start for each in window)
    return Inside(inside[window], (z + first, y, x))


def _filled(points: Sequence[Point], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels [row, column] whose middle lies inside a polygon."""
    rows, columns = shape
    canvas = Image.new("1", (columns * _FINER, rows * _FINER))
    corners = [((x + 0.5) * _FINER - 0.5, (y + 0.5) * _FINER - 0.5) for x, y in points]
    ImageDraw.Draw(canvas).polygon(corners, fill=1, outline=0)
    fine = np.array(canvas).reshape(rows, _FINER, columns, _FINER)
    return np.asarray(fine.mean(axis=(1, 3)) >= 0.5)
