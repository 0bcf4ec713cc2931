"""What a mask says about its lesion: centre, axes and extent, on any grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Offsets from a pixel's centre to the middles of its four sides, (y, x).
_SIDES = np.array([(-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5)])


class Outline(Enum):
    """Where it is known which voxels belong to a lesion."""

    #: On every slice.
    EVERYWHERE = "everywhere"
    #: On the key slice, the one nearest to the centre.
    KEY_SLICE = "key slice"
    #: On no slice.
    NOWHERE = "nowhere"


@dataclass(frozen=True)
class Told:
    """What an annotation says of a lesion besides its place; losses are silent about the rest."""

    #: Lengths and direction of long and short axis.
    axes: bool = True
    #: Extent along z.
    depth: bool = True
    #: Its outline.
    outline: Outline = Outline.EVERYWHERE
    #: Place in the order of LesionType, from 0; None where nobody gave it.
    lesion_type: int | None = None


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
    #: Which of these were marked; the others are guesses that only the drawing of maps needs.
    told: Told = Told()

    def moved(self, by: tuple[float, float, float]) -> Shape:
        """The same lesion `by` voxels (z, y, x) further."""
        z, y, x = (c + d for c, d in zip(self.centre, by, strict=True))
        return replace(self, centre=(z, y, x))


def ball(centre: tuple[float, float, float], diameter_mm: float) -> Shape:
    """A lesion of which no more is known than its place, in voxels (z, y, x), and its length."""
    told = Told(axes=False, depth=False, outline=Outline.NOWHERE)
    return Shape(centre, diameter_mm, diameter_mm, diameter_mm, 0.0, told)


def shape_of(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> Shape:
    """Shape of the one lesion in a mask [z, y, x] with square pixels of `spacing` mm."""
    voxels = np.argwhere(mask)
    areas = mask.sum((1, 2))
    candidates = np.flatnonzero(areas > 0.6 * areas.max())
    axes = max((_axes(mask[index]) for index in candidates), key=lambda a: a[0])
    long_pixels, short_pixels, angle = axes
    z, y, x = voxels.mean(axis=0).tolist()
    depth = (np.ptp(voxels[:, 0]) + 1) * spacing[0]
    return Shape(
        (z, y, x), long_pixels * spacing[1], short_pixels * spacing[1], float(depth), angle
    )


def ellipsoid(
    shape: tuple[int, ...], lesion: Shape, spacing: tuple[float, float, float], grow_mm: float = 0.0
) -> NDArray[np.bool_]:
    """Voxels [z, y, x] of an array of `shape` in the ellipsoid over a lesion's axes and depth.

    Each half axis is longer by `grow_mm`; the voxel of the centre always belongs to it.
    """
    steps = np.array(spacing)
    z, y, x = (
        (np.arange(n) - c) * mm for n, c, mm in zip(shape, lesion.centre, steps, strict=True)
    )
    z, y, x = z[:, None, None], y[:, None], x
    cosine, sine = np.cos(lesion.angle), np.sin(lesion.angle)
    halves = [length / 2 + grow_mm for length in (lesion.depth_mm, lesion.long_mm, lesion.short_mm)]
    parts = zip((z, x * cosine + y * sine, y * cosine - x * sine), halves, strict=True)
    inside = np.asarray(sum((part / max(half, 1e-3)) ** 2 for part, half in parts) <= 1.0)
    middle = np.round(lesion.centre).astype(int)
    if all(0 <= m < n for m, n in zip(middle, shape, strict=True)):
        inside[tuple(middle)] = True
    return inside


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
