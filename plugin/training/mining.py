"""What a network finds hard: false peaks on lesion-free CT, lesions that it misses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from plugin.detector.lattice import Lattice
from plugin.detector.network import INPUT_SPACING
from plugin.detector.response import Candidate, respond
from plugin.training.blocks import Difficulty

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.detector.network import Network
    from plugin.training.backgrounds import Background, Region
    from plugin.training.blocks import Pool
    from plugin.training.peers import Peers
    from plugin.training.tiles import Tile

#: Most hard negatives of one background.
_MOST = 60
#: Candidates with a lower score are not hard.
_LOWEST = 0.1
#: How often a lesion is drawn that is found with certainty, without a false peak around, beside
#: 1 for one that is missed.
_EASY = 0.25
#: Most lesions that are looked at in one search; the others keep their mean.
_MOST_LESIONS = 2000
#: A peak belongs to a lesion within its radius, or within this, mm; beyond this many radii and so
#: much further it is false. In between it says nothing.
_OWN_MM, _FALSE_RADII, _FALSE_MM = 4.0, 1.3, 3.0


def difficulty(network: Network, pool: Pool, seed: int, peers: Peers) -> Difficulty:
    """What is hard in a pool; of each lesion one version, chosen by the seed, is looked at."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(pool.tiles))[:_MOST_LESIONS]
    numbers = [(int(n), int(rng.integers(len(pool.tiles[n])))) for n in np.sort(chosen)]
    found = peers.share(numbers, lambda at: hardness(network, pool.tiles[at[0]][at[1]]))
    lesions = np.full(len(pool.tiles), np.mean(found) if found else 1.0)
    lesions[np.sort(chosen)] = found
    negatives = peers.share(pool.backgrounds, lambda each: false_peaks(network, each))
    names = (background.name for background in pool.backgrounds)
    return Difficulty(dict(zip(names, negatives, strict=True)), lesions)


def false_peaks(network: Network, background: Background) -> NDArray[np.int32]:
    """The strongest false peaks of a background, voxels [N, 3], strongest first."""
    found = [c for c in _candidates(network, background.hu) if c.score > _LOWEST]
    wrong = [c for c in found if not any(_inside(c, region) for region in background.excluded)]
    wrong.sort(key=lambda candidate: -candidate.score)
    voxels = np.array([candidate.centre for candidate in wrong[:_MOST]]).reshape(-1, 3)
    return np.round(voxels).astype(np.int32)


def hardness(network: Network, tile: Tile) -> float:
    """How much there is to learn from a tile: from a lesion missed, from false peaks around it.

    The surroundings of lesions come from more scanners than there are lesion-free series.
    """
    radius = max(tile.lesion.long_mm / 2, _OWN_MM)
    own, wrong = 0.0, 0.0
    for each in _candidates(network, tile.hu):
        away = np.linalg.norm(np.subtract(each.centre, tile.lesion.centre) * INPUT_SPACING)
        if away <= radius:
            own = max(own, each.score)
        elif away > _FALSE_RADII * radius + _FALSE_MM and _known(tile, each):
            wrong = max(wrong, each.score)
    return _EASY + (1.0 - own) + wrong


def _known(tile: Tile, candidate: Candidate) -> bool:
    """Whether it is certain that no lesion lies at a candidate that is not on the marked one."""
    if tile.certainty is None:
        return True
    place = np.round(candidate.centre).astype(int).clip(0, np.array(tile.certainty.shape) - 1)
    return bool(tile.certainty[tuple(place)] == 1.0)


def _candidates(network: Network, hu: NDArray[np.int16]) -> list[Candidate]:
    """Peaks of a series or tile [z, y, x] on the input grid, in its voxels."""
    device = next(network.parameters()).device
    volume = torch.from_numpy(hu.astype(np.float32))[None, None].to(device)
    z, y, x = hu.shape
    grid = Lattice((0, 0, 0), INPUT_SPACING, (z, y + y % 2, x + x % 2), np.eye(3, 4))
    return respond(network, volume, grid)


def _inside(candidate: Candidate, region: Region) -> bool:
    return all(low <= c < high for c, (low, high) in zip(candidate.centre, region, strict=True))
