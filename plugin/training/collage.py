"""Training blocks: tiles with lesions pasted at random places of lesion-free CT.

A patch is always centred on its nodule; pasted into other scans, its place in the block, its
distance from a border and its neighbours say nothing about it, and the surroundings of 50 mm
that came with it serve as negatives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from plugin.training.appearance import vary
from plugin.training.tiles import Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.training.shape import Shape

#: A lesion of which less is visible is neither lesion nor background.
_VISIBLE = 0.85
#: A lesion with a shorter long axis, in mm of the block's grid, is left out of the losses.
_SHORTEST_MM = 3.0
#: Distance of the middles of neighbours in a mosaic, voxels in plane; a patch has 50 mm.
_PITCH = 48


@dataclass(frozen=True)
class Block:
    """One training example on the network's input grid."""

    #: Attenuation in HU, float32, [z, y, x].
    hu: NDArray[np.float32]
    #: Voxels of the lesions, [z, y, x].
    mask: NDArray[np.bool_]
    #: How much voxels count in the losses, 0 to 1, [z, y, x].
    valid: NDArray[np.float32]
    #: The lesions, in voxels and millimetres of this grid.
    lesions: tuple[Shape, ...]


def flip(tile: Tile, flips: tuple[bool, bool, bool], transpose: bool) -> Tile:
    """Mirror a tile along (z, y, x), then exchange y and x."""
    hu, mask, lesion = tile.hu, tile.mask, tile.lesion
    axes = tuple(axis for axis, on in enumerate(flips) if on)
    hu, mask = np.flip(hu, axes), np.flip(mask, axes)
    centre = [
        n - 1 - c if on else c for n, c, on in zip(mask.shape, lesion.centre, flips, strict=True)
    ]
    angle = -lesion.angle if flips[1] != flips[2] else lesion.angle
    if transpose:
        hu, mask = hu.swapaxes(1, 2), mask.swapaxes(1, 2)
        centre = [centre[0], centre[2], centre[1]]
        angle = np.pi / 2 - angle
    moved = replace(lesion, centre=(centre[0], centre[1], centre[2]), angle=float(angle % np.pi))
    certainty = tile.certainty
    if certainty is not None:
        certainty = np.flip(certainty, axes)
        certainty = certainty.swapaxes(1, 2) if transpose else certainty
    return Tile(hu, mask, moved, certainty)


def cut(tile: Tile, rng: np.random.Generator) -> Tile:
    """Take a random part of the surroundings away, so that the lesion is not in the middle."""
    window, corner = [], []
    for axis, size in enumerate(tile.mask.shape):
        others = tuple(a for a in range(3) if a != axis)
        inside = np.flatnonzero(tile.mask.any(others))
        before, after = max(int(inside[0]) - 3, 0), max(size - int(inside[-1]) - 4, 0)
        start = int(rng.integers(before + 1)) if rng.random() < 0.7 else 0
        stop = size - (int(rng.integers(after + 1)) if rng.random() < 0.7 else 0)
        window.append(slice(start, stop))
        corner.append(-start)
    z, y, x = corner
    part = tuple(window)
    certainty = None if tile.certainty is None else tile.certainty[part]
    return Tile(tile.hu[part], tile.mask[part], tile.lesion.moved((z, y, x)), certainty)


class Painter:
    """Pastes tiles into a block of background."""

    def __init__(self, background: NDArray[np.int16], rng: np.random.Generator) -> None:
        self._rng = rng
        self._hu = background.astype(np.float32)
        self._owner = np.zeros(background.shape, np.int16)
        self._certainty = np.ones(background.shape, np.float32)
        self._tiles: list[tuple[Shape, int]] = []

    def paste(self, tile: Tile, corner: tuple[int, int, int]) -> None:
        """Put a tile with its first voxel at `corner`, which may lie outside the block."""
        here, there = self._overlap(tile.hu.shape, corner)
        self._hu[here] = vary(tile.hu[there].astype(np.float32), self._rng)
        self._certainty[here] = 1.0 if tile.certainty is None else tile.certainty[there]
        self._tiles.append((tile.lesion.moved(corner), int(tile.mask.sum())))
        self._owner[here] = np.where(tile.mask[there], len(self._tiles), 0)

    def cover(self, hu: NDArray[np.int16], corner: tuple[int, int, int]) -> None:
        """Put a piece without lesions: a border of pasting must not mean a lesion."""
        here, there = self._overlap(hu.shape, corner)
        self._hu[here] = vary(hu[there].astype(np.float32), self._rng)
        self._certainty[here] = 1.0
        self._owner[here] = 0

    def _overlap(
        self, shape: tuple[int, ...], corner: tuple[int, int, int]
    ) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """The part inside the block of an array at `corner`, in the block and in the array."""
        here = tuple(
            slice(min(max(c, 0), size), min(max(c + n, 0), size))
            for c, n, size in zip(corner, shape, self._hu.shape, strict=True)
        )
        return here, tuple(
            slice(s.start - c, s.stop - c) for s, c in zip(here, corner, strict=True)
        )

    def finish(self) -> Block:
        """The block, with lesions that are hardly visible taken out of the losses."""
        visible = np.bincount(self._owner.ravel(), minlength=len(self._tiles) + 1)[1:]
        valid = np.ones(self._hu.shape, np.bool_)
        lesions = []
        for number, (lesion, voxels) in enumerate(self._tiles, start=1):
            if visible[number - 1] >= _VISIBLE * voxels and lesion.long_mm >= _SHORTEST_MM:
                lesions.append(lesion)
            elif visible[number - 1]:
                valid &= self._owner != number
        return Block(self._hu, (self._owner > 0) & valid, self._certainty * valid, tuple(lesions))


def make_block(
    ground: NDArray[np.int16],
    tiles: Sequence[Tile],
    decoys: Sequence[NDArray[np.int16]],
    rng: np.random.Generator,
) -> Block:
    """Paste tiles and decoys near the four quarters of the ground [z, y, x], in random order."""
    painter = Painter(_flip_array(ground, rng), rng)
    quarters = [int(q) for q in rng.permutation(4)]
    for number, decoy in enumerate(decoys):
        painter.cover(decoy, _corner(decoy.shape, ground.shape, quarters[number - 1], rng))
    for quarter, tile in zip(quarters, tiles, strict=False):
        tile = cut(flip(tile, _coins(rng), bool(rng.random() < 0.5)), rng)
        painter.paste(tile, _corner(tile.hu.shape, ground.shape, quarter, rng))
    return painter.finish()


def make_mosaic(
    ground: NDArray[np.int16], tiles: Sequence[Tile], rng: np.random.Generator
) -> Block:
    """Up to nine tiles side by side on the ground [z, y, x]: lesions in their own surroundings.

    The squares of three by three that they lie on are shifted at random, so that no place of the
    block means a lesion.
    """
    painter = Painter(_flip_array(ground, rng), rng)
    shift = rng.integers(-_PITCH, 0, 2)
    for number, tile in enumerate(tiles):
        tile = flip(tile, _coins(rng), bool(rng.random() < 0.5))
        y, x = shift + _PITCH * (np.array(divmod(number, 3)) + 0.5)
        middle = np.array([(ground.shape[0] - 1) / 2 + rng.integers(-4, 5), y, x])
        corner = np.round(middle - np.array(tile.hu.shape) / 2).astype(int)
        painter.paste(tile, (int(corner[0]), int(corner[1]), int(corner[2])))
    return painter.finish()


def make_scene(ground: NDArray[np.int16], tile: Tile, rng: np.random.Generator) -> Block:
    """One lesion in all of its own surroundings, somewhere in the middle half of the block."""
    painter = Painter(_flip_array(ground, rng), rng)
    tile = flip(tile, _coins(rng), bool(rng.random() < 0.5))
    place = np.array(ground.shape) * rng.uniform(0.25, 0.75, 3)
    z, y, x = (int(c) for c in np.round(place - np.array(tile.lesion.centre)))
    painter.paste(tile, (z, y, x))
    return painter.finish()


def _corner(
    shape: tuple[int, ...], ground: tuple[int, ...], quarter: int, rng: np.random.Generator
) -> tuple[int, int, int]:
    """Where a piece starts that lies somewhere around a quarter of the ground."""
    middle = np.array([0.5, 0.25 + 0.5 * (quarter // 2), 0.25 + 0.5 * (quarter % 2)]) * ground
    jitter = rng.uniform(-1, 1, 3) * (8, 14, 14)
    z, y, x = (int(c) for c in np.round(middle + jitter - np.array(shape) / 2))
    return z, y, x


def _coins(rng: np.random.Generator) -> tuple[bool, bool, bool]:
    z, y, x = rng.random(3) < 0.5
    return bool(z), bool(y), bool(x)


def _flip_array(array: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.int16]:
    axes = tuple(axis for axis, on in enumerate(_coins(rng)) if on)
    array = np.flip(array, axes)
    return array.swapaxes(1, 2) if rng.random() < 0.5 else array
