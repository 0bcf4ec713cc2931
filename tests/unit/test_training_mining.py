"""What is hard is found where a network that is known is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from plugin.detector.network import Architecture, Maps, Network
from plugin.training.backgrounds import make_background
from plugin.training.blocks import Pool
from plugin.training.mining import difficulty, false_peaks, hardness
from plugin.training.peers import Peers
from plugin.training.shape import shape_of
from plugin.training.tiles import Tile

if TYPE_CHECKING:
    from torch import Tensor

SPACING = (2.0, 1.0, 1.0)


class BrightNetwork(Network):
    """Takes every bright voxel of the output grid for the centre of a lesion of 8 mm."""

    def __init__(self) -> None:
        super().__init__(Architecture(channels=(8, 8, 8, 8), blocks=(1, 1, 1, 1)))

    def forward(self, x: Tensor) -> Maps:
        """[batch, windows, z, y, x] -> maps."""
        bright = torch.nn.functional.max_pool3d(x[:, 1:], (1, 2, 2))
        others = [torch.zeros_like(bright).repeat(1, n, 1, 1, 1) for n in (3, 3, 2)]
        return Maps(12 * bright - 6, others[0], others[1] + 2.0, others[2], -9 * x[:, 1:])


def _tile(bright: tuple[int, int, int], lesion: tuple[int, int, int]) -> Tile:
    mask = np.zeros((16, 48, 48), bool)
    z, y, x = lesion
    mask[z - 2 : z + 2, y - 4 : y + 4, x - 4 : x + 4] = True
    hu = np.full(mask.shape, -850, np.int16)
    hu[bright] = 300
    return Tile(hu, mask, shape_of(mask, SPACING))


@pytest.mark.parametrize(
    ("bright", "expected"),
    [
        ((8, 24, 24), 0.25),  # on the lesion: found, nothing else
        ((8, 24, 40), 2.25),  # beside it: missed, and a false peak
        ((8, 24, 31), 1.25),  # at its edge: missed, and no more
    ],
)
def test_a_lesion_is_hard_when_missed_or_beside_a_false_peak(
    bright: tuple[int, int, int], expected: float
) -> None:
    tile = _tile(bright, (8, 24, 24))
    assert hardness(BrightNetwork(), tile) == pytest.approx(expected, abs=0.02)


def test_a_peak_where_nothing_is_marked_is_not_false() -> None:
    tile = _tile((8, 24, 40), (8, 24, 24))
    unsure = np.full(tile.hu.shape, 0.25, np.float32)
    assert hardness(BrightNetwork(), replace(tile, certainty=unsure)) == pytest.approx(
        1.25, abs=0.02
    )
    assert hardness(BrightNetwork(), replace(tile, certainty=unsure * 4)) == pytest.approx(
        2.25, abs=0.02
    )


def test_false_peaks_are_sorted_and_spare_the_lesion() -> None:
    hu = np.full((24, 96, 96), -850, np.int16)
    hu[12, 48, 48], hu[4, 10, 20], hu[20, 80, 60] = 300, 60, 90
    lesion = np.array([[[12.0, 48.0, 48.0], [12.0, 48.0, 48.0]]])
    found = false_peaks(BrightNetwork(), make_background("b", hu, lesion, SPACING, 1.0))
    assert found == pytest.approx(np.array([[20, 80, 60], [4, 10, 20]]), abs=1)


def test_the_difficulty_of_a_pool_names_its_backgrounds() -> None:
    hu = np.full((16, 48, 48), -850, np.int16)
    hu[8, 10, 20] = 300
    ground = make_background("b", hu, np.empty((0, 2, 3)), SPACING, 1.0)
    pool = Pool([[_tile((8, 24, 24), (8, 24, 24))], [_tile((8, 24, 40), (8, 24, 24))]], [ground])
    found = difficulty(BrightNetwork(), pool, 1, Peers())
    assert found.lesions == pytest.approx([0.25, 2.25], abs=0.02)
    assert len(found.negatives["b"]) == 1
