"""The working grid: cubes of one size along the patient's axes, whatever the slices look like."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from plugin.volume import Volume

Vector = NDArray[np.float64]

#: What lies outside of a volume that leans, HU: not air, or a lung that is cut would run out.
OUTSIDE_HU = 0.0
#: Voxels by which slices may lean across the whole volume and still count as upright.
LARGEST_SKEW = 0.25


@dataclass(frozen=True)
class Grid:
    """Cubic voxels along the patient's axes; arrays on it are [z, y, x]."""

    #: Centre of the first voxel, mm in LPS patient coordinates (z, y, x).
    origin: tuple[float, float, float]
    #: Edge of a voxel, mm.
    size: float
    #: Voxels along (z, y, x).
    shape: tuple[int, int, int]

    def part(self, low: Vector, high: Vector, size: float) -> Grid:
        """The grid of voxels of another size between two corners, mm in LPS (z, y, x)."""
        shape = np.ceil((high - low) / size).astype(int) + 1
        return Grid(_triple(low), size, (int(shape[0]), int(shape[1]), int(shape[2])))

    def around(self, mask: NDArray[np.bool_], size: float) -> Grid:
        """The grid of voxels of another size around a mask on this one that is not empty."""
        filled = np.argwhere(mask)
        return self.part(
            self.to_mm(filled.min(axis=0) - 1.0), self.to_mm(filled.max(axis=0) + 1.0), size
        )

    def to_mm(self, indices: Vector) -> Vector:
        """Grid indices [..., 3] -> mm in LPS, both (z, y, x)."""
        return np.asarray(np.array(self.origin) + indices * self.size)


def around(volume: Volume, size: float) -> Grid:
    """The grid that covers a volume with voxels of some size, mm."""
    ends = [(0.0, float(count - 1)) for count in volume.hu.shape]
    corners = volume.to_patient(np.array(list(product(*ends))))[:, ::-1]  # [8, (z, y, x)]
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Grid(_triple(low), size, (1, 1, 1)).part(low, high, size)


def sample(volume: Volume, grid: Grid) -> NDArray[np.float32]:
    """The volume on a grid, HU [z, y, x], interpolated linearly."""
    onto, shift = to_grid(volume, grid)
    matrix = np.linalg.inv(onto)  # grid -> volume
    offset = -matrix @ shift
    order = np.abs(matrix).argmax(axis=0)  # the volume's axis nearest to each of z, y, x
    hu, aligned, start = volume.hu.transpose(order), matrix[order], offset[order]
    skew = np.abs(aligned - np.diag(np.diag(aligned))) @ np.array(grid.shape)
    if len(set(order.tolist())) == 3 and skew.max() < LARGEST_SKEW:
        return _along_axes(hu, np.diag(aligned), start, grid.shape)
    return np.asarray(
        ndimage.affine_transform(
            volume.hu, matrix, offset, grid.shape, order=1, mode="constant", cval=OUTSIDE_HU
        )
    )


def resample(mask: NDArray[np.bool_], grid: Grid, other: Grid) -> NDArray[np.bool_]:
    """A mask [z, y, x] on one grid -> the same on another."""
    start = (np.array(other.origin) - np.array(grid.origin)) / grid.size
    scale = np.full(3, other.size / grid.size)
    return _along_axes(mask.astype(np.float32), scale, start, other.shape) > 0.5


def _along_axes(
    array: NDArray[np.float32], scale: Vector, start: Vector, shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Interpolate at start + scale * index, one axis after the other, the last one first.

    Much faster than an affine transform. Positions outside take the value at the border.
    """
    array, start = _needed(array, start, start + scale * (np.array(shape) - 1))
    for axis in (2, 1, 0):
        last = array.shape[axis] - 1
        at = np.clip(start[axis] + scale[axis] * np.arange(shape[axis]), 0, last)
        lower = np.minimum(at.astype(int), max(last - 1, 0))
        weight = (at - lower).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
        low = array.take(lower, axis)
        high = array.take(np.minimum(lower + 1, last), axis)
        high -= low
        high *= weight
        array = np.add(low, high, out=low)
    return array


def _needed(
    array: NDArray[np.float32], first: Vector, last: Vector
) -> tuple[NDArray[np.float32], Vector]:
    """The part of an array between two positions, and the first position in that part."""
    count = np.array(array.shape)
    low = np.clip(np.floor(np.minimum(first, last)).astype(int), 0, count - 1)
    high = np.clip(np.ceil(np.maximum(first, last)).astype(int) + 1, low + 1, count)
    return array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], first - low


def to_grid(volume: Volume, grid: Grid) -> tuple[Vector, Vector]:
    """Matrix [3, 3] and offset [3] from volume (slice, row, column) to grid (z, y, x) indices."""
    matrix = volume.affine[:3, :3][::-1] / grid.size
    offset = (volume.affine[:3, 3][::-1] - np.array(grid.origin)) / grid.size
    return matrix, offset


def _triple(vector: Vector) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
