"""A bookmark and its slices -> what a row says beyond the numbers in its name."""

from __future__ import annotations

from dataclasses import dataclass
from math import dist, isclose
from typing import TYPE_CHECKING

from plugin.bookmark import LesionType
from plugin.datasets.deeplesion import FIRST_PIXEL, UNTYPED, drawn_box
from plugin.datasets.errors import InvalidDataset
from plugin.datasets.harvested.body import find_body
from plugin.datasets.harvested.lesion_type import estimate
from plugin.datasets.harvested.location import place
from plugin.datasets.harvested.tables import ESTIMATED, NO_BASIS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from plugin.bookmark import Axis
    from plugin.datasets.harvested.location import Lungs
    from plugin.datasets.harvested.readers import Marked
    from plugin.datasets.harvested.stack import Axial

#: Decimals of coordinates, pixels.
DECIMALS = 3
#: A stated length may be this far from that of the points, as a share and in mm; else the row is
#: possibly noisy.
STATED_SHARE, STATED_MM = 0.05, 1.0
#: Display window where the image names none that rises, HU: DeepLesion's for soft tissue.
WINDOW = (-175.0, 275.0)


@dataclass(frozen=True)
class Drawn:
    """The axes as DL_info.csv gives them, in the common orientation; coordinates start at 0."""

    long_axis: Axis
    short_axis: Axis

    @property
    def measurement(self) -> tuple[float, ...]:
        """Measurement_coordinates: the ends, from 1."""
        ends = (*self.long_axis, *self.short_axis)
        return tuple(round(v + FIRST_PIXEL, DECIMALS) for end in ends for v in end)

    @property
    def box(self) -> tuple[float, ...]:
        """Bounding_boxes: around the ends, with a margin, from 1."""
        edges = drawn_box(self.long_axis, self.short_axis)
        return tuple(round(edge + FIRST_PIXEL, DECIMALS) for edge in edges)

    @property
    def diameters_px(self) -> tuple[float, ...]:
        """Lesion_diameters_Pixel_: distance of the ends."""
        values = self.measurement
        lengths = dist(values[:2], values[2:4]), dist(values[4:6], values[6:])
        return tuple(round(length, DECIMALS) for length in lengths)


@dataclass(frozen=True)
class Told:
    """Place and type, and what they rest on."""

    #: (x, y, z), each None where it is unknown.
    location: tuple[float | None, ...]
    #: 1 to 8, or UNTYPED.
    coarse_type: int
    #: "finding site", "label", "estimated" or "unknown".
    type_basis: str

    @property
    def whole_location(self) -> tuple[float, ...] | None:
        """The place as the table gives it: known in all directions, or not at all."""
        known = tuple(each for each in self.location if each is not None)
        return known if len(known) == len(self.location) else None


def draw(marked: Marked, axial: Axial) -> Drawn:
    """The axes in the common orientation.

    Raises InvalidDataset for points outside the image, and for axes without length.
    """
    axes = (axial.axis(marked.bookmark.long_axis), axial.axis(marked.bookmark.short_axis))
    for column, row in (end for axis in axes for end in axis):
        if not (-0.5 <= column <= axial.size[0] - 0.5 and -0.5 <= row <= axial.size[1] - 0.5):
            raise InvalidDataset("an end of an axis lies outside its image")
    drawn = Drawn(*axes)
    if not min(drawn.diameters_px) > 0:
        raise InvalidDataset("an axis has no length")
    return drawn


def tell(drawn: Drawn, marked: Marked, axial: Axial, lungs: Lungs) -> Told:
    """Where a lesion lies and what it is. Raises UnsuitableSeries for undecodable pixels."""
    hu = axial.hu()
    pixel_mm = axial.spacing[0]
    body = find_body(hu, pixel_mm)
    location = place(drawn.long_axis, drawn.short_axis, body, lungs.z(axial.height))
    told = Told(location, UNTYPED, NO_BASIS)
    if marked.stated is not None:
        return Told(location, number(marked.stated.lesion_type), marked.stated.by)
    axes = drawn.long_axis, drawn.short_axis
    guess = estimate(hu, axes, pixel_mm, told.whole_location)
    return told if guess is None else Told(location, number(guess), ESTIMATED)


def number(lesion_type: LesionType) -> int:
    """Coarse_lesion_type."""
    return 1 + tuple(LesionType).index(lesion_type)


def is_noisy(drawn: Drawn, marked: Marked, axial: Axial) -> bool:
    """Whether the lengths that a bookmark states are not those between its points."""
    stated = marked.bookmark.long_axis_mm, marked.bookmark.short_axis_mm
    columns_mm, rows_mm = axial.spacing
    measured = (
        dist(*((column * columns_mm, row * rows_mm) for column, row in axis))
        for axis in (drawn.long_axis, drawn.short_axis)
    )
    pairs = zip(sorted(stated), sorted(measured), strict=True)
    return not all(isclose(a, b, rel_tol=STATED_SHARE, abs_tol=STATED_MM) for a, b in pairs)


def windows(header: Dataset) -> tuple[float, ...]:
    """Lower and upper ends of the display windows of an image, HU."""
    centres, widths = (_listed(header.get(each)) for each in ("WindowCenter", "WindowWidth"))
    pairs = [(c - w / 2, c + w / 2) for c, w in zip(centres, widths, strict=False) if w > 0]
    return tuple(edge for pair in dict.fromkeys(pairs) for edge in pair) or WINDOW


def _listed(value: object) -> Sequence[float]:
    if value is None or value == "":
        return []
    many = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    return [float(each) for each in many]
