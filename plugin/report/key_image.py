"""The key slice of a bookmark as a picture: windowed, both diameters and the label drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from plugin.bookmark import LesionType
from plugin.report import text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugin.bookmark import Axis, Bookmark, Box, Point
    from plugin.volume import Volume

Colour = tuple[int, int, int]

LONG_AXIS_COLOUR: Final[Colour] = (255, 220, 0)
SHORT_AXIS_COLOUR: Final[Colour] = (0, 220, 255)
TEXT_COLOUR: Final[Colour] = (255, 255, 255)
OUTLINE_COLOUR: Final[Colour] = (0, 0, 0)
#: Height of letters and width of lines for each pixel of the picture's shorter side.
TEXT_SIZE, LINE_WIDTH = 1 / 28, 1 / 400
#: Between the label and the lesion, for each pixel of the picture's shorter side.
GAP = 1 / 80
#: A picture whose shorter side has this many pixels is legible.
LEGIBLE_SIDE = 512


@dataclass(frozen=True)
class Window:
    """Which attenuations become black and white (PS3.3 C.11.2.1.2)."""

    #: HU in the middle of the grey scale.
    centre: float
    #: HU from black to white.
    width: float


LUNG_WINDOW: Final = Window(-600, 1500)
BONE_WINDOW: Final = Window(450, 1800)
SOFT_TISSUE_WINDOW: Final = Window(40, 400)
WINDOWS: Final = {LesionType.LUNG: LUNG_WINDOW, LesionType.BONE: BONE_WINDOW}


def draw(
    volume: Volume, bookmark: Bookmark, *, number: int = 1, scale: int | None = None
) -> Image.Image:
    """The key slice as an RGB picture with square pixels.

    The finer of the two pixel spacings is enlarged `scale` times, the other so that shapes
    keep their proportions. Without `scale` it is the least that makes letters legible: 1,
    the source's own pixels, from 512 pixels on. `number` is the lesion's in the report.
    """
    grey = apply_window(volume.hu[bookmark.slice_index], window_of(bookmark))  # [row, column]
    stretch = enlargement(volume.spacing[1:], scale or _legible_scale(grey.shape, volume))
    picture = _enlarge(Image.fromarray(grey), stretch).convert("RGB")
    pen = ImageDraw.Draw(picture)
    width = max(1, round(min(picture.size) * LINE_WIDTH))
    _draw_axis(pen, bookmark.short_axis, stretch, SHORT_AXIS_COLOUR, width)
    _draw_axis(pen, bookmark.long_axis, stretch, LONG_AXIS_COLOUR, width)
    _write_label(pen, text.label(number, bookmark), _box(bookmark, stretch), picture.size)
    _write_notice(pen, picture.size)
    return picture


def window_of(bookmark: Bookmark) -> Window:
    """The window in which a radiologist would look at a lesion of that type."""
    return WINDOWS.get(bookmark.lesion_type, SOFT_TISSUE_WINDOW)


def apply_window(hu: NDArray[np.float32], window: Window) -> NDArray[np.uint8]:
    """Attenuation in HU -> grey values 0 to 255, the same shape."""
    darkest = window.centre - window.width / 2
    grey = np.clip((hu - darkest) / window.width, 0, 1) * 255
    return np.asarray(grey.round(), np.uint8)


def enlargement(spacing: tuple[float, ...], scale: int) -> tuple[float, float]:
    """Picture pixels for each stored (row, column) of a slice with that spacing in mm."""
    down, across = spacing
    finer = min(down, across)
    return scale * down / finer, scale * across / finer


def _enlarge(picture: Image.Image, stretch: tuple[float, float]) -> Image.Image:
    down, across = stretch
    size = round(picture.width * across), round(picture.height * down)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BICUBIC)


def on_picture(point: Point, stretch: tuple[float, float]) -> Point:
    """(column, row) in pixel centres of the slice -> the same in the picture."""
    (column, row), (down, across) = point, stretch
    return (column + 0.5) * across - 0.5, (row + 0.5) * down - 0.5


def _draw_axis(
    pen: ImageDraw.ImageDraw,
    axis: Axis,
    stretch: tuple[float, float],
    colour: Colour,
    width: int,
) -> None:
    ends = [on_picture(end, stretch) for end in axis]
    pen.line(ends, fill=colour, width=width)
    for column, row in ends:
        reach = 1.5 * width
        pen.ellipse((column - reach, row - reach, column + reach, row + reach), fill=colour)


def _legible_scale(shape: tuple[int, ...], volume: Volume) -> int:
    sides = np.multiply(shape, enlargement(volume.spacing[1:], 1))
    return max(1, math.ceil(LEGIBLE_SIDE / float(sides.min())))


def _box(bookmark: Bookmark, stretch: tuple[float, float]) -> Box:
    left, top, right, bottom = bookmark.box
    return *on_picture((left, top), stretch), *on_picture((right, bottom), stretch)


def _font(size: tuple[int, int]) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(round(min(size) * TEXT_SIZE))


def _write_label(pen: ImageDraw.ImageDraw, label: str, box: Box, size: tuple[int, int]) -> None:
    lines = label.replace(": ", ":\n").replace(", ", "\n")
    font = _font(size)
    left, top, right, bottom = pen.multiline_textbbox((0, 0), lines, font=font, stroke_width=2)
    column, row = beside(box, (right - left, bottom - top), size)
    _write(pen, (column - left, row - top), lines, font)


def beside(box: Box, label: tuple[float, float], size: tuple[int, int]) -> Point:
    """Upper left corner (column, row) of a label (width, height) that leaves the box free.

    Right of the box, or left of it where the right has no room; always inside the picture
    of `size` (width, height).
    """
    width, height = label
    gap = min(size) * GAP
    column = box[2] + gap
    if column + width > size[0]:
        column = max(0.0, box[0] - gap - width)
    return column, min(max(0.0, box[1] - gap), size[1] - height)


def _write_notice(pen: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    font = _font(size)
    left, _, _, bottom = pen.textbbox((0, 0), text.RESEARCH_USE, font=font, stroke_width=2)
    _write(pen, (4 - left, size[1] - bottom - 4), text.RESEARCH_USE, font)


def _write(
    pen: ImageDraw.ImageDraw,
    place: Point,
    lines: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    # A dark edge keeps white letters legible on white bone and contrast.
    pen.multiline_text(
        place, lines, fill=TEXT_COLOUR, font=font, stroke_width=2, stroke_fill=OUTLINE_COLOUR
    )
