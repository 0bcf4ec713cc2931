"""What the network says about a whole volume, computed in chunks along z."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plugin.detector.lattice import Lattice, chunks, sample
from plugin.detector.network import STRIDE, Maps, Network, normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Slices of the lattice that are computed and kept at a time.
CHUNK = 48
#: Slices computed on either side for their surroundings.
OVERLAP = 8
#: The network halves (z, output y, output x) this often.
_DIVISOR = 8
#: Edge of the neighbourhood of which a peak is the highest voxel, output voxels.
_PEAK = 3
#: Peaks below are not looked at.
LOWEST_SCORE = 0.05
#: Most peaks of a chunk that are looked at.
_MOST_PEAKS = 200


@dataclass(frozen=True)
class Candidate:
    """A peak of the centre map and what the size heads say there."""

    #: Centre in voxels of the lattice (z, y, x).
    centre: tuple[float, float, float]
    #: Certainty, 0 to 1.
    score: float
    #: Long axis, short axis and extent along z, in mm.
    size_mm: tuple[float, float, float]
    #: Angle from the x to the long axis, towards y, in radians.
    angle: float


class Response(NamedTuple):
    """Everything that is kept of one pass of the network."""

    #: The peaks, in no order.
    candidates: list[Candidate]
    #: Probability of "inside a lesion" in 255ths, [z, y, x] on the lattice.
    inside: NDArray[np.uint8]


def respond(network: Network, hu: Tensor, lattice: Lattice, chunk: int = CHUNK) -> Response:
    """Run the network over a volume [1, 1, slice, row, column] on its device.

    Memory is bounded by `chunk` slices; when the device has too little, half of it is tried.
    """
    try:
        return _respond(network, hu, lattice, chunk)
    except torch.OutOfMemoryError:
        if chunk <= _DIVISOR:
            raise
    return respond(network, hu, lattice, chunk // 2)


def _respond(network: Network, hu: Tensor, lattice: Lattice, chunk: int) -> Response:
    depth, height, width = lattice.shape
    inside = np.empty(lattice.shape, np.uint8)
    candidates: list[Candidate] = []
    scale = lattice.spacing[1]
    for computed, kept in chunks(depth, chunk, OVERLAP, _DIVISOR):
        size = (computed.stop - computed.start, height, width)
        maps = _infer(network, sample(hu, lattice, computed.start, _padded(size)))
        low, high = kept.start - computed.start, kept.stop - computed.start
        probability = torch.sigmoid(maps.mask[0, 0, low:high, :height, :width].float())
        inside[kept] = (probability * 255).round().to(torch.uint8).cpu().numpy()
        candidates += _candidates(maps, (low, high), computed.start, lattice.shape, scale)
    return Response(candidates, inside)


def _padded(size: tuple[int, int, int]) -> tuple[int, int, int]:
    """The next size that the network can halve."""
    units = (_DIVISOR, _DIVISOR * STRIDE, _DIVISOR * STRIDE)
    z, y, x = (-(-n // unit) * unit for n, unit in zip(size, units, strict=True))
    return z, y, x


@torch.inference_mode()
def _infer(network: Network, hu: Tensor) -> Maps:
    """Maps of HU [1, z, y, x], in half precision where the device computes it faster."""
    with _precision(hu.device):
        maps: Maps = network(normalise(hu))
    return maps


def _precision(device: torch.device) -> AbstractContextManager[object]:
    if device.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    if device.type == "cpu" and _has_bf16():
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


def _has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 matrices; emulated it would be slower."""
    return bool(torch.cpu._is_avx512_bf16_supported())


def _candidates(
    maps: Maps, kept: tuple[int, int], start: int, shape: tuple[int, int, int], scale: float
) -> list[Candidate]:
    """Peaks of a chunk whose voxel lies in the slices to keep and inside the lattice."""
    score = torch.sigmoid(maps.centre.float())
    highest = functional.max_pool3d(score, _PEAK, stride=1, padding=_PEAK // 2)
    peak = ((score == highest) & (score > LOWEST_SCORE))[0, 0]
    peak[: kept[0]] = False
    peak[kept[1] :] = False
    peak[:, -(-shape[1] // STRIDE) :] = False
    peak[:, :, -(-shape[2] // STRIDE) :] = False
    where = peak.nonzero()  # [N, (z, y, x)]
    values = score[0, 0][peak]
    if len(values) > _MOST_PEAKS:
        values, order = values.topk(_MOST_PEAKS)
        where = where[order]
    z, y, x = where.T
    heads = torch.cat((maps.offset, maps.log_size, maps.direction), dim=1)[0, :, z, y, x]
    rows = torch.cat((where.T, values[None], heads.float())).T.double().cpu().numpy()
    return [_candidate(row, start, scale) for row in rows]


def _candidate(row: NDArray[np.float64], start: int, scale: float) -> Candidate:
    """From (z, y, x, score, offset x 3, log size x 3, direction x 2)."""
    z, y, x = row[:3] + row[4:7]
    long_mm, short_mm, depth_mm = np.exp(row[7:10].clip(0.0, 5.0)) * scale
    centre = float(z + start), float((y + 0.5) * STRIDE - 0.5), float((x + 0.5) * STRIDE - 0.5)
    size = float(long_mm), float(min(short_mm, long_mm)), float(depth_mm)
    return Candidate(centre, float(row[3]), size, float(np.arctan2(row[11], row[10]) / 2))
