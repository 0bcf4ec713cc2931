"""A presentation state's graphics (PS3.3 C.10.5) -> bookmarks.

Lines and words are laid over images and say nothing of what they measure. Two lines that cross as
axes do are the axes of a lesion, whatever annotation and layer they are in; a closed shape around
them is its box, and the words beside them may name its site. A single line, an arrow, a shape or
a text alone is no bookmark.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Final

from plugin.errors import InvalidReport
from plugin.measure import length
from plugin.report import authors, crossing, images, sites, tree
from plugin.report.drawn import Cross, around, bookmark
from plugin.report.reading import reading
from plugin.volume import Slice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

    from plugin.bookmark import Axis, Bookmark, Box, Point
    from plugin.report.authors import Author
    from plugin.report.reading import Reading
    from plugin.report.source import Source

#: Graphic Annotation Units (0070,0005) that count pixels of the image from the corner of the first.
PIXEL_UNITS: Final = frozenset({"PIXEL", "MATRIX"})
#: Graphic Types (0070,0023) that are closed whatever their points.
CLOSED: Final = frozenset({"ELLIPSE", "CIRCLE"})


@dataclass(frozen=True)
class _Graphic:
    """One graphic on one image."""

    #: The image.
    place: Slice
    #: POINT, POLYLINE, INTERPOLATED, CIRCLE or ELLIPSE.
    kind: str
    #: (column, row) in pixels from 0.
    points: tuple[Point, ...]
    #: The words of its annotation.
    words: str
    #: Tracking UID (0062,0021); empty where none is given.
    tracking_uid: str

    @property
    def is_line(self) -> bool:
        """Whether it is straight from one point to another one."""
        return self.kind == "POLYLINE" and len(self.points) == 2

    @property
    def is_closed(self) -> bool:
        """Whether it goes around something."""
        drawn = self.kind in ("POLYLINE", "INTERPOLATED") and len(self.points) > 3
        return self.kind in CLOSED or (drawn and self.points[0] == self.points[-1])

    @property
    def axis(self) -> Axis:
        """The ends of a line."""
        return self.points[0], self.points[1]

    @property
    def extent(self) -> Box:
        """The box around it."""
        if self.kind == "CIRCLE":
            centre, rim = self.points
            radius = length((centre, rim), 1.0, 1.0)
            (column, row) = centre
            return column - radius, row - radius, column + radius, row + radius
        return around(self.points)


def read(state: Dataset, source: Source) -> Reading:
    """The bookmarks of a presentation state, image by image; all else gives remarks.

    The words may name a site; without one it is soft tissue. Graphics in units of the display count
    where the display shows the image as it is stored. Raises InvalidReport, naming annotation and
    graphic, for data that are no graphics.
    """
    found: list[tuple[Bookmark, Author]] = []
    remarks: list[str] = []
    graphics = [replace(each, place=source.known(each.place)) for each in _graphics(state, remarks)]
    author = authors.of_presentation_state(state)
    for place in dict.fromkeys(each.place for each in graphics):
        on_image = [each for each in graphics if each.place == place]
        if place in source.shown:
            marks, others = _bookmarks(on_image, source, str(state.SOPInstanceUID))
            found += [(mark, author) for mark in marks]
            remarks += others
        else:
            remarks.append(f"instance {place.sop_instance_uid} with graphics is not at hand")
    return reading(found, remarks)


def _bookmarks(
    graphics: list[_Graphic], source: Source, owner: str
) -> tuple[list[Bookmark], list[str]]:
    """The lesions of one image, and a remark on each graphic that belongs to none."""
    place = graphics[0].place
    where = f"instance {place.sop_instance_uid}"
    lines = [each for each in graphics if each.is_line]
    shapes = [each for each in graphics if each.is_closed]
    spacing = source.spacing(place, where)
    pairs = crossing.pairs([line.axis for line in lines], spacing)
    crosses = [_cross(lines[i], lines[j], shapes) for i, j in pairs]
    marks = [bookmark(cross, source, owner, where) for cross in crosses]
    used = {index for pair in pairs for index in pair}
    remarks = [
        f"{where}: a line of {length(line.axis, *spacing):.1f} mm crosses no other as an axis does"
        for index, line in enumerate(lines)
        if index not in used
    ]
    boxes = [cross.box for cross in crosses]
    remarks += [
        f"{where}: {each.kind} of {len(each.points)} points has no axes"
        for each in graphics
        if not each.is_line and each.extent not in boxes
    ]
    return marks, remarks


def _cross(long_line: _Graphic, short_line: _Graphic, shapes: list[_Graphic]) -> Cross:
    axes = long_line.axis, short_line.axis
    return Cross(
        place=long_line.place,
        long_axis=long_line.axis,
        short_axis=short_line.axis,
        lengths_mm=None,
        box=_box(around(*axes), shapes),
        lesion_type=sites.of_words(" ".join((long_line.words, short_line.words))),
        tracking_uid=long_line.tracking_uid,
    )


def _box(axes: Box, shapes: list[_Graphic]) -> Box | None:
    """The smallest shape around the middle of the axes that is no smaller than the half of them."""
    column, row = (axes[0] + axes[2]) / 2, (axes[1] + axes[3]) / 2
    around_it = [
        each.extent
        for each in shapes
        if each.extent[0] < column < each.extent[2]
        and each.extent[1] < row < each.extent[3]
        and 2 * _area(each.extent) >= _area(axes)
    ]
    return min(around_it, key=_area, default=None)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _graphics(state: Dataset, remarks: list[str]) -> Iterator[_Graphic]:
    for number, annotation in enumerate(state.get("GraphicAnnotationSequence") or [], start=1):
        words = " ".join(
            str(text.get("UnformattedTextValue", ""))
            for text in annotation.get("TextObjectSequence") or []
        )
        drawn = annotation.get("GraphicObjectSequence") or []
        if words and not drawn:
            remarks.append(f"annotation {number}: words without graphics")
        for place in _places(state, annotation):
            for index, graphic in enumerate(drawn, start=1):
                where = f"annotation {number}, graphic {index}"
                points = _points(state, graphic, place, where)
                if points is None:
                    remarks.append(f"{where}: is drawn on the display, not on the image")
                else:
                    uid = str(graphic.get("TrackingUID") or "")
                    yield _Graphic(place, str(graphic.GraphicType), points, words, uid)


def _places(state: Dataset, annotation: Dataset) -> Iterator[Slice]:
    """The images of an annotation; all of the state where it names none (PS3.3 C.10.5)."""
    named = annotation.get("ReferencedImageSequence") or [
        image
        for series in state.get("ReferencedSeriesSequence") or []
        for image in series.get("ReferencedImageSequence") or []
    ]
    for image in named:
        uid = str(image.ReferencedSOPInstanceUID)
        for frame in tree.values(image.get("ReferencedFrameNumber")) or [None]:
            yield Slice(uid, None if frame is None else int(frame))


def _points(state: Dataset, graphic: Dataset, place: Slice, where: str) -> tuple[Point, ...] | None:
    """Points from 0, (column, row) at pixel centres; None where the display cannot be undone."""
    kind = str(graphic.get("GraphicType") or "")
    values = [float(value) for value in tree.values(graphic.get("GraphicData"))]
    if not values or len(values) % 2 or not all(map(isfinite, values)):
        raise InvalidReport(f"{where}: {kind} has no points but {values}")
    if kind == "CIRCLE" and len(values) != 4:
        raise InvalidReport(f"{where}: CIRCLE must have 2 points, not {len(values) // 2}")
    points = tuple(zip(values[::2], values[1::2], strict=True))
    if str(graphic.get("GraphicAnnotationUnits")) not in PIXEL_UNITS:
        area = _displayed_area(state, place)
        if area is None:
            return None
        points = tuple(_on_image(point, area) for point in points)
    return tuple(images.from_scoord(point) for point in points)


def _on_image(point: Point, area: Box) -> Point:
    """A fraction of the displayed area -> the image, from the corner of its first pixel."""
    column0, row0, column1, row1 = area
    return column0 + point[0] * (column1 - column0), row0 + point[1] * (row1 - row0)


def _displayed_area(state: Dataset, place: Slice) -> Box | None:
    """Corners of the area in which an image is shown (PS3.3 C.10.4), pixels from the first corner.

    None where the image is turned or not shown by this state.
    """
    if state.get("ImageRotation") or state.get("ImageHorizontalFlip") == "Y":
        return None
    for area in state.get("DisplayedAreaSelectionSequence") or []:
        named = [str(i.ReferencedSOPInstanceUID) for i in area.get("ReferencedImageSequence") or []]
        if not named or place.sop_instance_uid in named:
            column0, row0 = map(int, area.DisplayedAreaTopLeftHandCorner)
            column1, row1 = map(int, area.DisplayedAreaBottomRightHandCorner)
            return column0 - 1.0, row0 - 1.0, float(column1), float(row1)
    return None
