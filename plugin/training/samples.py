"""Samples: lesions cut out of marked series, on one grid, with what was marked of them.

Whatever a data set says, and however it says it, comes to this one form, small enough to keep
thousands of them: `tiles` makes its random versions from samples alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from plugin.datasets.nodules import SPACING
from plugin.detector.lattice import lattice, sample, source
from plugin.detector.network import INPUT_SPACING
from plugin.training.shape import Outline, Shape, Told, ball, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from plugin.datasets.nodules import Patch
    from plugin.datasets.patch_neighbours import Neighbour
    from plugin.detector.lattice import Lattice
    from plugin.volume import Volume

#: At least this much is shown around a lesion, however large it is, mm.
_AROUND_MM = 16.0
#: A lesion of fewer voxels on the network's grid is not shown.
_FEWEST = 4


@dataclass(frozen=True)
class Annotation:
    """One lesion as it was marked in a volume."""

    #: Its middle in voxels (slice, row, column).
    centre: tuple[float, float, float]
    #: Long and short axis, mm; of a box its longer and shorter side.
    long_mm: float
    short_mm: float
    #: Extent along the normal of the slices, mm; None where one slice was marked.
    depth_mm: float | None
    #: Which of it is to be learned.
    told: Told
    #: Along the long axis, in voxels (slice, row, column); None where nobody drew it.
    direction: tuple[float, float, float] | None = None
    #: Its voxels [slice, row, column], where they are known, and the index of the first of them.
    mask: NDArray[np.bool_] | None = None
    offset: tuple[int, int, int] = (0, 0, 0)


def _none(_: Volume) -> Sequence[Annotation]:
    return ()


@dataclass(frozen=True)
class Scan:
    """A volume and the lesions that were marked in it."""

    #: Name, for messages and to tell samples apart.
    name: str
    #: Reads the volume; raises UnsuitableSeries or InvalidDataset.
    volume: Callable[[], Volume]
    #: Its lesions, computed from the volume.
    annotations: Callable[[Volume], Sequence[Annotation]]
    #: Whether training may see it.
    learned: bool
    #: Lesions that are known to be in it and are not to be learned from it.
    others: Callable[[Volume], Sequence[Annotation]] = _none


@dataclass(frozen=True)
class Sample:
    """A piece of CT with one lesion in its surroundings."""

    #: Where it comes from.
    name: str
    #: Attenuation in HU, int16, [z, y, x].
    hu: NDArray[np.int16]
    #: Distance of voxels, mm (z, y, x).
    spacing: tuple[float, float, float]
    #: The lesion, in voxels and mm of this grid.
    lesion: Shape
    #: Its voxels, [z, y, x]; None where they are not known on every slice.
    mask: NDArray[np.bool_] | None
    #: Other marked lesions in sight.
    neighbours: tuple[Shape, ...] = ()
    #: How much places away from the lesions count as lesion-free, 0 to 1.
    unmarked: float = 1.0


@dataclass(frozen=True)
class Cutting:
    """How samples are cut out of a volume."""

    #: What is shown around a lesion, mm (z, y, x).
    surroundings: tuple[float, float, float] = (50.0, 50.0, 50.0)
    #: How much unmarked places count, 0 to 1.
    unmarked: float = 1.0
    #: Distance of voxels, mm (z, y, x).
    spacing: tuple[float, float, float] = field(default=INPUT_SPACING)


def of_patch(
    patch: Patch, lesion_type: int | None = None, others: Sequence[Neighbour] = ()
) -> Sample:
    """A nodule patch, in which nothing else is a lesion but `others`."""
    shape = shape_of(patch.mask, SPACING)
    told = replace(shape.told, lesion_type=lesion_type)
    neighbours = tuple(ball(each.centre, each.diameter_mm) for each in others)
    lesion = replace(shape, told=told)
    return Sample(patch.name, patch.hu, SPACING, lesion, patch.mask, neighbours)


def cut_samples(scan: Scan, cutting: Cutting) -> Iterator[Sample]:
    """One sample for each lesion of a scan that is large enough for the grid."""
    volume = scan.volume()
    annotations, apart = scan.annotations(volume), scan.others(volume)
    hu = source(volume, torch.device("cpu"))
    for number, annotation in enumerate(annotations):
        grid = lattice(volume, cutting.spacing, _around(annotation, volume, cutting))
        mask = _mask_on(annotation, grid)
        if mask is not None and mask.sum() < _FEWEST:
            continue
        others = [each for each in annotations if each is not annotation]
        neighbours = [shape_on(each, grid) for each in (*others, *apart)]
        yield Sample(
            name=f"{scan.name} {number}",
            hu=sample(hu, grid)[0].numpy().round().astype(np.int16),
            spacing=cutting.spacing,
            lesion=_shape(annotation, grid, mask),
            mask=mask,
            neighbours=tuple(each for each in neighbours if _in_sight(each, grid)),
            unmarked=cutting.unmarked,
        )


def shape_on(annotation: Annotation, grid: Lattice) -> Shape:
    """An annotation in voxels and mm of a grid, its voxels aside."""
    z, y, x = grid.from_volume(np.array(annotation.centre)).tolist()
    # A lesion that was marked on one slice is drawn as deep as it is wide.
    depth_mm = annotation.short_mm if annotation.depth_mm is None else annotation.depth_mm
    return Shape(
        centre=(z, y, x),
        long_mm=annotation.long_mm,
        short_mm=annotation.short_mm,
        depth_mm=depth_mm,
        angle=_angle(annotation, grid),
        told=annotation.told,
    )


def _shape(annotation: Annotation, grid: Lattice, mask: NDArray[np.bool_] | None) -> Shape:
    if mask is None:
        return shape_on(annotation, grid)
    return replace(shape_of(mask, grid.spacing), told=annotation.told)


def _angle(annotation: Annotation, grid: Lattice) -> float:
    """From the x to the long axis, towards y, modulo pi; 0 where nobody drew it."""
    if annotation.direction is None:
        return 0.0
    start = grid.from_volume(np.array(annotation.centre))
    end = grid.from_volume(np.add(annotation.centre, annotation.direction))
    _, y, x = (end - start) * np.array(grid.spacing)
    return float(np.arctan2(y, x) % np.pi)


def _around(
    annotation: Annotation, volume: Volume, cutting: Cutting
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of what is shown, mm in LPS (z, y, x)."""
    middle = volume.to_patient(np.array(annotation.centre))[::-1]
    half = np.maximum(np.array(cutting.surroundings) / 2, annotation.long_mm / 2 + _AROUND_MM)
    return middle - half, middle + half


def _mask_on(annotation: Annotation, grid: Lattice) -> NDArray[np.bool_] | None:
    """The voxels of a lesion on a grid, [z, y, x]."""
    if annotation.mask is None or annotation.told.outline is not Outline.EVERYWHERE:
        return None
    # A rim of nothing, so that what lies outside of the mask has the value of its border.
    padded = np.pad(annotation.mask, 1).astype(np.float32)
    to_mask = grid.to_volume.copy()
    to_mask[:, 3] -= np.array(annotation.offset) - 1
    inside = sample(torch.from_numpy(padded)[None, None], replace(grid, to_volume=to_mask))
    return np.asarray(inside[0].numpy() > 0.5)


def _in_sight(lesion: Shape, grid: Lattice) -> bool:
    reach = np.array([lesion.depth_mm, lesion.long_mm, lesion.long_mm]) / 2 / grid.spacing
    centre = np.array(lesion.centre)
    return bool(((centre + reach >= 0) & (centre - reach <= np.array(grid.shape) - 1)).all())
