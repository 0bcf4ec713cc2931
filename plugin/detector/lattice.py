"""The network's grid in the patient, and a volume sampled on it by the device.

Whatever the slices look like, the grid runs along the patient's axes, so that the network sees
every orientation, gantry tilt and slice distance alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from plugin.detector.network import INPUT_SPACING, STRIDE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plugin.volume import Volume

Vector = NDArray[np.float64]

#: Slices nearer to each other than this are averaged before sampling, mm.
_THIN_MM = 1.0
#: Less than this part of a voxel is an error of rounding.
_NOTHING = 1e-6
#: Decimals of positions in the volume, voxels.
_DIGITS = 7
#: Most voxels of a volume that are copied at a time; 256 MiB.
_MOST_VOXELS = 2**26


@dataclass(frozen=True)
class Lattice:
    """Voxels along the patient's axes; arrays on it are [z, y, x].

    Its voxels lie at multiples of their distance from the origin of the patient coordinates,
    wherever a volume begins: slices that come late leave it as it was.
    """

    #: The first voxel (z, y, x), counted in voxels from the origin of the patient coordinates.
    first: tuple[int, int, int]
    #: Distance of voxels, mm (z, y, x).
    spacing: tuple[float, float, float]
    #: Voxels along (z, y, x).
    shape: tuple[int, int, int]
    #: Maps (z, y, x, 1) indices of the lattice to (slice, row, column) of the volume, [3, 4].
    to_volume: Vector
    #: Slices of the volume, an odd number, that are averaged before sampling.
    averaged: int = 1

    def to_mm(self, indices: Vector) -> Vector:
        """Indices [..., 3] -> mm in LPS, both (z, y, x)."""
        return np.asarray((np.array(self.first) + indices) * np.array(self.spacing))

    def from_mm(self, places: Vector) -> Vector:
        """Places [..., 3], mm in LPS -> indices, both (z, y, x)."""
        return np.asarray(places / np.array(self.spacing) - np.array(self.first))

    def from_volume(self, indices: Vector) -> Vector:
        """Indices of the volume [..., (slice, row, column)] -> indices of the lattice [..., 3]."""
        inverse = np.linalg.inv(self.to_volume[:, :3])
        return np.asarray((indices - self.to_volume[:, 3]) @ inverse.T)

    def part(self, start: tuple[int, int, int], shape: tuple[int, int, int]) -> Lattice:
        """`shape` voxels of it from the index `start` on; they may lie beyond its ends."""
        z, y, x = (int(a + b) for a, b in zip(self.first, start, strict=True))
        offset = self.to_volume @ np.array([*start, 1.0])
        to_volume = np.column_stack([self.to_volume[:, :3], offset])
        return replace(self, first=(z, y, x), shape=shape, to_volume=to_volume)


def lattice(
    volume: Volume,
    spacing: tuple[float, float, float] = INPUT_SPACING,
    within: tuple[Vector, Vector] | None = None,
) -> Lattice:
    """The lattice with voxels of `spacing` mm (z, y, x) that covers a volume.

    `within` are the lower and upper corner of the part to cover, mm in LPS (z, y, x).
    """
    ends = [(0.0, float(count - 1)) for count in volume.hu.shape]
    corners = volume.to_patient(np.array(list(product(*ends))))[:, ::-1]  # [8, (z, y, x)]
    low, high = corners.min(axis=0), corners.max(axis=0)
    if within is not None:
        low, high = np.maximum(low, within[0]), np.minimum(high, within[1])
    # Whole voxels of the network's output, which are STRIDE voxels of its input wide.
    units = np.array((1, STRIDE, STRIDE))
    first = np.floor(low / spacing / units + _NOTHING).astype(int) * units
    stop = np.ceil((high / spacing + 1) / units - _NOTHING).astype(int) * units
    return placed(volume, spacing, _three(first), _three(stop - first))


def placed(
    volume: Volume,
    spacing: tuple[float, float, float],
    first: tuple[int, int, int],
    shape: tuple[int, int, int],
) -> Lattice:
    """The lattice of `shape` voxels from the voxel `first` on; it may reach beyond the volume."""
    inverse = np.linalg.inv(volume.affine)
    matrix = inverse[:3, :3][:, ::-1] * np.array(spacing)
    return Lattice(
        first=first,
        spacing=spacing,
        shape=shape,
        to_volume=np.column_stack([matrix, matrix @ first + inverse[:3, 3]]),
        averaged=_averaged(volume, spacing[0]),
    )


def _three(values: NDArray[np.int_]) -> tuple[int, int, int]:
    z, y, x = values.tolist()
    return z, y, x


def _averaged(volume: Volume, slice_mm: float) -> int:
    """How many slices are as thick as a voxel of `slice_mm`, or as one of the network's input."""
    thickness = min(slice_mm, INPUT_SPACING[0])
    width = round(thickness / volume.spacing[0]) // 2 * 2 + 1
    return 1 if volume.spacing[0] > _THIN_MM or width > len(volume.hu) else width


def source(volume: Volume, device: torch.device) -> Tensor:
    """The volume on a device, HU [1, 1, slice, row, column]."""
    return torch.from_numpy(np.ascontiguousarray(volume.hu, np.float32))[None, None].to(device)


def sample(hu: Tensor, lattice: Lattice) -> Tensor:
    """A volume [1, 1, slice, row, column] on a lattice.

    HU [1, z, y, x], interpolated linearly; what lies outside has the value of the border. Only
    the part of the volume that is needed is looked at, and positions count from there: the same
    slices give the same values to the last bit, whatever else the volume holds. Where that part
    is large it is looked at in halves, to bound the memory.
    """
    needed = _needed(lattice, hu.shape[2:])
    depth, height, width = lattice.shape
    if depth > 1 and prod(each.stop - each.start for each in needed) > _MOST_VOXELS:
        middle = depth // 2
        lower = lattice.part((0, 0, 0), (middle, height, width))
        upper = lattice.part((middle, 0, 0), (depth - middle, height, width))
        return torch.cat((sample(hu, lower), sample(hu, upper)), dim=1)
    crop = _cropped(hu, needed, lattice.averaged)
    # grid_sample counts (column, row, slice) from -1 to 1 between the centres of the ends.
    to_crop = lattice.to_volume.round(_DIGITS)
    to_crop[:, 3] -= [each.start for each in needed]
    to_unit = 2.0 / np.maximum(np.array(crop.shape[2:]) - 1, 1)[:, None] * to_crop
    to_unit[:, 3] -= 1.0
    axes = [torch.arange(n, dtype=torch.float32, device=hu.device) for n in lattice.shape]
    z, y, x = (a.reshape([-1 if i == j else 1 for j in range(3)]) for i, a in enumerate(axes))
    rows = [
        (float(a) * z + float(b) * y + float(c) * x + float(d)).expand(lattice.shape)
        for a, b, c, d in to_unit[::-1]
    ]
    where = torch.stack(rows, dim=-1)[None]
    return functional.grid_sample(
        crop, where, mode="bilinear", padding_mode="border", align_corners=True
    )[0]


def _needed(lattice: Lattice, size: Sequence[int]) -> list[slice]:
    """The voxels between which a lattice lies in a volume of `size`; at least one an axis."""
    ends = [(0.0, float(count - 1)) for count in lattice.shape]
    corners = np.array([(*corner, 1.0) for corner in product(*ends)])  # [8, 4]
    indices = (corners @ lattice.to_volume.T).round(_DIGITS)
    low = np.floor(indices.min(axis=0)).astype(int)
    high = np.floor(indices.max(axis=0)).astype(int) + 2
    return [
        slice(min(max(a, 0), n - 1), min(max(b, 1), n))
        for a, b, n in zip(low.tolist(), high.tolist(), size, strict=True)
    ]


def _cropped(hu: Tensor, needed: Sequence[slice], averaged: int) -> Tensor:
    """Part of a volume, each slice the mean of `averaged` around it; the border slices repeat."""
    slices, rows, columns = needed
    reach = averaged // 2
    low, high = slices.start - reach, slices.stop + reach
    held = slice(max(low, 0), min(high, hu.shape[2]))
    crop = hu[:, :, held, rows, columns]
    if not reach:
        return crop
    missing = (0, 0, 0, 0, held.start - low, high - held.stop)
    edge = functional.pad(crop, missing, mode="replicate")
    return functional.avg_pool3d(edge, (averaged, 1, 1), stride=1)


def chunks(
    first: int, count: int, length: int, overlap: int, multiple: int
) -> Iterator[tuple[slice, slice]]:
    """Cut `count` slices of a lattice into chunks: (slices to compute, those that are kept).

    Both count from the first slice of the lattice, which is slice `first` of the patient. Where
    chunks meet is fixed in the patient, at multiples of `length`; they reach `overlap` slices
    beyond what is kept, and start and end at multiples of `multiple`, maybe beyond the lattice.
    """
    step = max(length // multiple, 1) * multiple
    stop = first + count
    lowest, highest = first // multiple * multiple, -(-stop // multiple) * multiple
    for start in range(first // step * step, stop, step):
        low, high = max(start, first), min(start + step, stop)
        begin = max((low - overlap) // multiple * multiple, lowest)
        end = min(-(-(high + overlap) // multiple) * multiple, highest)
        yield slice(begin - first, end - first), slice(low - first, high - first)
