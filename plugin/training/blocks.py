"""An endless, seeded stream of training batches."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from plugin.training.appearance import fade
from plugin.training.backgrounds import AIR
from plugin.training.collage import Block, Painter, make_block, make_mosaic, make_scene
from plugin.training.drawn import draw_lesion
from plugin.training.targets import Targets, make_targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from plugin.training.backgrounds import Background
    from plugin.training.tiles import Tile


#: How much of its contrast a faded lesion keeps.
_FADED = (0.25, 0.7)
#: Tiles of a mosaic.
_MOSAIC = 9


@dataclass(frozen=True)
class Difficulty:
    """What a network finds hard in a pool; shown more often."""

    #: Voxels [N, 3] of hard negatives by the name of the background.
    negatives: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    #: How often each lesion is drawn, relative to the others, [lesions]; empty for all alike.
    lesions: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True)
class Pool:
    """Everything of one magnification that blocks are made of."""

    #: Versions of each lesion.
    tiles: Sequence[Sequence[Tile]]
    #: Lesion-free series; may be empty.
    backgrounds: Sequence[Background]
    #: What of it is shown more often.
    difficulty: Difficulty = field(default_factory=Difficulty)


@dataclass(frozen=True)
class Mix:
    """How blocks are composed."""

    #: Blocks in a batch.
    batch: int
    #: Voxels of a block (z, y, x) on the input's grid.
    shape: tuple[int, int, int]
    #: Share of blocks without lesions.
    negative: float
    #: Share of blocks at half size.
    half: float
    #: Share of the other blocks at full size that show lesions in their own surroundings.
    mosaic: float = 0.0
    #: Share of lesions made as faint as ground glass.
    faded: float = 0.0
    #: Share of the blocks with lesions that show one in all of its surroundings.
    scene: float = 0.0
    #: Share of the blocks with lesions whose lesions are drawn.
    drawn: float = 0.0
    #: Tiles pasted into a block; at half size four times as small.
    tiles: int = 4


class Blocks(IterableDataset[tuple[Tensor, ...]]):
    """Batches (HU [b, z, y, x], then the fields of Targets), the same for the same seed."""

    def __init__(self, full: Pool, half: Pool, mix: Mix, seed: tuple[int, ...]) -> None:
        self._full, self._half, self._mix, self._seed = full, half, mix, seed

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker = get_worker_info()
        rng = np.random.default_rng((*self._seed, worker.id if worker else 0))
        while True:
            blocks = [self._block(rng) for _ in range(self._mix.batch)]
            yield collate(blocks)

    def _block(self, rng: np.random.Generator) -> Block:
        at_half = rng.random() < self._mix.half and bool(self._half.tiles)
        pool = self._half if at_half else self._full
        ground = _ground(pool, self._mix.shape, rng)
        if rng.random() < self._mix.negative:
            return make_block(ground, [], [], rng)
        # Shares of 0 draw nothing, so that a run without them stays as it was.
        if self._mix.drawn and rng.random() < self._mix.drawn:
            return _with_drawn(ground, rng)
        if self._mix.scene and rng.random() < self._mix.scene:
            return make_scene(ground, self._tiles(pool, 1, rng)[0], rng)
        # At half size a patch is too small for its place in a mosaic.
        if not at_half and rng.random() < self._mix.mosaic:
            return make_mosaic(ground, self._tiles(pool, _MOSAIC, rng), rng)
        tiles = self._tiles(pool, self._mix.tiles, rng)
        return make_block(ground, tiles, _decoys(pool, rng), rng)

    def _tiles(self, pool: Pool, count: int, rng: np.random.Generator) -> list[Tile]:
        """A version of each of so many different lesions, hard ones more often."""
        weights = pool.difficulty.lesions
        odds = weights / weights.sum() if len(weights) else None
        count = min(count, len(pool.tiles))
        chosen = rng.choice(len(pool.tiles), count, replace=False, p=odds)
        return [self._version(pool.tiles[int(i)], rng) for i in chosen]

    def _version(self, versions: Sequence[Tile], rng: np.random.Generator) -> Tile:
        tile = versions[int(rng.integers(len(versions)))]
        return fade(tile, rng.uniform(*_FADED)) if rng.random() < self._mix.faded else tile


def _with_drawn(ground: NDArray[np.int16], rng: np.random.Generator) -> Block:
    """The ground [z, y, x] with a lesion drawn into it, where there is a place for one."""
    tile = draw_lesion(ground, rng)
    if tile is None:
        return make_block(ground, [], [], rng)
    painter = Painter(ground, rng)
    painter.paste(tile, (0, 0, 0))
    return painter.finish()


def _ground(pool: Pool, shape: tuple[int, int, int], rng: np.random.Generator) -> NDArray[np.int16]:
    """A lesion-free crop [z, y, x], more often than not around a hard negative.

    Air where there is no lesion-free series.
    """
    if not pool.backgrounds:
        return np.full(shape, AIR, np.int16)
    weights = np.array([background.weight for background in pool.backgrounds])
    number = int(rng.choice(len(weights), p=weights / weights.sum()))
    background = pool.backgrounds[number]
    near = pool.difficulty.negatives.get(background.name) if rng.random() < 0.6 else None
    return background.crop(shape, rng, near)


def _decoys(pool: Pool, rng: np.random.Generator) -> list[NDArray[np.int16]]:
    """Up to three lesion-free pieces of the size of tiles."""
    shapes = rng.integers((10, 24, 24), (26, 60, 60), (rng.integers(0, 4), 3))
    return [_ground(pool, (int(z), int(y), int(x)), rng) for z, y, x in shapes]


def collate(blocks: Sequence[Block]) -> tuple[Tensor, ...]:
    """Blocks as one batch: HU [b, z, y, x], then each field of Targets with a batch axis."""
    hu = torch.from_numpy(np.stack([block.hu for block in blocks]).astype(np.float32))
    targets = [make_targets(block) for block in blocks]
    stacked = (torch.stack([getattr(t, f.name) for t in targets]) for f in fields(Targets))
    return hu, *stacked
