"""Lesion-free CT for negatives and as the ground that tiles are pasted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Darker than this is lung or gas, HU.
_DARK = -500
#: Brighter than this is body, HU.
_BODY = -300
#: What a crop shows outside of the series, HU.
AIR = -1000
#: No crop comes nearer to a lesion, mm.
_MARGIN_MM = 10.0

#: First and past-the-last voxel along z, y, x.
Region = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Background:
    """A series on the network's input grid, with regions that must not be shown."""

    #: Name for messages.
    name: str
    #: Attenuation in HU, int16, [z, y, x].
    hu: NDArray[np.int16]
    #: Regions around its lesions; no crop touches one.
    excluded: tuple[Region, ...]
    #: Voxels [N, 3] inside the lungs (or gas), a sample; crops are centred near them.
    lung: NDArray[np.int32]
    #: How often it is drawn, relative to the others.
    weight: float

    def crop(
        self, shape: tuple[int, int, int], rng: np.random.Generator, near: NDArray[np.int32] | None
    ) -> NDArray[np.int16]:
        """A random crop [z, y, x] of that shape free of lesions, padded with air.

        `near` holds voxels [N, 3] of hard negatives that it should contain.
        """
        for _ in range(50):
            corner = self._corner(shape, rng, near)
            if not any(_touches(corner, shape, region) for region in self.excluded):
                break
        else:
            corner = (10**6, 0, 0)
        return _cut(self.hu, corner, shape)

    def _corner(
        self, shape: tuple[int, int, int], rng: np.random.Generator, near: NDArray[np.int32] | None
    ) -> tuple[int, int, int]:
        points = self.lung if near is None or not len(near) else near
        point = points[rng.integers(len(points))]
        if near is None and rng.random() < 0.15:
            point = (rng.random(3) * self.hu.shape).astype(np.int32)
        z, y, x = (
            int(p - rng.integers(s // 5, s - s // 5)) for p, s in zip(point, shape, strict=True)
        )
        return z, y, x


def make_background(
    name: str,
    hu: NDArray[np.int16],
    lesions: NDArray[np.float64],
    spacing: tuple[float, float, float],
    weight: float,
) -> Background:
    """A series on the grid [z, y, x]; `lesions` [N, 2, 3] are corners of boxes in its voxels."""
    margin = _MARGIN_MM / np.array(spacing)
    excluded = tuple(_region(low - margin, high + margin) for low, high in lesions)
    return Background(name, hu, excluded, _lung_voxels(hu), weight)


def _region(low: NDArray[np.float64], high: NDArray[np.float64]) -> Region:
    z, y, x = ((int(a), int(b)) for a, b in zip(np.floor(low), np.ceil(high) + 1, strict=True))
    return z, y, x


def _lung_voxels(hu: NDArray[np.int16]) -> NDArray[np.int32]:
    """Dark voxels that are not outside air, or body, or any; good enough to choose crops."""
    body = ndimage.binary_fill_holes(ndimage.binary_opening(hu[:, ::4, ::4] > _BODY))
    per_slice = np.stack([ndimage.binary_fill_holes(s) for s in body])
    dark = per_slice & (hu[:, ::4, ::4] < _DARK)
    chosen = next(mask for mask in (dark, per_slice, np.ones_like(dark)) if mask.any())
    points = np.argwhere(chosen).astype(np.int32)
    return points * np.array([1, 4, 4], np.int32)


def _touches(corner: tuple[int, int, int], shape: tuple[int, int, int], region: Region) -> bool:
    return all(
        c < high and c + s > low for c, s, (low, high) in zip(corner, shape, region, strict=True)
    )


def _cut(
    array: NDArray[np.int16], corner: tuple[int, int, int], shape: tuple[int, int, int]
) -> NDArray[np.int16]:
    """The part of an array at `corner`, filled with air where it lies outside."""
    result = np.full(shape, AIR, np.int16)
    here = tuple(
        slice(min(max(c, 0), n), max(min(c + s, n), 0))
        for c, s, n in zip(corner, shape, array.shape, strict=True)
    )
    if all(s.stop > s.start for s in here):
        there = tuple(slice(s.start - c, s.stop - c) for s, c in zip(here, corner, strict=True))
        result[there] = array[here]
    return result
