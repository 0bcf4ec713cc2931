"""What the network says about a whole volume, computed in chunks along z."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from plugin.detector.device import Room, is_out_of_memory, precision
from plugin.detector.lattice import Lattice, chunks, sample
from plugin.detector.network import STRIDE, Maps, Network, normalise

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


class Response(NamedTuple):
    """Everything that is kept of one pass of the network."""

    #: The peaks, in no order.
    candidates: list[Candidate]
    #: Probability of "inside a lesion" in 255ths, [z, y, x] on the lattice.
    inside: NDArray[np.uint8]


def respond(network: Network, hu: Tensor, lattice: Lattice, room: Room | None = None) -> Response:
    """Run the network over a volume [1, 1, slice, row, column] on its device.

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


def _respond(network: Network, hu: Tensor, lattice: Lattice, chunk: int) -> Response:
    inside = np.empty(lattice.shape, np.uint8)
    candidates: list[Candidate] = []
    scale = lattice.spacing[1]
    for computed, kept in chunks(lattice.first[0], lattice.shape[0], chunk, OVERLAP, _DIVISOR):
        start = max(computed.start, 0)
        maps = _maps(network, hu, lattice, computed)
        low, high = kept.start - start, kept.stop - start
        probability = torch.sigmoid(maps.mask[0, 0, low:high].float())
        inside[kept] = (probability * 255).round().to(torch.uint8).cpu().numpy()
        candidates += _candidates(maps, (low, high), start, scale)
    return Response(candidates, inside)


def _maps(network: Network, hu: Tensor, lattice: Lattice, computed: slice) -> Maps:
    """Maps of some slices of a lattice, as far as it reaches.

    What is computed starts and ends at multiples of what the network halves, counted in the
    patient, so that the same place is always seen by the same voxels of its coarse levels.
    """
    depth, height, width = lattice.shape
    rows, columns = (_widened(lattice.first[axis], lattice.shape[axis]) for axis in (1, 2))
    z, y, x = computed.start, rows.start, columns.start
    size = computed.stop - z, rows.stop - y, columns.stop - x
    maps = _infer(network, sample(hu, lattice.part((z, y, x), size)))
    deep = slice(max(-z, 0), depth - z)
    coarse = deep, _at(-y, height, STRIDE), _at(-x, width, STRIDE)
    fine = deep, _at(-y, height, 1), _at(-x, width, 1)
    cropped = Maps(*(each[:, :, *coarse] for each in maps if each is not None))
    return cropped._replace(mask=maps.mask[:, :, *fine])


def _widened(first: int, count: int) -> slice:
    """From whole unit to whole unit of the coarsest level around `count` voxels of the patient."""
    unit = _DIVISOR * STRIDE
    return slice(first // unit * unit - first, -(-(first + count) // unit) * unit - first)


def _at(start: int, count: int, stride: int) -> slice:
    """The same voxels on a grid that is `stride` times as coarse."""
    return slice(start // stride, -(-(start + count) // stride))


@torch.inference_mode()
def _infer(network: Network, hu: Tensor) -> Maps:
    """Maps of HU [1, z, y, x], in half precision where the device computes it faster."""
    with precision(hu.device):
        maps: Maps = network(normalise(hu))
    return maps


def _candidates(maps: Maps, kept: tuple[int, int], start: int, scale: float) -> list[Candidate]:
    """Peaks of a chunk whose voxel lies in the slices to keep."""
    score = torch.sigmoid(maps.centre.float())
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
    heads = torch.cat((maps.offset, maps.log_size, maps.direction), dim=1)[0, :, z, y, x]
    rows = torch.cat((where.T, values[None], heads.float())).T.double().cpu().numpy()
    candidates = [_candidate(row, start, scale) for row in rows]
    if maps.types is None:
        return candidates
    kinds = maps.types[0, :, z, y, x].argmax(dim=0).tolist()
    return [replace(each, lesion_type=k) for each, k in zip(candidates, kinds, strict=True)]


def _candidate(row: NDArray[np.float64], start: int, scale: float) -> Candidate:
    """From (z, y, x, score, offset x 3, log size x 3, direction x 2)."""
    z, y, x = row[:3] + row[4:7]
    long_mm, short_mm, depth_mm = np.exp(row[7:10].clip(0.0, 5.0)) * scale
    centre = float(z + start), float((y + 0.5) * STRIDE - 0.5), float((x + 0.5) * STRIDE - 0.5)
    size = float(long_mm), float(min(short_mm, long_mm)), float(depth_mm)
    return Candidate(centre, float(row[3]), size, float(np.arctan2(row[11], row[10]) / 2))
