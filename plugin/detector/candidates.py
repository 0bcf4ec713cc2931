"""Solid places in the lungs, cut from the vessels that touch them. Arrays are [z, y, x]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator

Mask = NDArray[np.bool_]
Place = tuple[slice, slice, slice]

#: More attenuating than this is solid, HU.
SOLID_HU = -550.0
#: Radius of the largest ball inside the smallest candidate, mm.
SMALLEST_MM = 1.6
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


def candidates(solid: Mask, size: float) -> Iterator[Candidate]:
    """Places in a mask on cubes of `size` mm, the thickest first."""
    depth = _depth(solid, size)
    taken = np.zeros_like(solid)
    for peak in _peaks(depth):
        if not taken[peak]:
            candidate = _around(peak, depth, size)
            taken[candidate.place] |= candidate.mask
            yield candidate


def _depth(solid: Mask, size: float) -> NDArray[np.float32]:
    """Distance of solid voxels from what is not solid, mm; piece by piece, as most is air."""
    depth = np.zeros(solid.shape, np.float32)
    labels, _ = ndimage.label(solid)
    for index, place in enumerate(ndimage.find_objects(labels), start=1):
        piece = np.pad(labels[place] == index, 1)
        inner = ndimage.distance_transform_edt(piece)[1:-1, 1:-1, 1:-1]
        np.maximum(depth[place], inner * size, out=depth[place])
    return depth


def _peaks(depth: NDArray[np.float32]) -> list[tuple[int, int, int]]:
    """Voxels deeper than their neighbours, the deepest first."""
    highest = ndimage.maximum_filter(depth, 5)
    found = np.argwhere((depth == highest) & (depth >= SMALLEST_MM))
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
