"""Tiles: samples resampled to the network's grid, each in several random versions.

Rotation, scaling, slice thickness and slice distance are applied here; flips, position and noise
are left for `collage`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from plugin.detector.network import INPUT_SPACING
from plugin.training.shape import Outline, Shape, ellipsoid, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from plugin.training.samples import Sample

#: Thickness of slices that samples are averaged to, mm, and how often.
_THICKNESSES, _THICKNESS_ODDS = (1.0, 2.0, 3.0, 5.0), (0.4, 0.25, 0.25, 0.1)
#: Share of the thick-sliced versions whose slices also lie as far apart as they are thick.
_APART = 0.5
#: How far around a marked lesion places are known to be none, mm.
_KNOWN_MM = 6.0
#: A tile with fewer voxels of its lesion is left out.
_FEWEST = 4


@dataclass(frozen=True)
class Tile:
    """A piece of CT with one lesion, on the network's input grid."""

    #: Attenuation in HU, int16, [z, y, x].
    hu: NDArray[np.int16]
    #: Voxels of the lesion, [z, y, x]; a guess where its outline was not marked.
    mask: NDArray[np.bool_]
    #: The lesion, in voxels and millimetres of this grid.
    lesion: Shape
    #: How much each voxel counts, 0 to 1, [z, y, x]; None where all count.
    certainty: NDArray[np.float32] | None = None


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
    #: Distance of those slices, mm; between them it is interpolated. 0 for a slice everywhere.
    distance: float = 0.0


def draw_variation(rng: np.random.Generator, magnification: float) -> Variation:
    """A random variation around a magnification."""
    in_plane = magnification * float(np.exp(rng.uniform(-0.2, 0.25)))
    along_z = in_plane * float(np.exp(rng.uniform(-0.15, 0.15)))
    thickness = float(rng.choice(_THICKNESSES, p=_THICKNESS_ODDS))
    angle = float(rng.uniform(-0.25, 0.25)) if rng.random() < 0.5 else 0.0
    phase = float(rng.uniform(0.0, 2.0))
    apart = thickness if thickness > INPUT_SPACING[0] and rng.random() < _APART else 0.0
    return Variation((in_plane, along_z), angle, thickness, phase, apart)


def make_tile(sample: Sample, variation: Variation) -> Tile | None:
    """A version of a sample; None where nothing of the lesion is left on the grid."""
    thick = thick_slices(sample.hu.astype(np.float32), sample.spacing[0], variation)
    hu = _resample(thick, sample.spacing, variation).round().astype(np.int16)
    lesion = _moved(sample.lesion, sample, hu.shape, variation)
    if sample.mask is not None:
        mask = _resample(sample.mask.astype(np.float32), sample.spacing, variation) > 0.5
    else:
        mask = ellipsoid(hu.shape, lesion, INPUT_SPACING)
    if mask.sum() < _FEWEST:
        return None
    if lesion.told.outline is Outline.EVERYWHERE:
        lesion = replace(shape_of(mask, INPUT_SPACING), told=lesion.told)
    return Tile(hu, mask, lesion, _certainty(sample, lesion, hu.shape, variation))


def make_tiles(
    samples: Iterable[Sample], versions: int, magnification: float, rng: np.random.Generator
) -> list[list[Tile]]:
    """Versions of each sample, sample by sample; samples without any are left out."""
    tiles = []
    for sample in samples:
        made = (make_tile(sample, draw_variation(rng, magnification)) for _ in range(versions))
        if kept := [tile for tile in made if tile is not None]:
            tiles.append(kept)
    return tiles


def thick_slices(
    hu: NDArray[np.float32], spacing_mm: float, variation: Variation
) -> NDArray[np.float32]:
    """HU [z, y, x] as a scanner with thicker slices, perhaps farther apart, would give it."""
    width = round(variation.thickness / spacing_mm)
    if width > 1:
        hu = ndimage.uniform_filter1d(hu, width, axis=0, mode="nearest")
    step = round(variation.distance / spacing_mm)
    if step < 2:
        return hu
    first = round(variation.phase / spacing_mm) % step
    held = np.arange(first, len(hu), step)
    if len(held) < 2:
        return hu
    place = np.interp(np.arange(len(hu)), held, np.arange(len(held)))
    below = np.minimum(place.astype(int), len(held) - 2)
    share = (place - below)[:, None, None].astype(np.float32)
    return np.asarray(hu[held[below]] * (1 - share) + hu[held[below + 1]] * share, np.float32)


def _certainty(
    sample: Sample, lesion: Shape, shape: tuple[int, ...], variation: Variation
) -> NDArray[np.float32] | None:
    """How much each voxel of a tile counts: other lesions not at all, unmarked places less."""
    if not sample.neighbours and sample.unmarked == 1.0:
        return None
    certainty = np.full(shape, sample.unmarked, np.float32)
    for other in sample.neighbours:
        moved = _moved(other, sample, shape, variation)
        certainty[ellipsoid(shape, moved, INPUT_SPACING, _KNOWN_MM)] = 0.0
    certainty[ellipsoid(shape, lesion, INPUT_SPACING, _KNOWN_MM)] = 1.0
    return certainty


def _matrix(spacing: tuple[float, float, float], variation: Variation) -> NDArray[np.float64]:
    """Steps of the input grid -> steps of the sample's grid, magnified and turned, [3, 3]."""
    in_plane, along_z = variation.scale
    cosine, sine = np.cos(variation.angle), np.sin(variation.angle)
    rotation = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    scaled = np.diag(np.array(INPUT_SPACING) / (along_z, in_plane, in_plane))
    return np.asarray(rotation @ scaled / np.array(spacing)[:, None])


def _offset(
    before: tuple[int, ...],
    after: tuple[int, ...],
    spacing: tuple[float, float, float],
    variation: Variation,
) -> NDArray[np.float64]:
    """Where in an array of shape `before` the first voxel of one of shape `after` lies."""
    phase = np.array([variation.phase - 1.0, 0.0, 0.0]) / spacing
    middles = (np.array(before) - 1) / 2, (np.array(after) - 1) / 2
    return np.asarray(middles[0] - _matrix(spacing, variation) @ middles[1] + phase)


def _moved(lesion: Shape, sample: Sample, shape: tuple[int, ...], variation: Variation) -> Shape:
    """A lesion of a sample in the version of `shape` voxels."""
    offset = _offset(sample.hu.shape, shape, sample.spacing, variation)
    matrix = _matrix(sample.spacing, variation)
    z, y, x = np.linalg.solve(matrix, np.array(lesion.centre) - offset).tolist()
    in_plane, along_z = variation.scale
    return replace(
        lesion,
        centre=(z, y, x),
        long_mm=lesion.long_mm * in_plane,
        short_mm=lesion.short_mm * in_plane,
        depth_mm=lesion.depth_mm * along_z,
        angle=float((lesion.angle + variation.angle) % np.pi),
    )


def _resample(
    array: NDArray[np.float32], spacing: tuple[float, float, float], variation: Variation
) -> NDArray[np.float32]:
    """An array on the input grid, magnified and rotated about its middle."""
    in_plane, along_z = variation.scale
    factors = np.array(spacing) * (along_z, in_plane, in_plane) / INPUT_SPACING
    shape = tuple(int(n * factor) for n, factor in zip(array.shape, factors, strict=True))
    result: NDArray[np.float32] = ndimage.affine_transform(
        array,
        _matrix(spacing, variation),
        _offset(array.shape, shape, spacing, variation),
        output_shape=shape,
        order=1,
        mode="nearest",
    )
    return result
