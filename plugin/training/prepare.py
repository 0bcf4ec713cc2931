"""From the data that a configuration names to the pools that batches are drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from plugin.datasets.nodules import Patch, is_held_out, read_patches
from plugin.detector.lattice import lattice, sample, source
from plugin.detector.learned import spacing
from plugin.training.backgrounds import Background, make_background
from plugin.training.blocks import Pool
from plugin.training.shape import shape_of
from plugin.training.tiles import make_tiles
from plugin.volume import read

if TYPE_CHECKING:
    from plugin.training.config import BackgroundSource, Config


def prepare(config: Config) -> tuple[Pool, Pool]:
    """The pools at full and at half size; takes minutes."""
    rng = np.random.default_rng(config.seed)
    patches = [p for p in read_patches(config.patches) if not is_held_out(p.series_instance_uid)]
    large = [p for p in patches if _long_mm(p) >= config.composition.half_from_mm]
    versions = config.composition.versions
    pools = []
    for chosen, coarser in ((patches, 1.0), (large, 2.0)):
        tiles = make_tiles(chosen, versions, 1.0 / coarser, rng)
        backgrounds = [_background(each, coarser) for each in config.backgrounds]
        pools.append(Pool(tiles, backgrounds))
    return pools[0], pools[1]


def _long_mm(patch: Patch) -> float:
    return shape_of(patch.mask, (1.0, 1.0, 1.0)).long_mm


def _background(described: BackgroundSource, coarser: float) -> Background:
    volume = read(described.series.iterdir())
    grid = lattice(volume, spacing(coarser))
    hu = sample(source(volume, torch.device("cpu")), grid)[0].numpy()
    boxes = np.array(described.excluded, float).reshape(-1, 3, 2).swapaxes(1, 2)
    # Both corners of each box on the grid; an axis of the volume may run against the grid's.
    corners = np.sort(grid.from_volume(boxes), axis=1)
    name, weight = described.series.name, described.weight
    return make_background(name, hu.round().astype(np.int16), corners, grid.spacing, weight)
