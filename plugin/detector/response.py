"""The candidates that the network finds in a whole volume, computed in chunks along z."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plugin.detector.device import Room, is_out_of_memory, precision
from plugin.detector.lattice import Lattice, chunks, sample
from plugin.detector.network import STRIDE, Network, normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Most slices of the lattice that are computed and kept at a time.
LONGEST = 48
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
    #: Place of its type in the order of LesionType; None where the network tells no types.
    lesion_type: int | None = None


class Heads(NamedTuple):
    """What the network says that candidates are made of, [1, channel, z, y, x]."""

    #: Logit of a centre; 1 channel.
    centre: Tensor
    #: Offset, log sizes and direction; 8 channels, as in `plugin.detector.network.Maps`.
    regression: Tensor
    #: Logits of the lesion types; None of a network without.
    types: Tensor | None


def respond(
    network: Network, hu: Tensor, lattice: Lattice, room: Room | None = None
) -> list[Candidate]:
    """The peaks of a volume [1, 1, slice, row, column], on its device; in no order.

    Memory is bounded by the voxels for which there is room. Where that proves too much, half of
    it is tried, and remembered.
    """
    room = room or Room()
    while True:
        length = chunk_length(lattice, room)
        try:
            return _respond(network, hu, lattice, length)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or length == _DIVISOR:
                raise
        room.voxels //= 2


def chunk_length(lattice: Lattice, room: Room) -> int:
    """How many slices of a lattice to keep at a time; a multiple of what the network halves.

    Their surroundings are computed too. Nothing smaller than the smallest multiple can be done.
    """
    slices = room.voxels // (lattice.shape[1] * lattice.shape[2]) - 2 * OVERLAP
    return min(max(slices // _DIVISOR, 1) * _DIVISOR, LONGEST)


def _respond(network: Network, hu: Tensor, lattice: Lattice, chunk: int) -> list[Candidate]:
    candidates: list[Candidate] = []
    scale = lattice.spacing[1]
    for computed, kept in chunks(lattice.first[0], lattice.shape[0], chunk, OVERLAP, _DIVISOR):
        start = max(computed.start, 0)
        heads = _heads(network, hu, lattice, computed)
        candidates += _candidates(heads, (kept.start - start, kept.stop - start), start, scale)
    return candidates


def _heads(network: Network, hu: Tensor, lattice: Lattice, computed: slice) -> Heads:
    """What the network says of some slices of a lattice, as far as it reaches.

    What is computed starts and ends at multiples of what the network halves, counted in the
    patient, so that the same place is always seen by the same voxels of its coarse levels.
    """
    depth, height, width = lattice.shape
    rows, columns = (_widened(lattice.first[axis], lattice.shape[axis]) for axis in (1, 2))
    z, y, x = computed.start, rows.start, columns.start
    size = computed.stop - z, rows.stop - y, columns.stop - x
    heads = _infer(network, sample(hu, lattice.part((z, y, x), size)))
    deep = slice(max(-z, 0), depth - z)
    where = (..., deep, _at(-y, height), _at(-x, width))
    types = None if heads.types is None else heads.types[where]
    return Heads(heads.centre[where], heads.regression[where], types)


def _widened(first: int, count: int) -> slice:
    """From whole unit to whole unit of the coarsest level around `count` voxels of the patient."""
    unit = _DIVISOR * STRIDE
    return slice(first // unit * unit - first, -(-(first + count) // unit) * unit - first)


def _at(start: int, count: int) -> slice:
    """The same voxels on the output's grid."""
    return slice(start // STRIDE, -(-(start + count) // STRIDE))


@torch.inference_mode()
def _infer(network: Network, hu: Tensor) -> Heads:
    """Heads of HU [1, z, y, x], in half precision where the device computes it faster."""
    with precision(hu.device):
        maps = network(normalise(hu))
    regression = torch.cat((maps.offset, maps.log_size, maps.direction), dim=1)
    return Heads(maps.centre, regression, maps.types)


def _candidates(heads: Heads, kept: tuple[int, int], start: int, scale: float) -> list[Candidate]:
    """Peaks of a chunk whose voxel lies in the slices to keep."""
    score = torch.sigmoid(heads.centre.float())
    highest = functional.max_pool3d(score, _PEAK, stride=1, padding=_PEAK // 2)
    peak = ((score == highest) & (score > LOWEST_SCORE))[0, 0]
    peak[: kept[0]] = False
    peak[kept[1] :] = False
    where = peak.nonzero()  # [N, (z, y, x)]
    values = score[0, 0][peak]
    if len(values) > _MOST_PEAKS:
        values, order = values.topk(_MOST_PEAKS)
        where = where[order]
    z, y, x = where.T
    said = heads.regression[0, :, z, y, x].float()
    rows = torch.cat((where.T, values[None], said)).T.double().cpu().numpy()
    candidates = [_candidate(row, start, scale) for row in rows]
    if heads.types is None:
        return candidates
    kinds = heads.types[0, :, z, y, x].argmax(dim=0).tolist()
    return [replace(each, lesion_type=k) for each, k in zip(candidates, kinds, strict=True)]


def _candidate(row: NDArray[np.float64], start: int, scale: float) -> Candidate:
    """From (z, y, x, score, offset x 3, log size x 3, direction x 2)."""
    z, y, x = row[:3] + row[4:7]
    long_mm, short_mm, depth_mm = np.exp(row[7:10].clip(0.0, 5.0)) * scale
    centre = float(z + start), float((y + 0.5) * STRIDE - 0.5), float((x + 0.5) * STRIDE - 0.5)
    size = float(long_mm), float(min(short_mm, long_mm)), float(depth_mm)
    return Candidate(centre, float(row[3]), size, float(np.arctan2(row[11], row[10]) / 2))
