"""The rules that presentation states have to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from plugin.errors import InvalidReport
from plugin.report import images, text
from plugin.report.checks.common import check_inside, check_origin, referenced
from plugin.volume import Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from plugin.bookmark import Bookmark, Point
    from plugin.report.findings import Findings
    from plugin.report.images import KeyImage
    from plugin.volume import Volume

#: Points are stored as 32-bit floats; they may differ from the bookmark's by this, pixels.
POINT_TOLERANCE = 0.001
#: Slopes and intercepts are written in at most 16 characters; relative.
RESCALE_TOLERANCE = 1e-6


def check(states: Sequence[Dataset], findings: Findings) -> None:
    """Refuse lines that are not those of the lesions. Raises InvalidReport, naming the item."""
    drawn: dict[str, Dataset] = {}
    for state in states:
        check_origin(state, findings, {GrayscaleSoftcopyPresentationStateStorage})
        shown = _shown(state, findings.volume)
        _check_display(state, shown, findings.volume)
        for annotation in state.get("GraphicAnnotationSequence") or []:
            _check_layer(state, annotation)
            drawn[_tracking_uid(annotation)] = annotation
            _check_referenced(state, annotation, shown, findings.volume)
    if len(drawn) != len(findings.bookmarks):
        raise InvalidReport(f"{len(drawn)} of {len(findings.bookmarks)} lesions are drawn")
    for number, bookmark in enumerate(findings.bookmarks, start=1):
        _check_lesion(drawn.get(bookmark.tracking_uid), number, bookmark, findings.volume)


def _shown(state: Dataset, volume: Volume) -> set[str]:
    """SOP Instance UIDs of the images that the state is for (PS3.3 C.11.11)."""
    shown: set[str] = set()
    for series in state.get("ReferencedSeriesSequence") or []:
        if series.get("SeriesInstanceUID") != volume.series_instance_uid:
            raise InvalidReport("ReferencedSeriesSequence names another series")
        places = referenced(series.get("ReferencedImageSequence"), volume, "presentation state")
        shown.update(place.sop_instance_uid for place in places)
    if not shown:
        raise InvalidReport("ReferencedSeriesSequence names no image")
    return shown


def _check_display(state: Dataset, shown: set[str], volume: Volume) -> None:
    """Every image is shown as a whole and in a window; an item without images is for all."""
    header = images.headers_by_uid(volume)[min(shown)]
    size = [int(header.Columns), int(header.Rows)]
    for keyword in ("DisplayedAreaSelectionSequence", "SoftcopyVOILUTSequence"):
        covered: set[str] = set()
        for item in state.get(keyword) or []:
            places = referenced(item.get("ReferencedImageSequence"), volume, keyword)
            covered |= {place.sop_instance_uid for place in places} or shown
        if covered != shown:
            raise InvalidReport(f"{keyword} does not cover the images")
    for area in state.DisplayedAreaSelectionSequence:
        corners = [list(area.DisplayedAreaTopLeftHandCorner)]
        corners.append(list(area.DisplayedAreaBottomRightHandCorner))
        if corners != [[1, 1], size]:
            raise InvalidReport("DisplayedAreaSelectionSequence does not show the whole image")


def _check_layer(state: Dataset, annotation: Dataset) -> None:
    layers = [item.get("GraphicLayer") for item in state.get("GraphicLayerSequence") or []]
    if annotation.get("GraphicLayer") not in layers:
        raise InvalidReport(f"GraphicLayer {annotation.get('GraphicLayer')} is not declared")


def _tracking_uid(annotation: Dataset) -> str:
    """The one lesion that lines and words of an annotation belong to."""
    items = [*(annotation.get("GraphicObjectSequence") or [])]
    items += annotation.get("TextObjectSequence") or []
    uids = {str(item.get("TrackingUID")) for item in items}
    if len(uids) != 1:
        raise InvalidReport("an annotation does not belong to exactly one lesion")
    return uids.pop()


def _check_referenced(state: Dataset, annotation: Dataset, shown: set[str], volume: Volume) -> None:
    """The annotated images are among those shown, and their values become HU as they say."""
    rescale = float(state.get("RescaleSlope", 0)), float(state.get("RescaleIntercept", 0))
    for place in referenced(annotation.get("ReferencedImageSequence"), volume, "annotation"):
        if place.sop_instance_uid not in shown:
            raise InvalidReport(f"instance {place.sop_instance_uid} is annotated, but not shown")
        if not np.allclose(rescale, images.image_of(volume, place).rescale, RESCALE_TOLERANCE):
            raise InvalidReport(f"Rescale differs from that of {place.sop_instance_uid}")


def _check_lesion(
    annotation: Dataset | None, number: int, bookmark: Bookmark, volume: Volume
) -> None:
    """Lines, box and words of one lesion."""
    where = text.name(number)
    if annotation is None:
        raise InvalidReport(f"{where} is not drawn")
    image = images.key_image(volume, bookmark)
    places = referenced(annotation.get("ReferencedImageSequence"), volume, where)
    if places != [Slice(image.sop_instance_uid, image.frame_number)]:
        raise InvalidReport(f"{where} is not drawn on its key slice alone")
    shapes = {
        "Long Axis": bookmark.long_axis,
        "Short Axis": bookmark.short_axis,
        "box": images.outline(bookmark.box),
    }
    lines = list(annotation.get("GraphicObjectSequence") or [])
    if len(lines) != len(shapes):
        raise InvalidReport(f"{where}: {len(lines)} lines are drawn instead of {len(shapes)}")
    for line, (name, points) in zip(lines, shapes.items(), strict=True):
        _check_line(line, points, image, f"{where}: {name}")
    _check_words(annotation, text.label(number, bookmark), image, where)


def _check_line(line: Dataset, points: Sequence[Point], image: KeyImage, where: str) -> None:
    if (line.get("GraphicType"), line.get("GraphicAnnotationUnits")) != ("POLYLINE", "PIXEL"):
        raise InvalidReport(f"{where} is not a polyline in pixels")
    values = [float(value) for value in line.get("GraphicData") or []]
    drawn = list(zip(values[::2], values[1::2], strict=False))
    check_inside(drawn, image, where)
    expected = [images.to_scoord(point) for point in points]
    if len(values) != 2 * len(expected) or not np.allclose(
        drawn, expected, rtol=0, atol=POINT_TOLERANCE
    ):
        raise InvalidReport(f"{where} is not drawn where it was measured")


def _check_words(annotation: Dataset, label: str, image: KeyImage, where: str) -> None:
    """The label as a viewer shows it, anchored in the image."""
    words = list(annotation.get("TextObjectSequence") or [])
    if [each.get("UnformattedTextValue") for each in words] != [label]:
        raise InvalidReport(f"{where}: the text is not: {label}")
    if words[0].get("AnchorPointAnnotationUnits") != "PIXEL":
        raise InvalidReport(f"{where}: the text is not anchored in pixels")
    column, row = map(float, words[0].AnchorPoint)
    check_inside([(column, row)], image, f"{where}: text")
