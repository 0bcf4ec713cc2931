"""The bookmark: one measured lesion as a radiologist would mark it.

Pixel coordinates are zero-based (column, row) with integers at pixel centres, in the key
slice as it is stored. DICOM's SCOORD has its origin half a pixel earlier (PS3.3 C.18.6.1.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: One end of an axis: (column, row) in pixels.
Point = tuple[float, float]
#: Two ends of a diameter.
Axis = tuple[Point, Point]
#: Outermost pixels of the lesion in its key slice: (column0, row0, column1, row1).
Box = tuple[float, float, float, float]


class LesionType(StrEnum):
    """The eight coarse lesion types of DeepLesion (Yan et al. 2018), in its numbering from 1."""

    BONE = "bone"
    ABDOMEN = "abdomen"
    MEDIASTINUM = "mediastinum"
    LIVER = "liver"
    LUNG = "lung"
    KIDNEY = "kidney"
    SOFT_TISSUE = "soft tissue"
    PELVIS = "pelvis"


@dataclass(frozen=True)
class Bookmark:
    """One measured lesion in one series."""

    #: Series Instance UID of the images.
    series_instance_uid: str
    #: SOP Instance UID of the key slice, the slice with the longest axis.
    sop_instance_uid: str
    #: Frame of a multi-frame instance, from 1; None for single-frame images.
    frame_number: int | None
    #: Index of the key slice, from 0, ascending along the normal of the slices.
    slice_index: int
    #: Ends of the longest diameter in the key slice (RECIST 1.1).
    long_axis: Axis
    #: Ends of the longest diameter perpendicular to the long axis in the same slice.
    short_axis: Axis
    #: Length of the long axis, mm.
    long_axis_mm: float
    #: Length of the short axis, mm.
    short_axis_mm: float
    #: Bounding box in the key slice.
    box: Box
    #: First and last slice index that the lesion reaches, both included.
    slice_range: tuple[int, int]
    #: Where in the body it lies.
    lesion_type: LesionType
    #: Certainty of the detector, 0 to 1.
    score: float
    #: Names the same lesion over time (Tracking Unique Identifier, 112040 DCM).
    tracking_uid: str
    #: Mean attenuation inside the lesion, HU.
    mean_hu: float
    #: Volume, mm3.
    volume_mm3: float


def to_record(bookmark: Bookmark) -> dict[str, Any]:
    """The bookmark as the JSON record that docs/bookmarks.md describes."""
    record = {name: getattr(bookmark, name) for name in bookmark.__dataclass_fields__}
    return record | {"lesion_type": bookmark.lesion_type.value}


def from_record(record: dict[str, Any]) -> Bookmark:
    """The bookmark of a JSON record. Raises KeyError or ValueError naming what is wrong."""
    start, end = record["long_axis"]
    across_start, across_end = record["short_axis"]
    return Bookmark(
        **record
        | {
            "long_axis": (tuple(start), tuple(end)),
            "short_axis": (tuple(across_start), tuple(across_end)),
            "box": tuple(record["box"]),
            "slice_range": tuple(record["slice_range"]),
            "lesion_type": LesionType(record["lesion_type"]),
        }
    )
