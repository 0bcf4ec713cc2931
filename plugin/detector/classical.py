"""Solid nodules and masses of the lung, found by their shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from plugin.bookmark import LesionType
from plugin.detector import Detection
from plugin.detector.candidates import SOLID_HU, candidates, solid_in
from plugin.detector.grid import around, resample, sample, to_grid
from plugin.detector.likeness import features, likeness
from plugin.detector.lungs import closed, lungs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from plugin.detector.candidates import Candidate
    from plugin.detector.grid import Grid
    from plugin.volume import Volume

#: Voxels for finding the lungs and for looking at what is in them, mm.
COARSE_MM, FINE_MM = 3.0, 1.0
#: Candidates with a lower score are not worth keeping.
LOWEST_SCORE = 0.05
#: How far the edge in the slices may be from the edge on the grid, mm.
EDGE_MM = 0.75


@dataclass(frozen=True)
class ClassicalDetector:
    """Looks for compact solid places in the lungs that few vessels touch."""

    #: Name and version.
    version: str = "lesionmark-classical 1"

    def detect(self, volume: Volume) -> list[Detection]:
        """The nodules and masses of the lungs; none in a series without lungs."""
        coarse = around(volume, COARSE_MM)
        inside = closed(lungs(sample(volume, coarse), COARSE_MM), COARSE_MM)
        if not inside.any():
            return []
        return list(_detections(volume, coarse, inside))


def _detections(
    volume: Volume, coarse: Grid, coarse_inside: NDArray[np.bool_]
) -> Iterator[Detection]:
    fine = coarse.around(coarse_inside, FINE_MM)
    hu = sample(volume, fine)
    inside = resample(coarse_inside, coarse, fine)
    solid = solid_in(hu, inside)
    for candidate in candidates(solid, FINE_MM, volume.spacing[0]):
        score = likeness(features(candidate, solid, inside, FINE_MM))
        if score >= LOWEST_SCORE:
            yield from _in_slices(candidate, volume, fine, score)


def _in_slices(
    candidate: Candidate, volume: Volume, grid: Grid, score: float
) -> Iterator[Detection]:
    """The candidate in the voxels of the volume; nothing when it falls between slices."""
    offset, at = _voxels(candidate, volume, grid)
    mask = np.pad(candidate.mask, 2)
    outside, inner = (ndimage.distance_transform_edt(m) for m in (~mask, mask))
    start = np.array([s.start for s in candidate.place])[:, None, None, None]
    depth = ndimage.map_coordinates(inner - outside, at - start + 2, order=1, cval=-9.0)
    part = volume.hu[tuple(slice(o, o + n) for o, n in zip(offset, depth.shape, strict=True))]
    # `depth` is 0.5 voxel at the outermost voxel inside and -0.5 at the next one.
    lesion = (depth * grid.size > -EDGE_MM) & (part > SOLID_HU)
    for place in ndimage.find_objects(lesion.astype(np.uint8)):
        yield Detection(
            mask=lesion[place],
            offset=tuple(o + s.start for o, s in zip(offset, place, strict=True)),
            score=score,
            lesion_type=LesionType.LUNG,
        )


def _voxels(
    candidate: Candidate, volume: Volume, grid: Grid
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Voxels of the volume around a candidate: index of the first one, and grid indices.

    The indices [3, slice, row, column] say where on the grid each voxel lies.
    """
    matrix, shift = to_grid(volume, grid)  # volume -> grid
    inverse = np.linalg.inv(matrix)
    low = np.array([s.start - 1 for s in candidate.place])
    high = np.array([s.stop for s in candidate.place])
    middle = inverse @ ((low + high) / 2 - shift)
    reach = np.abs(inverse) @ ((high - low) / 2)
    first = np.maximum(np.floor(middle - reach), 0).astype(int)
    last = np.minimum(np.ceil(middle + reach) + 1, volume.hu.shape).astype(int)
    indices = np.indices(last - first) + first[:, None, None, None]
    at = np.einsum("ij,jzrc->izrc", matrix, indices) + shift[:, None, None, None]
    return (int(first[0]), int(first[1]), int(first[2])), at
