"""Solid places in the lungs, cut from the vessels that touch them. Arrays are [z, y, x]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Iterator

Mask = NDArray[np.bool_]
Place = tuple[slice, slice, slice]

#: More attenuating than this is solid, HU.
SOLID_HU = -550.0
#: Radius of the largest ball inside the smallest candidate, mm.
SMALLEST_MM = 1.6
#: The same in units of the distance of slices: a vessel that runs through one thick slice
#: looks like a ball.
SMALLEST_SLICES = 0.7
#: What is narrower than this share of a candidate's width is a vessel or a spike.
NECK = 0.5
#: Spikes belong to a lesion up to this share of its radius.
SPIKES = 0.2
#: A candidate is looked for within this many radii around its middle.
REACH = 5.0


@dataclass(frozen=True)
class Candidate:
    """One solid place."""

    #: Where `mask` lies on the grid.
    place: Place
    #: Its voxels.
    mask: Mask
    #: Radius of the largest ball inside, mm.
    radius: float


def solid_in(hu: NDArray[np.float32], inside: Mask) -> Mask:
    """What is solid inside the closed lungs."""
    return np.asarray(inside & (ndimage.gaussian_filter(hu, 0.5) > SOLID_HU))


def candidates(solid: Mask, size: float, slice_mm: float) -> Iterator[Candidate]:
    """Places in a mask on cubes of `size` mm, from slices `slice_mm` apart, the thickest first."""
    depth = _depth(solid, size)
    taken = np.zeros_like(solid)
    for peak in _peaks(depth, max(SMALLEST_MM, SMALLEST_SLICES * slice_mm)):
        if not taken[peak]:
            candidate = _around(peak, depth, size)
            taken[candidate.place] |= candidate.mask
            yield candidate


def _depth(solid: Mask, size: float) -> NDArray[np.float32]:
    """Distance of solid voxels from what is not solid, mm.

    A distance transform, but only of the few voxels that are solid: most of a lung is air.
    """
    depth = np.where(solid, np.float32(size), np.float32(0))
    deep = np.argwhere(ndimage.binary_erosion(solid))  # the others touch what is not solid
    around = np.argwhere(ndimage.binary_dilation(solid) & ~solid)
    if len(deep) and len(around):
        tree = cKDTree(around, balanced_tree=False, compact_nodes=False)
        depth[tuple(deep.T)] = tree.query(deep)[0] * size
    return depth


def _peaks(depth: NDArray[np.float32], smallest: float) -> list[tuple[int, int, int]]:
    """Voxels deeper than their neighbours and than the smallest depth, mm, the deepest first."""
    highest = ndimage.maximum_filter(depth, 5)
    found = np.argwhere((depth == highest) & (depth >= smallest))
    order = np.argsort(-depth[tuple(found.T)], kind="stable")
    return [(int(z), int(y), int(x)) for z, y, x in found[order]]


def _around(peak: tuple[int, int, int], depth: NDArray[np.float32], size: float) -> Candidate:
    """The candidate with its middle at a peak.

    An opening whose ball grows with the candidate: what is connected to the peak where it is
    at least NECK as wide as there, grown back by the same amount and by the spikes.
    """
    radius = float(depth[peak])
    reach = int(REACH * radius / size) + 2
    z, y, x = (
        slice(max(p - reach, 0), min(p + reach + 1, n))
        for p, n in zip(peak, depth.shape, strict=True)
    )
    near = depth[z, y, x]
    labels, _ = ndimage.label(near > NECK * radius)
    core = labels == labels[peak[0] - z.start, peak[1] - y.start, peak[2] - x.start]
    from_core = ndimage.distance_transform_edt(~core) * size
    grown = (near > 0) & (from_core <= (NECK + SPIKES) * radius + size / 2)
    return Candidate((z, y, x), grown, radius)
