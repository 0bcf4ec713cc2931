"""What a single axial slice shows: where the body lies in it, and how much of it is lung."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from plugin.datasets.deeplesion import FIRST_PIXEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.bookmark import Box

#: Lower end of the attenuation of tissue, HU.
TISSUE_HU = -300.0
#: Attenuation of lung that holds air; gas in the bowel lies below, HU.
LUNG_HU = (-950.0, -500.0)
#: Thin things that touch the skin, such as the table and blankets, are cut off, mm.
THIN_MM = 4.0
#: Where the field of view cuts the body, or legs are apart, it is in parts; smaller ones than this
#: share of the largest are something else.
SMALLEST_PART = 0.1
#: A slice is looked at in pixels of about this size, mm.
COARSE_MM = 2.5


@dataclass(frozen=True)
class Body:
    """The body in one slice, in pixels of `pixel` times the slice's."""

    #: The body with what it encloses, [row, column].
    mask: NDArray[np.bool_]
    #: Pixels of the slice to one of the mask, along each side.
    pixel: int
    #: Share of the body that is lung.
    lung: float

    @property
    def box(self) -> Box | None:
        """Outermost (column0, row0, column1, row1) of the body in pixels of the slice, from 0."""
        rows, columns = np.nonzero(self.mask)
        if not len(rows):
            return None
        low, high = self.pixel * columns.min(), self.pixel * (columns.max() + 1) - FIRST_PIXEL
        top, bottom = self.pixel * rows.min(), self.pixel * (rows.max() + 1) - FIRST_PIXEL
        return float(low), float(top), float(high), float(bottom)


def find_body(hu: NDArray[np.float32], pixel_mm: float) -> Body:
    """The body in a slice [row, column], HU: what is not air, filled, without small things."""
    pixel = max(1, round(COARSE_MM / pixel_mm))
    coarse = _coarse(hu, pixel)
    reach = max(1, round(THIN_MM / (pixel * pixel_mm)))
    solid = ndimage.binary_opening(coarse > TISSUE_HU, iterations=reach)
    labels, count = ndimage.label(solid)
    if not count:
        return Body(np.zeros(coarse.shape, np.bool_), pixel, 0.0)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    parts = (sizes >= SMALLEST_PART * sizes.max())[labels]
    airy = _within(parts, (coarse > LUNG_HU[0]) & (coarse < LUNG_HU[1]))
    mask = np.asarray(ndimage.binary_fill_holes(parts | airy))
    lung = ndimage.binary_opening(airy)
    return Body(mask, pixel, float(lung.sum() / mask.sum()))


def _within(parts: NDArray[np.bool_], airy: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of `airy` lies between `parts` in its row and column; a mattress, as light, does not.

    Where the parts reach an edge of the image the field of view may cut the body, and the edge
    counts as one of them.
    """
    return np.asarray(airy & _between(parts) & _between(parts.T).T)


def _between(parts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether there is a part, or an edge that parts reach, above and below: [row, column]."""
    above = np.logical_or.accumulate(parts, axis=0) | parts[0].any()
    below = np.logical_or.accumulate(parts[::-1], axis=0)[::-1] | parts[-1].any()
    return np.asarray(above & below)


def _coarse(hu: NDArray[np.float32], pixel: int) -> NDArray[np.float32]:
    """The mean of squares of `pixel` pixels; the rest at the far edges is left off."""
    rows, columns = (size // pixel * pixel for size in hu.shape)
    squares = hu[:rows, :columns].reshape(rows // pixel, pixel, columns // pixel, pixel)
    return np.asarray(squares.mean(axis=(1, 3)))
