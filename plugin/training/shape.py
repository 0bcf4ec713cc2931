"""What a mask says about its lesion: centre, axes and extent, on any grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Offsets from a pixel's centre to the middles of its four sides, (y, x).
_SIDES = np.array([(-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5)])


@dataclass(frozen=True)
class Shape:
    """Where a lesion lies in an array and how large it is."""

    #: Centre of mass in voxels (z, y, x).
    centre: tuple[float, float, float]
    #: Longest diameter in one slice, mm.
    long_mm: float
    #: Width of that slice's contour perpendicular to it, mm.
    short_mm: float
    #: Extent along z, mm.
    depth_mm: float
    #: Angle from the x to the long axis, towards y, in radians modulo pi.
    angle: float

    def moved(self, by: tuple[float, float, float]) -> Shape:
        """The same lesion `by` voxels (z, y, x) further."""
        z, y, x = (c + d for c, d in zip(self.centre, by, strict=True))
        return replace(self, centre=(z, y, x))


def shape_of(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> Shape:
    """Shape of the one lesion in a mask [z, y, x] with square pixels of `spacing` mm."""
    voxels = np.argwhere(mask)
    areas = mask.sum((1, 2))
    candidates = np.flatnonzero(areas > 0.6 * areas.max())
    axes = max((_axes(mask[index]) for index in candidates), key=lambda a: a[0])
    long_pixels, short_pixels, angle = axes
    z, y, x = voxels.mean(axis=0)
    depth = (np.ptp(voxels[:, 0]) + 1) * spacing[0]
    return Shape(
        (z, y, x), long_pixels * spacing[1], short_pixels * spacing[1], float(depth), angle
    )


def _axes(mask: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Long axis, width across it (both in pixels) and angle of one slice [y, x]."""
    points = _outline(mask)
    difference = points[:, None] - points[None]
    distance = (difference**2).sum(-1)
    i, j = np.unravel_index(distance.argmax(), distance.shape)
    along = difference[i, j] / np.sqrt(distance[i, j])
    across = points @ np.array([-along[1], along[0]])
    angle = np.arctan2(along[0], along[1]) % np.pi
    return float(np.sqrt(distance[i, j])), float(np.ptp(across)), float(angle)


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Middles of the outer pixels' sides, (y, x), [N, 2]."""
    padded = np.pad(mask, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    pixels = np.argwhere(mask & ~inside)
    return np.asarray(pixels[:, None] + _SIDES[None]).reshape(-1, 2)
