"""Tiles: nodule patches resampled to the network's grid, each in several random versions.

Making crops must cost next to nothing while the network trains, so rotation, scaling and slice
thickness are applied once, ahead; flips, position and noise are left for `collage`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from plugin.detector.network import INPUT_SPACING
from plugin.training.shape import Shape, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from plugin.datasets.nodules import Patch


@dataclass(frozen=True)
class Tile:
    """A piece of CT with one lesion, on the network's input grid."""

    #: Attenuation in HU, int16, [z, y, x].
    hu: NDArray[np.int16]
    #: Voxels of the lesion, [z, y, x].
    mask: NDArray[np.bool_]
    #: The lesion, in voxels and millimetres of this grid.
    lesion: Shape


@dataclass(frozen=True)
class Variation:
    """How one version of a patch differs from the patch."""

    #: Magnification in plane and along z.
    scale: tuple[float, float]
    #: Rotation in plane, radians.
    angle: float
    #: Thickness of the slices it is averaged to before resampling, mm.
    thickness: float
    #: Where the first slice lies, in mm.
    phase: float


def draw_variation(rng: np.random.Generator, magnification: float) -> Variation:
    """A random variation around a magnification."""
    in_plane = magnification * float(np.exp(rng.uniform(-0.2, 0.25)))
    along_z = in_plane * float(np.exp(rng.uniform(-0.15, 0.15)))
    thickness = float(rng.choice([1.0, 2.0, 3.0, 5.0], p=[0.4, 0.25, 0.25, 0.1]))
    angle = float(rng.uniform(-0.25, 0.25)) if rng.random() < 0.5 else 0.0
    return Variation((in_plane, along_z), angle, thickness, float(rng.uniform(0.0, 2.0)))


def make_tile(patch: Patch, variation: Variation) -> Tile | None:
    """A version of a patch; None where nothing of the lesion is left on the grid."""
    hu = patch.hu.astype(np.float32)
    if variation.thickness > 1.0:
        hu = ndimage.uniform_filter1d(hu, round(variation.thickness), axis=0, mode="nearest")
    hu, mask = (_resample(a, variation) for a in (hu, patch.mask.astype(np.float32)))
    inside = mask > 0.5
    if inside.sum() < 4:
        return None
    return Tile(hu.round().astype(np.int16), inside, shape_of(inside, INPUT_SPACING))


def make_tiles(
    patches: Iterable[Patch], versions: int, magnification: float, rng: np.random.Generator
) -> list[list[Tile]]:
    """Versions of each patch, patch by patch; patches without any are left out."""
    tiles = []
    for patch in patches:
        made = (make_tile(patch, draw_variation(rng, magnification)) for _ in range(versions))
        if kept := [tile for tile in made if tile is not None]:
            tiles.append(kept)
    return tiles


def _resample(array: NDArray[np.float32], variation: Variation) -> NDArray[np.float32]:
    """A patch at 1 mm on the input grid, magnified and rotated about its middle."""
    in_plane, along_z = variation.scale
    cosine, sine = np.cos(variation.angle), np.sin(variation.angle)
    rotation = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    matrix = rotation @ np.diag(np.array(INPUT_SPACING) / (along_z, in_plane, in_plane))
    shape = tuple(
        int(n * s / g)
        for n, s, g in zip(array.shape, (along_z, in_plane, in_plane), INPUT_SPACING, strict=True)
    )
    middle = (np.array(array.shape) - 1) / 2
    phase = np.array([variation.phase - 1.0, 0.0, 0.0])
    offset = middle - matrix @ ((np.array(shape) - 1) / 2) + phase
    result: NDArray[np.float32] = ndimage.affine_transform(
        array, matrix, offset, output_shape=shape, order=1, mode="nearest"
    )
    return result
