"""A closer look at one candidate: which voxels are the lesion.

The detector's own map of insides lies on a grid of 1 mm or coarser for every lesion. Here the CT is
sampled around one candidate on a lattice that is scaled to it, so that a nodule and a mass fill it
alike, and a small network sees that together with a spot where the lesion is meant to be. Nothing
tells it how large the lesion is: what it learns of nodules it knows of masses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from plugin.detector.device import precision
from plugin.detector.lattice import Lattice, placed, sample
from plugin.detector.network import (
    STRIDE,
    WINDOWS,
    Architecture,
    Pyramid,
    depth_to_space,
    normalise,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.volume import Volume

#: Voxels of a close-up (z, y, x); along z they are twice as long as in plane.
SHAPE = (32, 64, 64)
#: Half its width is so many expected long axes, and so many mm more.
REACH, REACH_MM = 0.8, 6.0
#: Standard deviation of the spot, in geometric means of the expected axes.
SPOT = 0.35
#: Channels and residual blocks at each level.
ARCHITECTURE = Architecture(channels=(24, 48, 80, 80), blocks=(1, 2, 2, 2))
#: Logit of "inside" before anything is learned.
_FIRST = -2.0


@dataclass(frozen=True)
class CloseUp:
    """What the network says of one candidate."""

    #: Where it looked.
    lattice: Lattice
    #: Probability of "inside the lesion", [z, y, x] on the lattice.
    inside: NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """Where a close-up looks, as the detector expects the lesion there."""

    #: The lesion's centre, mm in LPS (z, y, x).
    centre: tuple[float, float, float]
    #: Its long and short axis, mm.
    axes_mm: tuple[float, float]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of voxels, mm (z, y, x)."""
        half = REACH * self.axes_mm[0] + REACH_MM
        z, y, x = (2 * half / count for count in SHAPE)
        return z, y, x


class CloseUpNetwork(Pyramid):
    """Mask of the lesion at the spot."""

    def __init__(self, architecture: Architecture = ARCHITECTURE) -> None:
        super().__init__(architecture, len(WINDOWS) + 1)
        self.heads = nn.Conv3d(architecture.channels[0], STRIDE**2, 1)
        nn.init.normal_(self.heads.weight, std=0.01)
        assert self.heads.bias is not None
        nn.init.constant_(self.heads.bias, _FIRST)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, windows and spot, z, y, x] -> logit of "inside the lesion" [batch, z, y, x]."""
        return depth_to_space(self.heads(self.features(x)))[:, 0]


def pictures(hu: Tensor, spots: Tensor) -> Tensor:
    """HU and spots, both [batch, z, y, x] -> the network's input."""
    return torch.cat((normalise(hu), spots[:, None]), dim=1)


def spot(
    view: View, spacing: tuple[float, float, float], centre: tuple[float, float, float]
) -> Tensor:
    """Bright where the lesion is meant to be, [z, y, x]; `centre` is its place in voxels."""
    squares = [
        ((torch.arange(count) - middle) * mm) ** 2
        for count, middle, mm in zip(SHAPE, centre, spacing, strict=True)
    ]
    z, y, x = squares
    square = z[:, None, None] + y[:, None] + x
    long_mm, short_mm = view.axes_mm
    return torch.exp(-square / (2 * SPOT**2 * long_mm * short_mm)).float()


def lattice_of(view: View, volume: Volume) -> Lattice:
    """The lattice of a close-up of a volume; the view's centre lies in the middle of it."""
    place = np.array(view.centre) / view.spacing
    z, y, x = (np.floor(place).astype(int) - np.array(SHAPE) // 2 + 1).tolist()
    return placed(volume, view.spacing, (z, y, x), SHAPE)


def look(network: CloseUpNetwork, hu: Tensor, volume: Volume, view: View) -> CloseUp:
    """A close-up of a volume; `hu` is the volume [1, 1, slice, row, column] on the device.

    One at a time: a convolution of several may differ in its last bit from that of one, and what
    else is found in a series must not change a lesion.
    """
    grid = lattice_of(view, volume)
    spots = _spot_on(view, grid)[None].to(hu.device)
    inside = infer(network, sample(hu, grid), spots)
    return CloseUp(grid, inside[0].cpu().numpy())


@torch.inference_mode()
def infer(network: CloseUpNetwork, hu: Tensor, spots: Tensor) -> Tensor:
    """Probability of "inside the lesion" from HU and spots, all [batch, z, y, x].

    In half precision where the device computes it faster.
    """
    with precision(hu.device):
        logit: Tensor = network(pictures(hu, spots))
    return torch.sigmoid(logit.float())


def _spot_on(view: View, grid: Lattice) -> Tensor:
    z, y, x = grid.from_mm(np.array(view.centre)).tolist()
    return spot(view, grid.spacing, (z, y, x))
