"""From a close-up of a lesion to its voxels in the volume itself."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from plugin.detector.closeup import CloseUp, View
    from plugin.detector.lattice import Lattice
    from plugin.volume import Volume

Mask = NDArray[np.bool_]

#: Probability of "inside" above which the core of a lesion lies, and above which its tails do.
_CORE, _TAIL = 0.4, 0.1
#: A tail reaches farther from the core than this: times the expected long axis, and mm or a pixel,
#: whichever is longer. What lies nearer is the blur of the core's own edge.
_BLUR, _BLUR_MM = 0.02, 1.0
#: A tail begins within so many of these distances of its far part.
_ROOT = 1.5
#: A region farther from the expected centre is not the lesion, mm.
_NEAR_MM = 5.0


class Piece(NamedTuple):
    """Voxels of a lesion in a part of the volume."""

    #: [slice, row, column], not empty.
    mask: Mask
    #: Where the part starts in the volume.
    offset: tuple[int, int, int]


def outline(view: View, closeup: CloseUp, volume: Volume) -> Piece | None:
    """Voxels of the volume that belong to a lesion; None when it lies outside of it.

    A lesion of which no voxel is inside becomes a ball.
    """
    low, high = _bounds(closeup.lattice, volume)
    if (low >= high).any():
        return None
    slices = [_of_slice(index, low, high, view, closeup) for index in range(low[0], high[0])]
    level, away = (np.stack(parts) for parts in zip(*slices, strict=True))
    offset = int(low[0]), int(low[1]), int(low[2])
    core = _piece(level > _CORE, away)
    if core is None:
        core = _piece(level > _TAIL, away)
    if core is None:
        return _cropped(_ball(away, view.axes_mm), offset)
    blur_mm = _BLUR * view.axes_mm[0] + max(_BLUR_MM, *volume.spacing[1:])
    return _cropped(core | tails(core, level > _TAIL, blur_mm, volume.spacing[1:]), offset)


def tails(core: Mask, faint: Mask, blur_mm: float, spacing: tuple[float, float]) -> Mask:
    """What hangs together with a core, and reaches farther from it than its own blur, in a slice.

    All are [slice, row, column]; `spacing` is that of rows and columns, mm. The network is never
    certain of spicules, because readers follow some of them and others not; a lower cut everywhere
    would blow up all lesions by their blur.
    """
    slices = (_tails(*both, blur_mm, spacing) for both in zip(core, faint, strict=True))
    return np.stack(list(slices))


def _tails(core: Mask, faint: Mask, blur_mm: float, spacing: tuple[float, float]) -> Mask:
    """The tails [row, column] of one slice."""
    if not core.any():
        return core
    labels, _ = ndimage.label(core | faint)
    attached = np.isin(labels, labels[core])
    far = attached & (_away(core, spacing) > blur_mm)
    return attached & (_away(far, spacing) <= _ROOT * blur_mm) if far.any() else far


def _away(mask: Mask, spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Distance of each pixel [row, column] from a mask that is not empty, mm."""
    return np.asarray(ndimage.distance_transform_edt(~mask, spacing), np.float64)


def _cropped(mask: Mask, offset: tuple[int, int, int]) -> Piece:
    """A mask without the empty voxels around it."""
    place = ndimage.find_objects(mask.astype(np.uint8))[0]
    z, y, x = (o + s.start for o, s in zip(offset, place, strict=True))
    return Piece(mask[place], (z, y, x))


def _bounds(lattice: Lattice, volume: Volume) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First voxel (slice, row, column) of the volume within a close-up, and the one after the last.

    There is none where one of the first is not below its last.
    """
    corners = np.array(list(product(*((0, count - 1) for count in lattice.shape))))
    places = corners @ lattice.to_volume[:, :3].T + lattice.to_volume[:, 3]
    low = np.maximum(np.floor(places.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(places.max(axis=0)) + 1, volume.hu.shape).astype(int)
    return low, high


def _of_slice(
    index: int, low: NDArray[np.int_], high: NDArray[np.int_], view: View, closeup: CloseUp
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Map of insides, 0 beyond it, and distance from the expected centre in mm, [row, column]."""
    rows, columns = np.meshgrid(*map(np.arange, low[1:], high[1:]), indexing="ij")
    places = np.stack((np.full(rows.shape, index), rows, columns), axis=-1)
    where = closeup.lattice.from_volume(places)  # [row, column, (z, y, x)]
    level = ndimage.map_coordinates(
        closeup.inside, np.moveaxis(where, -1, 0), order=1, mode="grid-constant", cval=0.0
    )
    away = (where - closeup.lattice.from_mm(np.array(view.centre))) * closeup.lattice.spacing
    return np.asarray(level, np.float32), np.linalg.norm(away, axis=-1).astype(np.float32)


def _piece(inside: Mask, distance: NDArray[np.float32]) -> Mask | None:
    """The connected region that comes nearest to the centre, if it comes near."""
    labels, count = ndimage.label(inside)
    if not count:
        return None
    nearest = ndimage.minimum(distance, labels, np.arange(1, count + 1))
    chosen = int(np.argmin(nearest))
    if nearest[chosen] > _NEAR_MM:
        return None
    return np.asarray(labels == chosen + 1)


def _ball(distance: NDArray[np.float32], axes_mm: tuple[float, float]) -> Mask:
    """A ball as wide as the mean of the expected axes, at least one voxel."""
    return np.asarray(distance <= max(sum(axes_mm) / 4, float(distance.min())))
