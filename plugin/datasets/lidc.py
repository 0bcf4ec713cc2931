"""LIDC-IDRI: the XML in which four readers outlined the nodules of one series (Armato et al. 2011).

A reader outlines nodules of 3 mm or more on each slice and rates them, and marks smaller nodules
and other findings with a point. The pixels of an outline lie just outside the nodule; an outline
with inclusion FALSE cuts a hole. Coordinates are (column, row) in pixels from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from plugin.datasets.errors import InvalidDataset

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Namespace of the readers' XML for CT.
NAMESPACE = {"lidc": "http://www.nih.gov"}
#: What a reader rates, 1 to 5 (calcification 1 to 6), in the order of the XML.
CHARACTERISTICS = (
    "subtlety",
    "internalStructure",
    "calcification",
    "sphericity",
    "margin",
    "lobulation",
    "spiculation",
    "texture",
    "malignancy",
)


@dataclass(frozen=True)
class Outline:
    """What one reader drew on one slice."""

    #: SOP Instance UID of the slice.
    sop_instance_uid: str
    #: Place of the slice along the patient, mm (z in LPS).
    z_mm: float
    #: Whether it bounds the nodule; False where it bounds a hole.
    inclusion: bool
    #: Pixels along it, [points, (column, row)].
    points: NDArray[np.int64]

    def longest_px(self) -> float:
        """Distance of its two farthest points, pixels."""
        if len(self.points) < 2:
            return 0.0
        try:
            corners = self.points[ConvexHull(self.points).vertices]
        except QhullError:  # all points on a line
            corners = self.points
        return float(pdist(corners).max())


@dataclass(frozen=True)
class Nodule:
    """One nodule as one reader sees it."""

    #: Name that the reader gave it.
    name: str
    #: Which reader of the series, from 0.
    reader: int
    #: Ratings in the order of CHARACTERISTICS; None for nodules under 3 mm.
    ratings: tuple[int, ...] | None
    #: Outlines, not empty; a single point where the nodule is under 3 mm.
    outlines: tuple[Outline, ...]

    @property
    def small(self) -> bool:
        """Whether it is under 3 mm: marked with a point and not rated."""
        return self.ratings is None

    def diameter_mm(self, pixel_mm: float) -> float:
        """Longest distance of two points of an outline; pixels are `pixel_mm` apart."""
        return max(o.longest_px() for o in self.outlines if o.inclusion) * pixel_mm


@dataclass(frozen=True)
class OtherFinding:
    """A finding of 3 mm or more that a reader does not take for a nodule."""

    #: Name that the reader gave it.
    name: str
    #: Which reader of the series, from 0.
    reader: int
    #: Its middle: a single point.
    outline: Outline


@dataclass(frozen=True)
class Reading:
    """Everything that the readers of one series marked."""

    #: Series Instance UID.
    series_instance_uid: str
    #: Readers, also those who found nothing.
    readers: int
    #: Of all readers, reader by reader.
    nodules: tuple[Nodule, ...]
    #: Of all readers, reader by reader.
    others: tuple[OtherFinding, ...]


def read_lidc(path: Path) -> Reading:
    """The readers' marks of one series.

    Raises InvalidDataset naming the file and reader, nodule and element.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InvalidDataset(f"{path}: {error}") from error
    if root.tag != f"{{{NAMESPACE['lidc']}}}LidcReadMessage":
        raise InvalidDataset(f"{path}: is no LidcReadMessage of CT")
    sessions = root.findall("lidc:readingSession", NAMESPACE)
    nodules, others = [], []
    for reader, session in enumerate(sessions):
        where = f"{path}: reader {reader + 1}"
        nodules += [
            _nodule(element, reader, where)
            for element in session.findall("lidc:unblindedReadNodule", NAMESPACE)
        ]
        others += [
            _other(element, reader, where)
            for element in session.findall("lidc:nonNodule", NAMESPACE)
        ]
    uid = _text(root, "lidc:ResponseHeader/lidc:SeriesInstanceUid", str(path))
    return Reading(uid, len(sessions), tuple(nodules), tuple(others))


def _nodule(element: ElementTree.Element, reader: int, where: str) -> Nodule:
    name = _text(element, "lidc:noduleID", where)
    where = f"{where}, nodule {name}"
    rated = element.find("lidc:characteristics", NAMESPACE)
    outlines = tuple(_outline(roi, where) for roi in element.findall("lidc:roi", NAMESPACE))
    if not any(outline.inclusion for outline in outlines):
        raise InvalidDataset(f"{where}: has no outline")
    ratings = None
    # Some readers rated nothing but wrote the element down for a point.
    if rated is not None and len(rated):
        ratings = tuple(_integer(rated, f"lidc:{each}", where) for each in CHARACTERISTICS)
    return Nodule(name, reader, ratings, outlines)


def _outline(roi: ElementTree.Element, where: str) -> Outline:
    points = [
        (_integer(point, "lidc:xCoord", where), _integer(point, "lidc:yCoord", where))
        for point in roi.findall("lidc:edgeMap", NAMESPACE)
    ]
    if not points:
        raise InvalidDataset(f"{where}: an outline has no edgeMap")
    inclusion = _text(roi, "lidc:inclusion", where).upper()
    if inclusion not in ("TRUE", "FALSE"):
        raise InvalidDataset(f"{where}: inclusion {inclusion!r} is neither TRUE nor FALSE")
    return _placed(roi, points, where, inclusion=inclusion == "TRUE")


def _other(element: ElementTree.Element, reader: int, where: str) -> OtherFinding:
    name = _text(element, "lidc:nonNoduleID", where)
    where = f"{where}, non-nodule {name}"
    x, y = (_integer(element, f"lidc:locus/lidc:{axis}Coord", where) for axis in "xy")
    return OtherFinding(name, reader, _placed(element, [(x, y)], where, inclusion=True))


def _placed(
    element: ElementTree.Element, points: list[tuple[int, int]], where: str, *, inclusion: bool
) -> Outline:
    """An outline on the slice that its element names."""
    text = _text(element, "lidc:imageZposition", where)
    z_mm = _number(text)
    if not isfinite(z_mm):
        raise InvalidDataset(f"{where}: imageZposition {text!r} is not a number")
    uid = _text(element, "lidc:imageSOP_UID", where)
    return Outline(uid, z_mm, inclusion, np.array(points, np.int64))


def _number(text: str) -> float:
    """Not a number where the text is none."""
    try:
        return float(text)
    except ValueError:
        return nan


def _text(element: ElementTree.Element, path: str, where: str) -> str:
    """Text of an element that must be there."""
    text = (element.findtext(path, "", NAMESPACE) or "").strip()
    if not text:
        raise InvalidDataset(f"{where}: {path.rpartition(':')[2]} is missing")
    return text


def _integer(element: ElementTree.Element, path: str, where: str) -> int:
    text = _text(element, path, where)
    try:
        return int(text)
    except ValueError as error:
        name = path.rpartition(":")[2]
        raise InvalidDataset(f"{where}: {name} {text!r} is not a whole number") from error
