"""Hard negatives: where the network is wrong on lesion-free CT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from plugin.detector.lattice import Lattice
from plugin.detector.network import INPUT_SPACING
from plugin.detector.response import Candidate, respond

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.detector.network import Network
    from plugin.training.backgrounds import Background, Region

#: Most hard negatives of one background.
_MOST = 60
#: Candidates with a lower score are not hard.
_LOWEST = 0.1


def mine(network: Network, background: Background) -> NDArray[np.int32]:
    """The strongest false peaks of a background, voxels [N, 3], strongest first."""
    hu = torch.from_numpy(background.hu.astype(np.float32))[None, None]
    z, y, x = background.hu.shape
    identity = np.eye(3, 4)
    grid = Lattice((0.0, 0.0, 0.0), INPUT_SPACING, (z, y, x), identity)
    found = [c for c in respond(network, hu, grid).candidates if c.score > _LOWEST]
    wrong = [c for c in found if not any(_inside(c, region) for region in background.excluded)]
    wrong.sort(key=lambda candidate: -candidate.score)
    voxels = np.array([candidate.centre for candidate in wrong[:_MOST]]).reshape(-1, 3)
    return np.round(voxels).astype(np.int32)


def _inside(candidate: Candidate, region: Region) -> bool:
    return all(low <= c < high for c, (low, high) in zip(candidate.centre, region, strict=True))
