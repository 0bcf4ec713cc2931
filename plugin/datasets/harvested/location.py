"""Where in the body a bookmark lies, on DeepLesion's scale, as far as the slices tell.

x and y are shares of the extent of the body in the key slice. z is DeepLesion's scale from head to
feet, which its authors' regressor gave; here it hangs on two landmarks that CT shows in every
patient, apex and base of the lungs. Where neither is in sight z stays unknown, and so, as the
table has no half-known place, does the whole place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter

from plugin.datasets.harvested.body import find_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin.bookmark import Axis
    from plugin.datasets.harvested.body import Body
    from plugin.datasets.harvested.stack import Stack

#: z of apex and base of the lungs: the outermost half percents of the lung lesions of the
#: official test split.
APEX_Z, BASE_Z = 0.35, 0.615
#: Height of the lungs in CT at full inspiration, mm.
LUNG_MM = 242.0
#: mm to one unit of z, above the base of the lungs and below it.
LUNG_SCALE = LUNG_MM / (BASE_Z - APEX_Z)
BELOW_SCALE = 1300.0
#: Lungs are in sight where a slice holds this share of them, and end where it holds this one.
SURELY, ENDS = 0.10, 0.02
#: Near its end the share of lung falls evenly; from up to this share the end can be told, though
#: it is out of sight.
EXTRAPOLATED = 0.25
#: The least fall that tells an end, share of lung in a mm.
SLOPE = 0.002
#: Decimals of a place; DeepLesion has six.
DECIMALS = 6
#: Slices are looked at in this distance, mm.
SAMPLE_MM = 7.0


class Basis(StrEnum):
    """What a place in the body was told from."""

    LUNG_APEX_AND_BASE = "lung apex and base"
    LUNG_APEX = "lung apex"
    LUNG_BASE = "lung base"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Lungs:
    """Ends of the lungs along the slices; None where an end is not in sight."""

    #: Heights from head to feet, mm, on the scale of the slices.
    apex: float | None
    base: float | None

    @property
    def basis(self) -> Basis:
        """What z can be told from."""
        seen = self.apex is not None, self.base is not None
        return {
            (True, True): Basis.LUNG_APEX_AND_BASE,
            (True, False): Basis.LUNG_APEX,
            (False, True): Basis.LUNG_BASE,
            (False, False): Basis.UNKNOWN,
        }[seen]

    def z(self, height: float) -> float | None:
        """DeepLesion's z of a height in mm; None where no end is in sight."""
        if self.base is not None and height > self.base:
            z = BASE_Z + (height - self.base) / BELOW_SCALE
        elif self.apex is not None and self.base is not None and height > self.apex:
            share = (height - self.apex) / (self.base - self.apex)
            z = APEX_Z + share * (BASE_Z - APEX_Z)
        elif self.apex is not None:
            z = APEX_Z + (height - self.apex) / LUNG_SCALE
        elif self.base is not None:
            z = BASE_Z - (self.base - height) / LUNG_SCALE
        else:
            return None
        return z


def find_lungs(stack: Stack) -> Lungs:
    """The ends of the lungs in a stack. Raises UnsuitableSeries for what cannot be decoded."""
    heights: list[float] = []
    shares: list[float] = []
    for each in stack.slices:
        if not heights or each.height - heights[-1] >= SAMPLE_MM:
            heights.append(each.height)
            shares.append(find_body(each.hu(), each.spacing[0]).lung)
    return ends(heights, shares)


def ends(heights: Sequence[float], shares: Sequence[float]) -> Lungs:
    """The ends of the lungs from their share in slices at rising heights, mm.

    A single slice with air between limbs or blankets is no lung.
    """
    shares = median_filter(np.array(shares), size=3, mode="nearest").tolist()
    if sum(share >= SURELY for share in shares) < 2:
        return Lungs(None, None)
    middle = int(np.argmax(shares))
    apex = _end(list(heights[middle::-1]), list(shares[middle::-1]))
    base = _end(list(heights[middle:]), list(shares[middle:]))
    # Two ends nearer than half a lung are those of something else.
    if apex is not None and base is not None and base - apex < LUNG_MM / 2:
        return Lungs(None, None)
    return Lungs(apex, base)


def _end(heights: list[float], shares: list[float]) -> float | None:
    """Where the lungs end, going from their largest share outwards; None if it is not told."""
    for index, share in enumerate(shares):
        if share < ENDS:
            return heights[index]
    if len(shares) < 3 or shares[-1] > EXTRAPOLATED:
        return None
    slope = (shares[-3] - shares[-1]) / (heights[-1] - heights[-3])
    if abs(slope) < SLOPE or shares[-3] < shares[-1]:
        return None
    return heights[-1] + shares[-1] / slope


def place(
    long_axis: Axis, short_axis: Axis, body: Body, z: float | None
) -> tuple[float | None, float | None, float | None]:
    """(x, y) of the middle of two axes in the body, and z: each 0 to 1, None where unknown."""
    box = body.box
    if box is None:
        return None, None, z
    column, row = np.mean([*long_axis, *short_axis], axis=0)
    x = (column - box[0]) / max(box[2] - box[0], 1.0)
    y = (row - box[1]) / max(box[3] - box[1], 1.0)
    return _share(x), _share(y), None if z is None else _share(z)


def _share(value: float) -> float:
    return round(min(max(float(value), 0.0), 1.0), DECIMALS)
