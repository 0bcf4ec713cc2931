"""What the network should say at every voxel of a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from plugin.detector.network import INPUT_SPACING, STRIDE
from plugin.training.shape import Outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.training.collage import Block
    from plugin.training.shape import Shape

#: What the type map says where nobody gave a type.
SILENT = -1
#: Places of the axes' lengths and direction, and of the depth, among the regression channels.
_AXES, _DEPTH = [3, 4, 6, 7], 5
#: How much the mask counts away from lesions.
_FAR = 0.03
#: Spacing of the output grid, mm; the same along each axis.
OUTPUT_MM = INPUT_SPACING[1] * STRIDE


@dataclass(frozen=True)
class Targets:
    """The maps of a block or, stacked along a new first axis, of a batch of blocks."""

    #: 1 at centres, falling off around them, [1, z, y, x].
    centre: Tensor
    #: How much the centre map counts, 0 to 1, [1, z, y, x].
    valid: Tensor
    #: Regression targets (offset, log sizes, direction), [8, z, y, x].
    regression: Tensor
    #: Weight of each of them, [8, z, y, x].
    weight: Tensor
    #: Inside a lesion, on the input's grid, [1, z, 2 y, 2 x].
    mask: Tensor
    #: Weight of the mask, on the input's grid, [1, z, 2 y, 2 x].
    mask_weight: Tensor
    #: Place of the type of a lesion in the order of LesionType, or SILENT, [1, z, y, x].
    lesion_type: Tensor


@dataclass(frozen=True)
class _Maps:
    """What is drawn lesion by lesion, on the output's grid."""

    #: [z, y, x]
    centre: NDArray[np.float32]
    #: [8, z, y, x]
    regression: NDArray[np.float32]
    #: [8, z, y, x]
    weight: NDArray[np.float32]
    #: How much the mask counts, [z, y, x].
    near: NDArray[np.float32]
    #: Where no outline was marked although there is a lesion, [z, y, x].
    untold: NDArray[np.bool_]
    #: [z, y, x]
    lesion_type: NDArray[np.float32]

    @classmethod
    def blank(cls, shape: tuple[int, int, int]) -> _Maps:
        """Nothing but background."""
        return cls(
            centre=np.zeros(shape, np.float32),
            regression=np.zeros((8, *shape), np.float32),
            weight=np.zeros((8, *shape), np.float32),
            near=np.full(shape, _FAR, np.float32),
            untold=np.zeros(shape, np.bool_),
            lesion_type=np.full(shape, SILENT, np.float32),
        )


def make_targets(block: Block) -> Targets:
    """Targets of a block [z, y, x] with y and x even."""
    z, h, w = block.hu.shape
    maps = _Maps.blank((z, h // STRIDE, w // STRIDE))
    for lesion in sorted(block.lesions, key=lambda each: -each.long_mm):
        _draw(lesion, maps)
    squares = block.valid.reshape(z, h // STRIDE, STRIDE, w // STRIDE, STRIDE)
    near = np.where(maps.untold, 0.0, maps.near)
    arrays = (
        maps.centre[None],
        squares.min(axis=(2, 4))[None],
        maps.regression,
        maps.weight,
        block.mask[None],
        (near.repeat(STRIDE, axis=1).repeat(STRIDE, axis=2) * block.valid)[None],
        maps.lesion_type[None],
    )
    return Targets(*(torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in arrays))


def output_position(lesion: Shape) -> NDArray[np.float64]:
    """A lesion's centre in output voxels (z, y, x)."""
    z, y, x = lesion.centre
    return np.array([z, (y + 0.5) / STRIDE - 0.5, (x + 0.5) / STRIDE - 0.5])


def _draw(lesion: Shape, maps: _Maps) -> None:
    """Add one lesion to the maps of a block, in place."""
    position = output_position(lesion)
    nearest = np.round(position).astype(int)
    if any(n < 0 or n >= s for n, s in zip(nearest, maps.centre.shape, strict=True)):
        return
    reach = int(np.ceil((0.75 * lesion.long_mm + 8.0) / OUTPUT_MM))
    window = tuple(
        slice(max(n - reach, 0), min(n + reach + 1, s))
        for n, s in zip(nearest, maps.centre.shape, strict=True)
    )
    grid = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in window), indexing="ij"))
    offset = position[:, None, None, None] - grid
    distance = (offset**2).sum(0) * OUTPUT_MM**2
    sigma = np.clip(0.15 * lesion.long_mm, 1.6, 5.0)
    bump = np.exp(-distance / (2 * sigma**2)).astype(np.float32)
    maps.centre[window] = np.maximum(maps.centre[window], bump)
    maps.centre[tuple(nearest)] = 1.0
    use = (bump > 0.45) | (np.abs(grid - nearest[:, None, None, None]).max(0) == 0)
    _regress(lesion, offset, use, maps.regression[(slice(None), *window)])
    _weigh(lesion, use, maps.weight[(slice(None), *window)])
    kind = SILENT if lesion.told.lesion_type is None else lesion.told.lesion_type
    maps.lesion_type[window] = np.where(use, kind, maps.lesion_type[window])
    around = distance < (0.75 * lesion.long_mm + 6.0) ** 2
    maps.near[window] = np.maximum(maps.near[window], around)
    maps.untold[window] |= around & ~_outlined(lesion, grid[0] == nearest[0])


def _outlined(lesion: Shape, on_key: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the outline of a lesion was marked, given the voxels of its key slice."""
    if lesion.told.outline is Outline.KEY_SLICE:
        return on_key
    return np.full(on_key.shape, lesion.told.outline is Outline.EVERYWHERE)


def _weigh(lesion: Shape, use: NDArray[np.bool_], weight: NDArray[np.float32]) -> None:
    """Write how much the regression targets of one lesion count where `use` says so, in place."""
    counts = np.ones(8, np.float32)
    counts[_AXES], counts[_DEPTH] = lesion.told.axes, lesion.told.depth
    weight[:, use] = counts[:, None]


def _regress(
    lesion: Shape,
    offset: NDArray[np.float64],
    use: NDArray[np.bool_],
    regression: NDArray[np.float32],
) -> None:
    """Write the regression targets of one lesion where `use` says so, in place."""
    elongation = 1.0 - min(lesion.short_mm / max(lesion.long_mm, 1e-3), 1.0)
    strength = min(elongation / 0.2, 1.0)
    values = (
        np.log(max(lesion.long_mm, 1.0)),
        np.log(max(lesion.short_mm, 1.0)),
        np.log(max(lesion.depth_mm, 1.0)),
        np.cos(2 * lesion.angle) * strength,
        np.sin(2 * lesion.angle) * strength,
    )
    for channel, value in enumerate((*offset, *values)):
        regression[channel] = np.where(use, value, regression[channel])
