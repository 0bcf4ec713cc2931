"""Other scanners, kernels, doses and contrast: the same anatomy, seen differently.

All on HU [z, y, x] of the input grid; none of it moves anything.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.training.tiles import Tile

    HU = NDArray[np.float32]

#: Shares of the pieces that get another kernel, contrast agent, noise.
_KERNELS, _CONTRASTS, _NOISES = 0.3, 0.3, 0.4
#: Largest piece of noise, (z, y, x); no block is larger.
NOISE_SHAPE = (64, 128, 128)
#: Standard deviation of what a kernel adds or takes away, voxels in plane.
_KERNEL_WIDTH = 0.8
#: What contrast agent brightens: soft tissue, not bone, HU.
_TISSUE = (0.0, 200.0)
#: Darker than this is lung, HU; a lesion with fewer voxels of it around cannot fade.
_LUNG_HU, _LEAST_LUNG = -500, 50
#: Standard deviation of the edge of a faded lesion, voxels (z, y, x).
_SOFT_EDGE = (0.6, 1.2, 1.2)


def vary(hu: HU, rng: np.random.Generator) -> HU:
    """Another scanner: gain and offset, then perhaps kernel, contrast agent, noise."""
    hu = (hu + 1000.0) * float(rng.uniform(0.95, 1.05)) - 1000.0 + float(rng.uniform(-25, 25))
    if rng.random() < _KERNELS:
        hu = filtered(hu, float(rng.uniform(-0.7, 1.0)))
    if rng.random() < _CONTRASTS:
        hu = enhanced(hu, float(rng.uniform(0.6, 1.6)))
    if rng.random() < _NOISES:
        hu = hu + _noise(hu.shape, rng) * float(rng.uniform(5, 50))
    return hu


def filtered(hu: HU, sharpness: float) -> HU:
    """Another kernel: sharper above 0, smoother below; -1 takes all fine detail away."""
    smooth = ndimage.gaussian_filter(hu, (0.0, _KERNEL_WIDTH, _KERNEL_WIDTH))
    return np.asarray(hu + sharpness * (hu - smooth), np.float32)


def enhanced(hu: HU, factor: float) -> HU:
    """Soft tissue that takes up more contrast agent, or less than it did (a factor below 1)."""
    return np.asarray(hu + (factor - 1.0) * (hu.clip(*_TISSUE) - _TISSUE[0]), np.float32)


def fade(tile: Tile, share: float) -> Tile:
    """A tile whose lesion keeps that share of its contrast to the lung around: ground glass.

    The tile itself where there is hardly any lung.
    """
    lung = tile.hu[~tile.mask & (tile.hu < _LUNG_HU)]
    if lung.size < _LEAST_LUNG:
        return tile
    hu = tile.hu.astype(np.float32)
    edge = ndimage.gaussian_filter(tile.mask.astype(np.float32), _SOFT_EDGE)
    above = (hu - float(np.median(lung))).clip(min=0.0)
    faded = hu - (1.0 - share) * (2 * edge).clip(max=1.0) * above
    return replace(tile, hu=faded.round().astype(np.int16))


@cache
def _noise_cube() -> HU:
    """Correlated noise of unit variance, [z, y, x]; pieces of it serve everywhere."""
    cube = np.random.default_rng(0).normal(size=NOISE_SHAPE)
    cube = ndimage.gaussian_filter(cube, (0.3, 0.6, 0.6))
    return np.asarray(cube / cube.std(), np.float32)


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> HU:
    """A random piece of noise, no larger than `NOISE_SHAPE`."""
    start = [int(rng.integers(n - s + 1)) for n, s in zip(NOISE_SHAPE, shape, strict=True)]
    return _noise_cube()[tuple(slice(a, a + s) for a, s in zip(start, shape, strict=True))]
