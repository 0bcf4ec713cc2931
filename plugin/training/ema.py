"""The exponential moving average of a network's weights, which is what is evaluated."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from plugin.detector.network import Pyramid


class MovingAverage:
    """A copy of a network that follows it slowly."""

    def __init__(self, network: Pyramid, decay: float) -> None:
        self.network = deepcopy(network).requires_grad_(False).eval()
        self._decay = decay

    @torch.no_grad()
    def update(self, network: Pyramid, step: int) -> None:
        """Follow the network; faster during the first steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for mine, other in zip(self.network.parameters(), network.parameters(), strict=True):
            mine.lerp_(other, 1.0 - decay)
