"""From a candidate and the map of insides to the lesion's voxels in the volume itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from plugin.measure import Diameters, diameters, largest_region

if TYPE_CHECKING:
    from plugin.detector.lattice import Lattice
    from plugin.detector.response import Candidate
    from plugin.volume import Volume

Mask = NDArray[np.bool_]

#: Levels of the map above which the core of a lesion lies; the first that has one.
_CORE = (0.5, 0.2, 0.05)
#: What else belongs to a lesion, from sparing to generous: where the map is above the first
#: number and the attenuation more than the second one's share of the way from lung to core.
_CUTS = ((0.02, 0.65), (0.012, 0.5), (0.006, 0.35))
#: Readers measure this much more than the size head expects: it leaves spicules out.
_SPICULES = 1.1
#: How much a difference in the short axis counts beside one in the long axis.
_SHORT_WEIGHT = 0.5
#: Lung around a lesion: darker than the first, HU, where the map is below the second; the third
#: is taken where there are fewer voxels of it than the last.
_DARK_HU, _OUTSIDE, _LUNG_HU, _LEAST_LUNG = -500.0, 0.1, -850.0, 100
#: The map is looked at this far around a candidate: times its long axis, and mm.
_REACH, _REACH_MM = 0.8, 5.0


class Piece(NamedTuple):
    """Voxels of a lesion in a part of the volume."""

    #: [slice, row, column], not empty.
    mask: Mask
    #: Where the part starts in the volume.
    offset: tuple[int, int, int]


def outline(
    candidate: Candidate, inside: NDArray[np.uint8], lattice: Lattice, volume: Volume
) -> Piece | None:
    """Voxels of the volume that belong to a candidate; None when it lies outside of it.

    A candidate without any mask becomes a ball.
    """
    indices, offset = _around(candidate, lattice, volume)
    if not indices.size:
        return None
    position = lattice.from_volume(indices)  # [slice, row, column, 3]
    level = _interpolate(inside, position)
    seed = _distance(position, candidate, lattice)
    cores = (_piece(level > value, seed) for value in _CORE)
    core = next((each for each in cores if each is not None), None)
    if core is None:
        return _cropped(_ball(seed, candidate), offset)
    hu = volume.hu[tuple(slice(o, o + n) for o, n in zip(offset, level.shape, strict=True))]
    cuts = (_piece(mask, seed) for mask in _cuts(level, hu, core))
    pieces = [each for each in cuts if each is not None]
    _, row_mm, column_mm = volume.spacing
    return _cropped(_best(pieces, candidate, (row_mm, column_mm)), offset)


def _cuts(level: NDArray[np.float32], hu: NDArray[np.float32], core: Mask) -> list[Mask]:
    """The core with what is bright around it, from sparing to generous.

    The map alone is smooth: it leaves out spicules, which are faint in it but bright in the CT,
    and its edge lies where the lesion's is only within a pixel.
    """
    lung = hu[(level < _OUTSIDE) & (hu < _DARK_HU)]
    dark = float(np.median(lung)) if lung.size > _LEAST_LUNG else _LUNG_HU
    bright = float(np.median(hu[core]))
    return [
        core | ((level > faint) & (hu > dark + share * (bright - dark))) for faint, share in _CUTS
    ]


def _cropped(mask: Mask, offset: tuple[int, int, int]) -> Piece:
    """A mask without the empty voxels around it."""
    place = ndimage.find_objects(mask.astype(np.uint8))[0]
    z, y, x = (o + s.start for o, s in zip(offset, place, strict=True))
    return Piece(mask[place], (z, y, x))


def _best(pieces: list[Mask], candidate: Candidate, spacing: tuple[float, float]) -> Mask:
    """The piece whose axes are nearest to the expected ones."""
    long_mm, short_mm = candidate.size_mm[0] * _SPICULES, candidate.size_mm[1]

    def difference(piece: Mask) -> float:
        found = _diameters(piece, spacing)
        across = abs(found.short_axis_mm - short_mm)
        return abs(found.long_axis_mm - long_mm) + _SHORT_WEIGHT * across

    return min(pieces, key=difference)


def _diameters(mask: Mask, spacing: tuple[float, float]) -> Diameters:
    """Diameters in the slice with most voxels."""
    key = int(mask.sum(axis=(1, 2)).argmax())
    return diameters(largest_region(mask[key]), *spacing)


def _around(
    candidate: Candidate, lattice: Lattice, volume: Volume
) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """Indices [slice, row, column, 3] of the volume's voxels near a candidate; their offset."""
    middle = lattice.to_volume @ np.array([*candidate.centre, 1.0])
    reach = (candidate.size_mm[0] * _REACH + _REACH_MM) / np.array(volume.spacing)
    low = np.maximum(np.floor(middle - reach), 0).astype(int)
    high = np.minimum(np.ceil(middle + reach) + 1, volume.hu.shape).astype(int)
    axes = [np.arange(a, max(a, b), dtype=np.float64) for a, b in zip(low, high, strict=True)]
    indices = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return indices, (int(low[0]), int(low[1]), int(low[2]))


def _interpolate(inside: NDArray[np.uint8], position: NDArray[np.float64]) -> NDArray[np.float32]:
    """The map of insides, 0 to 1, at positions [..., 3] of the lattice."""
    low = np.floor(position.reshape(-1, 3).min(axis=0)).astype(int).clip(0)
    high = np.ceil(position.reshape(-1, 3).max(axis=0)).astype(int) + 2
    part = inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    where = np.moveaxis(position - low, -1, 0)
    values = ndimage.map_coordinates(part.astype(np.float32) / 255, where, order=1, mode="nearest")
    return np.asarray(values, np.float32)


def _distance(
    position: NDArray[np.float64], candidate: Candidate, lattice: Lattice
) -> NDArray[np.float64]:
    """Distance from the candidate's centre in mm, [slice, row, column]."""
    away = (position - np.array(candidate.centre)) * np.array(lattice.spacing)
    return np.asarray(np.linalg.norm(away, axis=-1))


def _piece(inside: Mask, distance: NDArray[np.float64]) -> Mask | None:
    """The connected region that comes nearest to the centre, if it comes near."""
    labels, count = ndimage.label(inside)
    if not count:
        return None
    nearest = ndimage.minimum(distance, labels, np.arange(1, count + 1))
    chosen = int(np.argmin(nearest))
    if nearest[chosen] > _REACH_MM:
        return None
    return np.asarray(labels == chosen + 1)


def _ball(distance: NDArray[np.float64], candidate: Candidate) -> Mask:
    """A ball as wide as the mean of the expected axes, at least one voxel."""
    radius = (candidate.size_mm[0] + candidate.size_mm[1]) / 4
    return np.asarray(distance <= max(radius, float(distance.min())))
