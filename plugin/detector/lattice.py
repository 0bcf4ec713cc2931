"""The network's grid in the patient, and a volume sampled on it by the device.

Whatever the slices look like, the grid runs along the patient's axes, so that the network sees
every orientation, gantry tilt and slice distance alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from plugin.detector.network import INPUT_SPACING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin.volume import Volume

Vector = NDArray[np.float64]

#: Slices nearer to each other than this are averaged before sampling, mm.
_THIN_MM = 1.0


@dataclass(frozen=True)
class Lattice:
    """Voxels along the patient's axes; arrays on it are [z, y, x]."""

    #: Centre of the first voxel, mm in LPS patient coordinates (z, y, x).
    origin: tuple[float, float, float]
    #: Distance of voxels, mm (z, y, x).
    spacing: tuple[float, float, float]
    #: Voxels along (z, y, x).
    shape: tuple[int, int, int]
    #: Maps (z, y, x, 1) indices of the lattice to (slice, row, column) of the volume, [3, 4].
    to_volume: Vector

    def to_mm(self, indices: Vector) -> Vector:
        """Indices [..., 3] -> mm in LPS, both (z, y, x)."""
        return np.asarray(np.array(self.origin) + indices * np.array(self.spacing))

    def from_volume(self, indices: Vector) -> Vector:
        """Indices of the volume [..., (slice, row, column)] -> indices of the lattice [..., 3]."""
        inverse = np.linalg.inv(self.to_volume[:, :3])
        return np.asarray((indices - self.to_volume[:, 3]) @ inverse.T)


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
    z, y, x = (int(n) for n in np.floor((high - low) / spacing + 1e-6) + 1)
    inverse = np.linalg.inv(volume.affine)
    matrix = inverse[:3, :3][:, ::-1]
    to_volume = np.column_stack([matrix * np.array(spacing), matrix @ low + inverse[:3, 3]])
    return Lattice((float(low[0]), float(low[1]), float(low[2])), spacing, (z, y, x), to_volume)


def source(volume: Volume, device: torch.device) -> Tensor:
    """The volume on a device, HU [1, 1, slice, row, column], thin slices averaged."""
    hu = torch.from_numpy(np.ascontiguousarray(volume.hu, np.float32))[None, None].to(device)
    width = round(INPUT_SPACING[0] / volume.spacing[0]) // 2 * 2 + 1
    if volume.spacing[0] > _THIN_MM or width > hu.shape[2]:
        return hu
    edge = functional.pad(hu, (0, 0, 0, 0, width // 2, width // 2), mode="replicate")
    return functional.avg_pool3d(edge, (width, 1, 1), stride=1)


def sample(hu: Tensor, lattice: Lattice, start: int, shape: tuple[int, int, int]) -> Tensor:
    """A volume [1, 1, slice, row, column] on `shape` voxels from slice `start` of a lattice.

    HU [1, z, y, x], interpolated linearly; what lies outside has the value of the border.
    """
    # grid_sample counts (column, row, slice) from -1 to 1 between the centres of the ends.
    size = np.array(hu.shape[2:])
    to_unit = 2.0 / np.maximum(size - 1, 1)[:, None] * lattice.to_volume
    to_unit[:, 3] += to_unit[:, 0] * start - 1.0
    axes = [torch.arange(n, dtype=torch.float32, device=hu.device) for n in shape]
    z, y, x = (a.reshape([-1 if i == j else 1 for j in range(3)]) for i, a in enumerate(axes))
    rows = [
        (float(a) * z + float(b) * y + float(c) * x + float(d)).expand(shape)
        for a, b, c, d in to_unit[::-1]
    ]
    where = torch.stack(rows, dim=-1)[None]
    return functional.grid_sample(
        hu, where, mode="bilinear", padding_mode="border", align_corners=True
    )[0]


def chunks(count: int, length: int, overlap: int, multiple: int) -> Iterator[tuple[slice, slice]]:
    """Cut `count` slices into chunks: (slices to compute, those of them that are kept).

    Chunks reach `overlap` slices beyond what is kept, start at multiples of `multiple`, and the
    first slice to compute may be 0 only for the first chunk. Both slices count from 0.
    """
    step = max(length // multiple, 1) * multiple
    margin = -(-overlap // multiple) * multiple
    for low in range(0, count, step):
        high = min(low + step, count)
        yield slice(max(low - margin, 0), min(high + margin, count)), slice(low, high)
