"""An RT Structure Set's contours (PS3.3 C.8.8.5 and C.8.8.6) -> bookmarks of the outlined tumours.

A region is outlined slice by slice in mm of the patient. Of each slice the largest outline is
measured, on the slice where it is longest; outlines inside others cut holes, which change the
volume and no diameter.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from math import ceil, floor, nan
from typing import TYPE_CHECKING, Final

import numpy as np

from plugin.bookmark import Bookmark
from plugin.errors import InvalidReport
from plugin.measure import diameters_within, longest_within
from plugin.report import authors, sites, tree
from plugin.report.reading import MARKED_BY_HAND, reading
from plugin.uids import derive
from plugin.volume import Slice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pydicom import Dataset

    from plugin.bookmark import Box
    from plugin.report.reading import Reading
    from plugin.report.source import Shown, Source

    Points = NDArray[np.float64]

#: RT ROI Interpreted Type (3006,00A4) of tumours that somebody saw.
GROSS_TUMOUR: Final = "GTV"
#: Names of regions that are lesions where no type is given (GTV as AAPM TG-263 has it).
LESION_NAME: Final = re.compile(r"gtv|itv|lesion|nodule|tumou?r|metasta", re.IGNORECASE)
#: A contour may leave its slice by so much, mm, or by half a slice where slices are thinner.
LARGEST_LIFT_MM: Final = 1.0
#: Fewest corners of an area.
CORNERS: Final = 3


@dataclass(frozen=True)
class _Outline:
    """One contour on its slice."""

    #: The slice.
    image: Shown
    #: Whether it names that slice; False where it only lies in its plane.
    named: bool
    #: Corners, [points, (column, row)] in pixels from 0.
    corners: Points

    @property
    def area_mm2(self) -> float:
        """Area inside, mm2 (shoelace formula)."""
        x, y = self.corners.T
        pixels = abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
        return pixels * self.image.spacing[0] * self.image.spacing[1]

    @property
    def edges(self) -> Points:
        """Sides, [sides, 2 ends, (column, row)]."""
        return np.stack([self.corners, np.roll(self.corners, -1, axis=0)], axis=1)

    def holds(self, point: Points) -> bool:
        """Whether a point (column, row) lies inside: a ray from it crosses the edge oddly often."""
        (x0, y0), (x1, y1) = self.edges.transpose(1, 2, 0)
        across = (y0 > point[1]) != (y1 > point[1])
        at = x0[across] + (point[1] - y0[across]) / (y1 - y0)[across] * (x1 - x0)[across]
        return bool((at > point[0]).sum() % 2)


def read(structures: Dataset, source: Source) -> Reading:
    """The tumours of a structure set, in its order; other regions give remarks.

    Needs the headers of the images. A contour belongs to the image that it names; where that is not
    in the series, to the one of its frame of reference in whose plane it lies, and a remark says
    so. Raises InvalidReport, naming region and contour, for a contour that is not closed and
    planar, lies in another frame of reference, on no image of the series, or outside it.
    """
    contours = {int(c.ReferencedROINumber): c for c in structures.get("ROIContourSequence") or []}
    observations = {
        int(each.ReferencedROINumber): each
        for each in structures.get("RTROIObservationsSequence") or []
    }
    found, remarks = [], []
    for roi in structures.get("StructureSetROISequence") or []:
        number = int(roi.ROINumber)
        where = f"region {number} ({roi.get('ROIName', '')})"
        reason = _reason_to_leave_out(roi, observations.get(number), contours.get(number))
        if reason:
            remarks.append(f"{where} {reason}")
        else:
            outlines = _outlines(contours[number], roi, source, where)
            author = authors.of_roi(structures, roi, observations.get(number))
            found.append((_bookmark(structures, roi, outlines, source), author))
            remarks += _placed_remark(outlines, where)
    return reading(found, remarks)


def _placed_remark(outlines: list[_Outline], where: str) -> list[str]:
    """What is to be known of contours whose images go by other names in this series."""
    others = sum(not each.named for each in outlines)
    if not others:
        return []
    return [f"{where}: {others} of {len(outlines)} contours go by their plane, not by instance"]


def _reason_to_leave_out(
    roi: Dataset, observation: Dataset | None, contour: Dataset | None
) -> str | None:
    """Why a region is no lesion; None when it is one."""
    kind = str(observation.get("RTROIInterpretedType") or "") if observation else ""
    if kind and kind != GROSS_TUMOUR:
        return f"is no lesion but {kind}"
    if not kind and not LESION_NAME.search(str(roi.get("ROIName", ""))):
        return "is not called a lesion"
    if contour is None or not contour.get("ContourSequence"):
        return "has no contour"
    return None


def _outlines(contour: Dataset, roi: Dataset, source: Source, where: str) -> list[_Outline]:
    """The contours of one region on their slices."""
    frame = str(roi.get("ReferencedFrameOfReferenceUID") or "")
    return [
        _outline(each, frame, source, f"{where}, contour {number}")
        for number, each in enumerate(contour.ContourSequence, start=1)
    ]


def _outline(contour: Dataset, frame: str, source: Source, where: str) -> _Outline:
    kind = str(contour.get("ContourGeometricType") or "")
    if kind not in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"):
        raise InvalidReport(f"{where} is {kind or 'of no type'}, not CLOSED_PLANAR")
    values = np.array([float(v) for v in tree.values(contour.get("ContourData"))])
    if len(values) % 3 or len(values) < 3 * CORNERS or not np.isfinite(values).all():
        raise InvalidReport(f"{where}: Contour Data are not {CORNERS} points or more")
    points = values.reshape(-1, 3)
    _check_frame(frame, source, where)
    image = _image(contour, points, frame, source, where)
    if np.abs(image.distances(points)).max() > LARGEST_LIFT_MM:
        raise InvalidReport(f"{where} does not lie in instance {image.place.sop_instance_uid}")
    named = image.place == _named(contour)
    return _Outline(image, named, _inside(image.to_pixels(points), image, where))


def _image(contour: Dataset, points: Points, frame: str, source: Source, where: str) -> Shown:
    """The image that a contour names, else the one in whose plane it lies."""
    place = _named(contour)
    if place in source.shown:
        return source.shown[place]
    near = [
        each
        for each in source.shown.values()
        if each.frame_of_reference == frame
        and np.abs(each.distances(points)).max() <= LARGEST_LIFT_MM
    ]
    if not near:
        named = f"instance {place.sop_instance_uid}" if place else "the image it lies on"
        raise InvalidReport(f"{where}: {named} is not in the series")
    return min(near, key=lambda each: float(np.abs(each.distances(points)).max()))


def _check_frame(frame: str, source: Source, where: str) -> None:
    known = dict.fromkeys(each.frame_of_reference for each in source.shown.values())
    if frame not in known:
        raise InvalidReport(
            f"{where}: its Frame of Reference {frame} is not that of the series, "
            f"{', '.join(known) or 'of which no header is at hand'}"
        )


def _named(contour: Dataset) -> Slice | None:
    """The image that a contour names (Contour Image Sequence, 3006,0016)."""
    for named in contour.get("ContourImageSequence") or []:
        frame = named.get("ReferencedFrameNumber")
        return Slice(str(named.ReferencedSOPInstanceUID), None if frame is None else int(frame))
    return None


def _inside(corners: Points, image: Shown, where: str) -> Points:
    rows, columns = image.shape
    low, high = corners.min(axis=0), corners.max(axis=0)
    if low.min() < -1.0 or high[0] > columns or high[1] > rows:
        raise InvalidReport(
            f"{where} lies outside its image of {columns} x {rows} pixels: columns "
            f"{low[0]:.1f} to {high[0]:.1f}, rows {low[1]:.1f} to {high[1]:.1f}"
        )
    if np.ptp(corners, axis=0).min() == 0 or np.linalg.matrix_rank(corners - corners[0]) < 2:
        raise InvalidReport(f"{where} bounds no area")
    return corners


def _bookmark(
    structures: Dataset, roi: Dataset, outlines: list[_Outline], source: Source
) -> Bookmark:
    by_slice: dict[Slice, list[_Outline]] = defaultdict(list)
    for outline in outlines:
        by_slice[outline.image.place].append(outline)
    largest = [max(same, key=lambda each: each.area_mm2) for same in by_slice.values()]
    key = max(largest, key=lambda each: longest_within(each.edges, *each.image.spacing))
    found = diameters_within(key.edges, *key.image.spacing)
    name = str(roi.get("ROIName", ""))
    reached = [source.index(place, name) for place in by_slice]
    owner = str(structures.get("SOPInstanceUID", ""))
    return Bookmark(
        series_instance_uid=key.image.series_instance_uid,
        sop_instance_uid=key.image.place.sop_instance_uid,
        frame_number=key.image.place.frame_number,
        slice_index=source.index(key.image.place, name),
        long_axis=found.long_axis,
        short_axis=found.short_axis,
        long_axis_mm=found.long_axis_mm,
        short_axis_mm=found.short_axis_mm,
        box=_box(key.corners),
        slice_range=(min(reached), max(reached)),
        lesion_type=sites.of_words(f"{name} {roi.get('ROIDescription', '')}"),
        score=MARKED_BY_HAND,
        tracking_uid=str(roi.get("TrackingUID") or derive(owner, "region", str(roi.ROINumber))),
        mean_hu=nan,
        volume_mm3=_volume(by_slice, source),
    )


def _box(corners: Points) -> Box:
    """Outermost pixels whose centres lie within the reach of an outline; its middle for a dot."""
    edges = []
    for low, high in zip(corners.min(axis=0), corners.max(axis=0), strict=True):
        first, last = ceil(low), floor(high)
        edges.append((first, last) if first <= last else (round((low + high) / 2),) * 2)
    (column0, column1), (row0, row1) = edges
    return float(column0), float(row0), float(column1), float(row1)


def _volume(by_slice: dict[Slice, list[_Outline]], source: Source) -> float:
    """Areas times the distance of slices, mm3; NaN where a single slice does not tell it."""
    first = next(iter(by_slice.values()))[0].image
    heights = np.array([each.height for each in source.of_series(first.series_instance_uid)])
    if len(heights) < 2:
        return nan
    area = sum(area for outlines in by_slice.values() for area in _signed_areas(outlines))
    return float(area * np.median(np.diff(heights)))


def _signed_areas(outlines: list[_Outline]) -> Iterator[float]:
    """Areas on one slice, mm2; negative for holes: outlines inside an odd number of others."""
    for outline in outlines:
        others = (other for other in outlines if other is not outline)
        depth = sum(other.holds(outline.corners[0]) for other in others)
        yield outline.area_mm2 * (-1 if depth % 2 else 1)
