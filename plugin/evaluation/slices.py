"""Part of a slice as a picture, with boxes and axes drawn in the colours of those who drew them."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw

from plugin.report.key_image import SOFT_TISSUE_WINDOW, WINDOWS, apply_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.bookmark import Axis, Box

Colour = tuple[int, int, int]

#: Side of a picture, pixels.
SIDE: Final = 288
#: A picture shows a lesion this many times as wide as it is, and at least so many pixels.
CONTEXT, LEAST_PIXELS = 3.0, 96.0


@dataclass(frozen=True)
class Drawn:
    """What one of them drew on the slice."""

    #: Outermost pixels (column0, row0, column1, row1).
    box: Box
    #: (column, row) in pixels.
    axes: Sequence[Axis]
    colour: Colour


def picture(
    hu: NDArray[np.float32], spacing: tuple[float, float], drawn: Sequence[Drawn], label: str
) -> bytes:
    """The surroundings of what was drawn on a slice [row, column] in HU, as PNG.

    Rows and columns lie `spacing` mm apart; `label` decides on the window where it is a type.
    """
    left, top, side = _view([each.box for each in drawn])
    window = next((w for kind, w in WINDOWS.items() if kind in label.lower()), SOFT_TISSUE_WINDOW)
    grey = Image.fromarray(apply_window(hu, window))
    height = side * spacing[1] / spacing[0]  # of the same number of mm
    top += (side - height) / 2
    seen = (left, top, left + side, top + height)
    image = grey.transform((SIDE, SIDE), Image.Transform.EXTENT, seen, Image.Resampling.BILINEAR)
    canvas = image.convert("RGB")
    scale = SIDE / side, SIDE / height
    for each in drawn:
        _draw(ImageDraw.Draw(canvas), each, (left, top), scale)
    file = BytesIO()
    canvas.save(file, "PNG")
    return file.getvalue()


def _view(boxes: Sequence[Box]) -> tuple[float, float, float]:
    """Left, top and side of the square to show, in pixels from the corner of the first one."""
    edges = np.array(boxes)
    low, high = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0) + 1
    side = max(CONTEXT * float((high - low).max()), LEAST_PIXELS)
    left, top = (low + high - side) / 2
    return float(left), float(top), side


def _draw(
    pen: ImageDraw.ImageDraw,
    drawn: Drawn,
    corner: tuple[float, float],
    scale: tuple[float, float],
) -> None:
    def at(column: float, row: float) -> tuple[float, float]:
        return (column + 0.5 - corner[0]) * scale[0], (row + 0.5 - corner[1]) * scale[1]

    column0, row0, column1, row1 = drawn.box
    ends = *at(column0 - 0.5, row0 - 0.5), *at(column1 + 0.5, row1 + 0.5)
    pen.rectangle(ends, outline=drawn.colour)
    for start, end in drawn.axes:
        pen.line([at(*start), at(*end)], fill=drawn.colour, width=2)
