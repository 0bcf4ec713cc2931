"""Lesion mask -> what a radiologist measures: diameters (RECIST 1.1), volume, attenuation.

A diameter runs from edge to edge. The edge of a mask lies halfway between the centres of a
pixel inside and its neighbour outside, so that a disc of d mm measures d mm, not one pixel less.
Points are zero-based (column, row) with integers at pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import hypot, pi, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

if TYPE_CHECKING:
    from plugin.bookmark import Axis, Box, Point
    from plugin.volume import Volume

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]

#: Rounding allowed when asking whether two lines cross, mm.
EPSILON_MM = 1e-6
#: Level of the edge between 0 outside and 1 inside.
EDGE = 0.5
#: Standard deviation of the smoothing of an edge: in radii of the lesion, and at most in pixels.
#: Discs and ellipses down to a ratio of 1:3 then measure right within half a pixel on average.
SMOOTHING, SMOOTHING_PIXELS = 0.15, 1.0
#: Voxels of a lesion nearer than this to those around it are left out of its mean attenuation, mm.
BLURRED_MM = 2.5
#: Empty pixels around a mask, wide enough for the smoothing.
PADDING = 5
#: Pixels that touch by an edge or a corner belong together.
TOUCHING = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Diameters:
    """The two diameters of a lesion in one slice."""

    #: Ends of the longest diameter.
    long_axis: Axis
    #: Ends of the longest diameter that is perpendicular to the long axis and crosses it.
    short_axis: Axis
    #: Length of the long axis, mm.
    long_axis_mm: float
    #: Length of the short axis, mm.
    short_axis_mm: float


@dataclass(frozen=True)
class Measurement:
    """What is measured on one lesion."""

    #: Index of the key slice, the slice with the longest axis.
    slice_index: int
    #: Diameters in the key slice.
    diameters: Diameters
    #: Outermost pixels in the key slice.
    box: Box
    #: First and last slice index, both included.
    slice_range: tuple[int, int]
    #: Mean attenuation of its interior, HU.
    mean_hu: float
    #: Volume, mm3.
    volume_mm3: float


def measure(mask: Mask, offset: tuple[int, int, int], volume: Volume) -> Measurement:
    """Measure one lesion.

    `mask` [slice, row, column] covers the part of the volume that starts at `offset`; it must
    not be empty.
    """
    _, row_mm, column_mm = volume.spacing
    filled = np.flatnonzero(mask.any(axis=(1, 2)))
    regions = {int(k): largest_region(mask[k]) for k in filled}
    key = max(regions, key=lambda k: (longest(regions[k], row_mm, column_mm), regions[k].sum(), -k))
    z, y, x = offset
    part = volume.hu[tuple(slice(o, o + n) for o, n in zip(offset, mask.shape, strict=True))]
    return Measurement(
        slice_index=z + key,
        diameters=_moved(diameters(regions[key], row_mm, column_mm), x, y),
        box=_moved_box(box(regions[key]), x, y),
        slice_range=(z + int(filled[0]), z + int(filled[-1])),
        mean_hu=float(part[interior(mask, row_mm, column_mm)].mean(dtype=np.float64)),
        volume_mm3=float(mask.sum() * abs(np.linalg.det(volume.affine[:3, :3]))),
    )


def interior(mask: Mask, row_mm: float, column_mm: float) -> Mask:
    """Voxels of a mask [slice, row, column] that do not show what lies around it as well.

    Outlines run where a lesion ends, so that the voxels along them are half filled; a region of
    interest for attenuation is drawn inside. In small lesions it is the half that lies deepest.
    """
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    depth = np.stack([ndimage.distance_transform_edt(each, (row_mm, column_mm)) for each in padded])
    depth = depth[:, 1:-1, 1:-1]
    return np.asarray(depth > min(BLURRED_MM, depth.max() / 2))


def largest_region(mask: Mask) -> Mask:
    """The largest connected region of a mask [row, column]; the upper one of two equal ones."""
    labels, count = ndimage.label(mask, TOUCHING)
    if count <= 1:
        return mask
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(labels == sizes.argmax() + 1)


def box(mask: Mask) -> Box:
    """Outermost pixels of a mask [row, column] that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1])


def longest(mask: Mask, row_mm: float, column_mm: float) -> float:
    """Length of the longest diameter of a region, mm; see `diameters`."""
    return longest_within(outline(mask), row_mm, column_mm)


def longest_within(edges: Points, row_mm: float, column_mm: float) -> float:
    """Length of the longest diameter within edges, mm; see `diameters_within`."""
    start, end = _farthest(edges * (column_mm, row_mm))
    return float(np.linalg.norm(end - start))


def diameters(mask: Mask, row_mm: float, column_mm: float) -> Diameters:
    """Diameters of a region: `mask` [row, column], not empty; see `diameters_within`."""
    return diameters_within(outline(mask), row_mm, column_mm)


def diameters_within(edges: Points, row_mm: float, column_mm: float) -> Diameters:
    """Longest diameter and longest perpendicular diameter (Eisenhauer et al. 2009).

    `edges` [segments, 2 ends, (column, row)] bound an area that is no line; rows lie `row_mm`,
    columns `column_mm` apart.
    """
    scale = np.array([column_mm, row_mm])
    edges = edges * scale  # [segments, 2 ends, (x, y)] in mm
    start, end = _farthest(edges)
    long_axis = _axis(start / scale, end / scale)
    short_axis = _axis(*(point / scale for point in _widest_across(edges, start, end)))
    return Diameters(
        long_axis=long_axis,
        short_axis=short_axis,
        long_axis_mm=length(long_axis, row_mm, column_mm),
        short_axis_mm=length(short_axis, row_mm, column_mm),
    )


def length(axis: Axis, row_mm: float, column_mm: float) -> float:
    """Length of an axis, mm."""
    (column0, row0), (column1, row1) = axis
    return hypot((column1 - column0) * column_mm, (row1 - row0) * row_mm)


def outline(mask: Mask) -> Points:
    """Edge of a mask [row, column] as straight segments [segments, 2 ends, (column, row)].

    The staircase of pixels is smoothed first: the longest of many lines would otherwise run
    from one protruding corner to another and measure a disc half a pixel too long.
    """
    inside = np.pad(mask.astype(np.float64), PADDING)
    radius = sqrt(mask.sum() / pi)
    smooth = ndimage.gaussian_filter(inside, min(SMOOTHING * radius, SMOOTHING_PIXELS))
    # A line of single pixels would vanish.
    field = smooth if smooth.max() > EDGE else inside
    return _level_line(field - EDGE) - PADDING


def _level_line(field: Points) -> Points:
    """Where a field [row, column] is zero: segments [segments, 2 ends, (column, row)].

    Marching squares: in each square of four neighbouring pixel centres the line joins the
    points on those sides whose ends differ in sign.
    """
    corners = np.stack([field[:-1, :-1], field[:-1, 1:], field[1:, 1:], field[1:, :-1]])
    following = np.roll(corners, -1, axis=0)
    crossed = (corners > 0) != (following > 0)  # [4 sides, rows, columns]
    fraction = np.divide(corners, corners - following, out=np.zeros_like(corners), where=crossed)
    starts = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    sides = np.roll(starts, -1, axis=0) - starts
    segments = []
    for first, second in combinations(range(4), 2):
        rows, columns = np.nonzero(_joined(crossed, first, second))
        origin = np.stack([columns, rows], axis=-1).astype(np.float64)
        ends = [
            origin + starts[side] + fraction[side, rows, columns, None] * sides[side]
            for side in (first, second)
        ]
        segments.append(np.stack(ends, axis=1))
    return np.concatenate(segments)


def _joined(crossed: Mask, first: int, second: int) -> Mask:
    """Squares [row, column] in which the line runs from one side to another one."""
    joined = crossed[first] & crossed[second] & (crossed.sum(axis=0) == 2)
    if (first, second) in ((0, 1), (2, 3)):
        # All four sides are crossed where two pixels touch by a corner: joining or parting
        # them makes no difference to a length.
        joined |= crossed.all(axis=0)
    return np.asarray(joined)


def _farthest(edges: Points) -> tuple[Points, Points]:
    """The two ends [2] of segments [N, 2, 2] that lie farthest apart."""
    points = np.unique(edges.reshape(-1, 2), axis=0)
    hull = points[np.sort(ConvexHull(points).vertices)]
    distances = squareform(pdist(hull))
    first, second = np.unravel_index(distances.argmax(), distances.shape)
    return hull[first], hull[second]


def _widest_across(edges: Points, start: Points, end: Points) -> tuple[Points, Points]:
    """Ends of the longest line between edges [N, 2, 2] that crosses start-end at right angles."""
    along = (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0]])
    s, w = (edges - start) @ along, (edges - start) @ across  # [segments, 2 ends] each
    # Between corners of the outline the width changes linearly: it is greatest at a corner.
    spans = [(at, *_span(s, w, at)) for at in np.unique(s)]
    crossing = [(at, low, high) for at, low, high in spans if low <= EPSILON_MM >= -high]
    at, low, high = max(crossing, key=lambda span: span[2] - span[1])
    return start + at * along + low * across, start + at * along + high * across


def _span(s: Points, w: Points, at: float) -> tuple[float, float]:
    """Lowest and highest w where segments given by (s, w) of their ends meet the line s = at."""
    met = (s.min(axis=1) <= at) & (s.max(axis=1) >= at)
    (s0, s1), (w0, w1) = s[met].T, w[met].T
    parallel = s0 == s1
    fraction = np.divide(at - s0, s1 - s0, out=np.zeros_like(s0), where=~parallel)
    reached = np.concatenate([w0 + fraction * (w1 - w0), w1[parallel]])
    return float(reached.min()), float(reached.max())


def _axis(start: Points, end: Points) -> Axis:
    return (float(start[0]), float(start[1])), (float(end[0]), float(end[1]))


def _moved(found: Diameters, columns: int, rows: int) -> Diameters:
    """Diameters in a part of a slice -> the same in the whole slice."""

    def moved(point: Point) -> Point:
        return point[0] + columns, point[1] + rows

    (a, b), (c, d) = found.long_axis, found.short_axis
    return Diameters(
        long_axis=(moved(a), moved(b)),
        short_axis=(moved(c), moved(d)),
        long_axis_mm=found.long_axis_mm,
        short_axis_mm=found.short_axis_mm,
    )


def _moved_box(found: Box, columns: int, rows: int) -> Box:
    column0, row0, column1, row1 = found
    return column0 + columns, row0 + rows, column1 + columns, row1 + rows
