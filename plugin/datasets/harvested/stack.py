"""CT images of a study -> one stack of axial slices a series, from head to feet.

A data set in the layout of DeepLesion says nothing of how a slice lies, so all of them are turned
to the patient lying on the back, seen from the feet: columns from right to left of the patient,
rows from front to back. Only whole rows and columns are turned round; no value changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plugin.planes import GAP_TOLERANCE, GAP_TOLERANCE_MM, SAME_POSITION_MM
from plugin.volume import attenuation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.bookmark import Axis, Point
    from plugin.planes import Plane

#: Cosine of the largest angle at which a slice is still axial; gantries tilt by up to 30 degrees.
AXIAL = 0.85
#: DeepLesion gives the slices that are this near to a key slice, mm.
REACH_MM = 30.0


@dataclass(frozen=True)
class Axial:
    """One axial slice in the common orientation."""

    #: Where it came from.
    plane: Plane

    @property
    def height(self) -> float:
        """Place along the normal, from head to feet, mm."""
        normal = self.plane.normal
        return -float(self.plane.position @ normal) * (1 if normal[2] > 0 else -1)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return int(self.plane.header.Columns), int(self.plane.header.Rows)

    @property
    def turned(self) -> tuple[bool, bool]:
        """Whether (columns, rows) run against the common orientation."""
        return bool(self.plane.orientation[0] < 0), bool(self.plane.orientation[4] < 0)

    @property
    def spacing(self) -> tuple[float, float]:
        """Distance of neighbouring (columns, rows), mm."""
        rows_mm, columns_mm = self.plane.pixel_spacing
        return columns_mm, rows_mm

    def hu(self) -> NDArray[np.float32]:
        """Attenuation in HU, [row, column]. Raises UnsuitableSeries when it cannot be decoded."""
        image = attenuation([self.plane])[0]
        columns, rows = self.turned
        return np.asarray(image[:: -1 if rows else 1, :: -1 if columns else 1])

    def axis(self, axis: Axis) -> Axis:
        """An axis of the stored slice in the common orientation, pixels from 0."""
        start, end = axis
        return self._point(start), self._point(end)

    def _point(self, point: Point) -> Point:
        column, row = (
            size - 1 - value if turned else value
            for value, size, turned in zip(point, self.size, self.turned, strict=True)
        )
        return column, row


@dataclass(frozen=True)
class Stack:
    """The axial slices of one series that are alike, from head to feet."""

    #: One slice a position.
    slices: tuple[Axial, ...]
    #: Distance of neighbouring slices, mm; None for a single one that does not tell it.
    step: float | None
    #: Whether neighbouring slices tell it, not the header of one.
    step_measured: bool
    #: What the slices have in common.
    kind: str

    def index(self, sop_instance_uid: str, frame_number: int | None) -> int | None:
        """Where an image lies in the stack; None where it is not in it."""
        for index, each in enumerate(self.slices):
            if (each.plane.uid, each.plane.frame_number) == (sop_instance_uid, frame_number):
                return index
        return None

    def around(self, index: int) -> range:
        """The slices not farther than `REACH_MM` from one, without gaps."""
        first = last = index
        while first > 0 and self._reaches(first - 1, first, index):
            first -= 1
        while last + 1 < len(self.slices) and self._reaches(last, last + 1, index):
            last += 1
        return range(first, last + 1)

    def _reaches(self, upper: int, lower: int, index: int) -> bool:
        heights = [self.slices[each].height for each in (upper, lower, index)]
        gap = heights[1] - heights[0]
        away = max(abs(height - heights[2]) for height in heights)
        step = self.step or gap
        regular = abs(gap - step) <= max(GAP_TOLERANCE_MM, GAP_TOLERANCE * step)
        return regular and away <= REACH_MM + SAME_POSITION_MM


def reason_to_leave_out(plane: Plane) -> str | None:
    """Why a slice cannot enter; None when it can."""
    along, down = plane.orientation[0], plane.orientation[4]
    if abs(plane.normal[2]) < AXIAL or min(abs(along), abs(down)) < AXIAL:
        return "is not axial"
    if str(plane.header.get("BurnedInAnnotation") or "").strip() == "YES":
        return "has burned-in annotation"
    if not min(plane.pixel_spacing) > 0:
        return "has no pixel spacing"
    return None


def stack_around(key: Plane, planes: Sequence[Plane]) -> Stack:
    """The stack that a key slice belongs to: the slices of its series that are like it.

    Where several lie in one position, the key slice counts, then the first acquisition.
    """
    alike = [Axial(plane) for plane in planes if _kind(plane) == _kind(key)]
    alike.sort(key=lambda each: (each.height, each.plane is not key, each.plane.rank))
    kept: list[Axial] = []
    for each in alike:
        if kept and each.height - kept[-1].height <= SAME_POSITION_MM:
            if each.plane is key:
                kept[-1] = each
        else:
            kept.append(each)
    gap, stated = _gap(kept), _stated_gap(kept[0])
    return Stack(tuple(kept), gap or stated, gap is not None, repr(_kind(key)))


def _kind(plane: Plane) -> tuple[object, ...]:
    directions = (plane.orientation.round(3) + 0.0).tolist()
    header = plane.header
    frame = str(header.get("FrameOfReferenceUID") or "")
    spacing = [round(mm, 4) for mm in plane.pixel_spacing]
    return int(header.Rows), int(header.Columns), *spacing, *directions, frame


def _gap(slices: Sequence[Axial]) -> float | None:
    """The usual distance of slices that are near each other, mm."""
    gaps = np.diff([each.height for each in slices])
    near = gaps[gaps <= REACH_MM]
    return float(np.median(near)) if len(near) else None


def _stated_gap(axial: Axial) -> float | None:
    """The distance of slices by the header, mm."""
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        stated = axial.plane.header.get(keyword)
        if stated and float(stated) > 0:
            return float(stated)
    return None
