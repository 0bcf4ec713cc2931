"""What the network should say at every voxel of a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from plugin.detector.network import INPUT_SPACING, STRIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.training.collage import Block
    from plugin.training.shape import Shape

#: Spacing of the output grid, mm; the same along each axis.
OUTPUT_MM = INPUT_SPACING[1] * STRIDE


@dataclass(frozen=True)
class Targets:
    """The maps of a block or, stacked along a new first axis, of a batch of blocks."""

    #: 1 at centres, falling off around them, [1, z, y, x].
    centre: Tensor
    #: 1 where the centre map counts, [1, z, y, x].
    valid: Tensor
    #: Regression targets (offset, log sizes, direction), [8, z, y, x].
    regression: Tensor
    #: Weight of the regression targets, [1, z, y, x].
    weight: Tensor
    #: Inside a lesion, on the input's grid, [1, z, 2 y, 2 x].
    mask: Tensor
    #: Weight of the mask, on the input's grid, [1, z, 2 y, 2 x].
    mask_weight: Tensor


def make_targets(block: Block) -> Targets:
    """Targets of a block [z, y, x] with y and x even."""
    z, h, w = block.hu.shape
    shape = (z, h // STRIDE, w // STRIDE)
    centre, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    regression = np.zeros((8, *shape), np.float32)
    near = np.full(shape, 0.03, np.float32)
    for lesion in sorted(block.lesions, key=lambda each: -each.long_mm):
        _draw(lesion, centre, weight, regression, near)
    squares = block.valid.reshape(z, h // STRIDE, STRIDE, w // STRIDE, STRIDE)
    valid = np.asarray(squares.all(axis=(2, 4)))
    full = near.repeat(STRIDE, axis=1).repeat(STRIDE, axis=2) * block.valid
    arrays = (centre[None], valid[None], regression, weight[None], block.mask[None], full[None])
    return Targets(*(torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in arrays))


def output_position(lesion: Shape) -> NDArray[np.float64]:
    """A lesion's centre in output voxels (z, y, x)."""
    z, y, x = lesion.centre
    return np.array([z, (y + 0.5) / STRIDE - 0.5, (x + 0.5) / STRIDE - 0.5])


def _draw(
    lesion: Shape,
    centre: NDArray[np.float32],
    weight: NDArray[np.float32],
    regression: NDArray[np.float32],
    near: NDArray[np.float32],
) -> None:
    """Add one lesion to the maps of a block, in place."""
    position = output_position(lesion)
    nearest = np.round(position).astype(int)
    if any(n < 0 or n >= s for n, s in zip(nearest, centre.shape, strict=True)):
        return
    reach = int(np.ceil((0.75 * lesion.long_mm + 8.0) / OUTPUT_MM))
    window = tuple(
        slice(max(n - reach, 0), min(n + reach + 1, s))
        for n, s in zip(nearest, centre.shape, strict=True)
    )
    grid = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in window), indexing="ij"))
    offset = position[:, None, None, None] - grid
    distance = (offset**2).sum(0) * OUTPUT_MM**2
    sigma = np.clip(0.15 * lesion.long_mm, 1.6, 5.0)
    bump = np.exp(-distance / (2 * sigma**2)).astype(np.float32)
    centre[window] = np.maximum(centre[window], bump)
    centre[tuple(nearest)] = 1.0
    use = (bump > 0.45) | (np.abs(grid - nearest[:, None, None, None]).max(0) == 0)
    _regress(lesion, offset, use, regression[(slice(None), *window)])
    weight[window] = np.where(use, 1.0, weight[window])
    near[window] = np.maximum(near[window], distance < (0.75 * lesion.long_mm + 6.0) ** 2)


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
