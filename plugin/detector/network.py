"""The network: every slice of a volume is computed once.

Input and output lie on one grid for all scanners: 2 mm along the slices' normal, 1 mm in plane
(input, mask) or 2 mm in plane (everything else). Axis order is [batch, channel, z, y, x].
There is no batch normalisation, because crops and whole chests have different statistics:
convolutions have standardised weights (Qiao et al. 2019) and residual branches start small
(Brock et al. 2021).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Millimetres a voxel of the network's input: (z, y, x).
INPUT_SPACING = (2.0, 1.0, 1.0)
#: In-plane pixels of the input a voxel of the output covers.
STRIDE = 2
#: Attenuation windows of the input channels, HU: lung and soft tissue.
WINDOWS = ((-1000.0, 400.0), (-160.0, 240.0))
#: Keeps the variance of a standard normal signal through ReLU.
_RELU_GAIN = 1.7139588594436646


@dataclass(frozen=True)
class Architecture:
    """What fixes the shape of the network's weights."""

    #: Channels at 2, 4, 8 and 16 mm.
    channels: tuple[int, ...] = (32, 64, 128, 128)
    #: Residual blocks on the way down at each of these levels.
    blocks: tuple[int, ...] = (1, 3, 3, 2)
    #: Lesion types that it tells apart, in the order of LesionType; empty for none.
    types: tuple[str, ...] = ()

    def to_record(self) -> dict[str, list[int | str]]:
        """The shape as a JSON record."""
        return {name: list(value) for name, value in asdict(self).items()}


class Maps(NamedTuple):
    """What the network says at every voxel; all [batch, channel, z, y, x]."""

    #: Logit of "the centre of a lesion lies in this voxel"; 1 channel, 2 mm grid.
    centre: Tensor
    #: Lesion centre minus voxel centre in units of output voxels (z, y, x); 3 channels.
    offset: Tensor
    #: Logarithm of long axis, short axis and extent along z in mm; 3 channels.
    log_size: Tensor
    #: Cosine and sine of twice the angle from the x to the long axis; 2 channels.
    direction: Tensor
    #: Logit of "inside a lesion"; 1 channel, on the input's grid. A part of training only:
    #: lesions are outlined in close-ups.
    mask: Tensor
    #: Logits of the lesion types; one channel a type, 2 mm grid; None of a network without.
    types: Tensor | None = None


class StandardisedConv(nn.Conv3d):
    """3D convolution whose filters have mean 0 and variance gain^2 / fan-in; it learns the gain."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, gain: float = _RELU_GAIN
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.gain = nn.Parameter(torch.full((outputs, 1, 1, 1, 1), gain))
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def standardised(self) -> Tensor:
        """Filters as they are applied, [outputs, inputs, kernel, kernel, kernel]."""
        fan_in = self.weight[0].numel()
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3, 4), keepdim=True)
        scale: Tensor = self.gain * torch.rsqrt(variance * fan_in + 1e-4)
        filters: Tensor = (self.weight - mean) * scale
        return filters

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs, z, y, x] -> [batch, outputs, z / stride, y / stride, x / stride]."""
        y: Tensor = self._conv_forward(x, self.standardised(), self.bias)
        return y


class Residual(nn.Module):
    """Two convolutions around an identity; the branch starts at a scale of 0.3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = StandardisedConv(channels, channels)
        self.second = StandardisedConv(channels, channels, gain=0.3 * _RELU_GAIN)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, z, y, x] -> the same shape."""
        branch: Tensor = self.second(functional.relu_(self.first(functional.relu(x))))
        return branch.add_(x)


class Pyramid(nn.Module):
    """Features of windows of a CT volume: four resolutions down, a feature pyramid up again."""

    def __init__(self, architecture: Architecture, inputs: int) -> None:
        super().__init__()
        self.architecture = architecture
        channels, blocks = architecture.channels, architecture.blocks
        self.stem = StandardisedConv(inputs * STRIDE**2, channels[0], gain=2.0)
        self.down = nn.ModuleList(
            StandardisedConv(fine, coarse, stride=2) for fine, coarse in pairwise(channels)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(Residual(width) for _ in range(count)))
            for width, count in zip(channels, blocks, strict=True)
        )
        self.lateral = nn.ModuleList(
            StandardisedConv(coarse, fine, kernel=1, gain=1.0)
            for fine, coarse in pairwise(channels)
        )
        self.merge = nn.ModuleList(Residual(width) for width in channels[:-1])
        self.last = StandardisedConv(channels[0], channels[0])

    def features(self, x: Tensor) -> Tensor:
        """[batch, inputs, z, y, x] -> [batch, channels[0], z, y / 2, x / 2]."""
        x = self.stages[0](self.stem(space_to_depth(x)))
        levels = [x]
        for down, stage in zip(self.down, self.stages[1:], strict=True):
            levels.append(stage(down(functional.relu(levels[-1]))))
        x = levels.pop()
        for lateral, merge in zip(reversed(self.lateral), reversed(self.merge), strict=True):
            fine = levels.pop()
            x = merge(
                fine + functional.interpolate(lateral(x), size=fine.shape[2:], mode="nearest")
            )
        return functional.relu_(self.last(functional.relu(x)))


class Network(Pyramid):
    """Centre, size, direction, mask and perhaps type of lesions from two windows of a CT volume.

    1x1x1 heads on the features.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__(architecture or Architecture(), len(WINDOWS))
        width = self.architecture.channels[0]
        self.heads = nn.Conv3d(width, 1 + 3 + 3 + 2 + STRIDE**2, 1)
        self._start_heads()
        types = self.architecture.types
        self.types = nn.Conv3d(width, len(types), 1) if types else None

    def _start_heads(self) -> None:
        """Rare centres, and lesions of 8 mm, before anything is learned."""
        nn.init.normal_(self.heads.weight, std=0.01)
        assert self.heads.bias is not None
        with torch.no_grad():
            self.heads.bias.zero_()
            self.heads.bias[0] = -5.0
            self.heads.bias[4:7] = 2.0
            self.heads.bias[9:] = -3.0

    def forward(self, x: Tensor) -> Maps:
        """[batch, windows, z, y, x] with y and x even -> maps."""
        features = self.features(x)
        centre, offset, log_size, direction, mask = self.heads(features).split(
            (1, 3, 3, 2, STRIDE**2), dim=1
        )
        types = None if self.types is None else self.types(features)
        return Maps(centre, offset, log_size, direction, depth_to_space(mask), types)


def space_to_depth(x: Tensor) -> Tensor:
    """[b, c, z, y, x] -> [b, 4 c, z, y / 2, x / 2]: in-plane pixels become channels."""
    b, c, z, h, w = x.shape
    x = x.reshape(b, c, z, h // STRIDE, STRIDE, w // STRIDE, STRIDE)
    x = x.permute(0, 1, 4, 6, 2, 3, 5).reshape(b, c * STRIDE**2, z, h // STRIDE, w // STRIDE)
    return x.contiguous(memory_format=torch.channels_last_3d)


def depth_to_space(x: Tensor) -> Tensor:
    """[b, 4 c, z, y, x] -> [b, c, z, 2 y, 2 x], the inverse of `space_to_depth`."""
    b, c, z, h, w = x.shape
    x = x.reshape(b, c // STRIDE**2, STRIDE, STRIDE, z, h, w).permute(0, 1, 4, 5, 2, 6, 3)
    return x.reshape(b, c // STRIDE**2, z, h * STRIDE, w * STRIDE)


def normalise(hu: Tensor) -> Tensor:
    """HU [b, z, y, x] -> [b, windows, z, y, x] from 0 (air, outside) to 1."""
    channels = [((hu - low) / (high - low)).clamp(0.0, 1.0) for low, high in WINDOWS]
    return torch.stack(channels, dim=1)
