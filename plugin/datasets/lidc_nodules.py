"""LIDC-IDRI: from outlines to masks, from readers to nodules, from nodules to a consensus."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from plugin.datasets.lidc import Nodule, Outline
    from plugin.volume import Volume

#: Share of the readers of a series who must have a voxel inside for it to belong to the consensus.
MAJORITY = 0.5


def clusters(
    nodules: Sequence[Nodule], pixel_mm: float, slice_mm: float
) -> list[tuple[Nodule, ...]]:
    """The nodules of all readers, those together that mean the same one, in their order.

    Two mean the same where points of their outlines come as near as a slice is thick. Where that
    puts two nodules of one reader together, the distance is halved for that group until it no
    longer does, or until there is no distance left.
    """
    return _apart(tuple(nodules), pixel_mm, slice_mm, smallest_mm=pixel_mm / 2)


def mask(nodule: Nodule, volume: Volume) -> NDArray[np.bool_]:
    """Voxels inside the outlines of a nodule, [slice, row, column] of the volume.

    Raises InvalidDataset where an outline lies on a slice that the volume does not have, or
    outside its slice.
    """
    indices = {each.sop_instance_uid: index for index, each in enumerate(volume.slices)}

    def index(outline: Outline) -> int:
        found = indices.get(outline.sop_instance_uid)
        if found is None:
            raise InvalidDataset(
                f"nodule {nodule.name}: instance {outline.sop_instance_uid} is not in the series"
            )
        return found

    return within(nodule.outlines, volume.hu.shape, index)


def within(
    outlines: Iterable[Outline], shape: tuple[int, ...], index: Callable[[Outline], int]
) -> NDArray[np.bool_]:
    """Voxels [slice, row, column] within outlines, each on the slice of its `index`."""
    inside = np.zeros(shape, np.bool_)
    for outline in sorted(outlines, key=lambda each: not each.inclusion):
        here, drawn = index(outline), filled(outline, shape[1:])
        inside[here] = inside[here] | drawn if outline.inclusion else inside[here] & ~drawn
    return inside


def consensus(
    group: Sequence[Nodule], volume: Volume, readers: int, level: float = MAJORITY
) -> NDArray[np.bool_]:
    """Voxels that at least a share `level` of all `readers` have inside, [slice, row, column].

    A reader who did not see the nodule has nothing inside.
    """
    votes = np.zeros(volume.hu.shape, np.uint8)
    for reader in {nodule.reader for nodule in group}:
        seen = [mask(nodule, volume) for nodule in group if nodule.reader == reader]
        votes += np.logical_or.reduce(seen)
    return votes >= max(level * readers, 1)


def filled(outline: Outline, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels [row, column] that an outline bounds.

    The pixels of an inclusion are left out, as they lie outside the nodule, unless there are no
    others; those of a hole belong to the hole.
    """
    rows, columns = shape
    low, high = outline.points.min(axis=0), outline.points.max(axis=0)
    if low.min() < 0 or high[0] >= columns or high[1] >= rows:
        raise InvalidDataset(
            f"instance {outline.sop_instance_uid}: an outline from {tuple(low.tolist())} to "
            f"{tuple(high.tolist())} lies outside its {columns} x {rows} pixels"
        )
    canvas = Image.new("1", (columns, rows))
    line = [(int(x), int(y)) for x, y in outline.points]
    ImageDraw.Draw(canvas).line([*line, line[0]], fill=1)
    edge = np.array(canvas)
    edge[outline.points[:, 1], outline.points[:, 0]] = True
    whole = ndimage.binary_fill_holes(edge)
    if not outline.inclusion:
        return np.asarray(whole)
    return np.asarray(whole & ~edge) if (whole & ~edge).any() else edge


def _apart(
    group: tuple[Nodule, ...], pixel_mm: float, nearest_mm: float, smallest_mm: float
) -> list[tuple[Nodule, ...]]:
    """Groups in which, if it can be had, no reader has two nodules."""
    parts: list[tuple[Nodule, ...]] = []
    for part in _touching(group, pixel_mm, nearest_mm):
        readers = [nodule.reader for nodule in part]
        if len(set(readers)) == len(readers) or nearest_mm < smallest_mm:
            parts.append(part)
        else:
            parts += _apart(part, pixel_mm, nearest_mm / 2, smallest_mm)
    return parts


def _touching(
    nodules: tuple[Nodule, ...], pixel_mm: float, nearest_mm: float
) -> list[tuple[Nodule, ...]]:
    """Groups of nodules that come near each other, directly or by way of others."""
    trees = [cKDTree(_points_mm(nodule, pixel_mm)) for nodule in nodules]
    near = [
        (a, b)
        for a, b in combinations(range(len(nodules)), 2)
        if trees[a].sparse_distance_matrix(trees[b], nearest_mm, output_type="ndarray").size
    ]
    rows, columns = np.array(near, int).reshape(-1, 2).T
    graph = csr_array((np.ones(len(near)), (rows, columns)), shape=(len(nodules), len(nodules)))
    count, labels = connected_components(graph, directed=False)
    return [tuple(nodules[i] for i in np.flatnonzero(labels == label)) for label in range(count)]


def _points_mm(nodule: Nodule, pixel_mm: float) -> NDArray[np.float64]:
    """Points of all outlines, mm, [points, (x, y, z)] with x and y from the first pixel."""
    return np.concatenate(
        [
            np.column_stack([each.points * pixel_mm, np.full(len(each.points), each.z_mm)])
            for each in nodule.outlines
        ]
    )
