"""The images that a report speaks of: geometry and references of one slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import Dataset

from plugin.errors import InvalidReport
from plugin.volume import Slice, Volume

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plugin.bookmark import Bookmark, Box, Point

#: Zero-based pixel centres lie at +0.5 in SCOORD, whose origin is the corner of the first
#: pixel (PS3.3 C.18.6.1.2).
SCOORD_OFFSET = 0.5


@dataclass(frozen=True)
class KeyImage:
    """The instance, or frame of it, that a bookmark was measured in."""

    #: SOP Class UID of the instance.
    sop_class_uid: str
    #: SOP Instance UID of the instance.
    sop_instance_uid: str
    #: Frame of a multi-frame instance, from 1; None for single-frame images.
    frame_number: int | None
    #: Height in pixels.
    rows: int
    #: Width in pixels.
    columns: int
    #: Distance in mm between neighbouring (rows, columns), as Pixel Spacing (0028,0030) has it.
    pixel_spacing: tuple[float, float]
    #: Slope and intercept from stored values to HU.
    rescale: tuple[float, float]

    @property
    def frames(self) -> list[int] | None:
        """Referenced Frame Number (0008,1160); None for single-frame images."""
        return None if self.frame_number is None else [self.frame_number]


def key_image(volume: Volume, bookmark: Bookmark) -> KeyImage:
    """The image of the bookmark's key slice. Raises InvalidReport when it was not analysed."""
    return image_of(volume, Slice(bookmark.sop_instance_uid, bookmark.frame_number))


def key_images(volume: Volume, bookmarks: Iterable[Bookmark]) -> list[KeyImage]:
    """The images of the key slices, each once, in the order of the bookmarks."""
    return list(dict.fromkeys(key_image(volume, bookmark) for bookmark in bookmarks))


def image_of(volume: Volume, place: Slice) -> KeyImage:
    """The image that `place` names. Raises InvalidReport when it was not analysed."""
    check_analysed(volume, place)
    header = headers_by_uid(volume)[place.sop_instance_uid]
    return KeyImage(
        sop_class_uid=str(header.SOPClassUID),
        sop_instance_uid=place.sop_instance_uid,
        frame_number=place.frame_number,
        rows=int(header.Rows),
        columns=int(header.Columns),
        pixel_spacing=pixel_spacing(header, place.frame_number),
        rescale=rescale(header, place.frame_number),
    )


def image_number(volume: Volume, bookmark: Bookmark) -> int:
    """The number by which viewers and people call the key slice in its series.

    It is the frame, or the Instance Number (0020,0013), or, where that is absent, the place
    among the slices, from 1.
    """
    header = headers_by_uid(volume).get(bookmark.sop_instance_uid, Dataset())
    stated = bookmark.frame_number or header.get("InstanceNumber")
    return bookmark.slice_index + 1 if stated is None else int(stated)


def check_analysed(volume: Volume, place: Slice) -> None:
    """Raises InvalidReport when the image that `place` names is none of the volume."""
    if place not in volume.slices:
        frame = "" if place.frame_number is None else f"frame {place.frame_number} of "
        raise InvalidReport(f"{frame}instance {place.sop_instance_uid} is not among those analysed")


def reference(image: KeyImage) -> Dataset:
    """An item of a Referenced or Source Image Sequence (PS3.3 Table 10-3)."""
    item = Dataset()
    item.ReferencedSOPClassUID = image.sop_class_uid
    item.ReferencedSOPInstanceUID = image.sop_instance_uid
    if image.frames:
        item.ReferencedFrameNumber = image.frames
    return item


def first_header(volume: Volume) -> Dataset:
    """The header of the first slice; speaks for the whole series."""
    return next(iter(headers_by_uid(volume).values()))


def headers_by_uid(volume: Volume) -> dict[str, Dataset]:
    """The headers of the volume by SOP Instance UID, in the order of its slices."""
    headers = {str(header.SOPInstanceUID): header for header in volume.headers}
    ordered = dict.fromkeys(place.sop_instance_uid for place in volume.slices)
    return {uid: headers[uid] for uid in ordered if uid in headers} | headers


def pixel_spacing(header: Dataset, frame_number: int | None) -> tuple[float, float]:
    """Distance in mm between neighbouring (rows, columns) of an image or one of its frames.

    Enhanced images keep it in the Pixel Measures Functional Group (PS3.3 C.7.6.16.2.1).
    Raises InvalidReport when the header does not have it.
    """
    spacing = attribute(header, frame_number, "PixelMeasuresSequence", "PixelSpacing")
    if not spacing:
        raise InvalidReport(f"instance {header.SOPInstanceUID} has no Pixel Spacing")
    down, across = spacing
    return float(down), float(across)


def rescale(header: Dataset, frame_number: int | None) -> tuple[float, float]:
    """Slope and intercept from stored values to HU; (1, 0) when the header has none.

    Enhanced images keep it in the Pixel Value Transformation Functional Group
    (PS3.3 C.7.6.16.2.9).
    """
    for holder in _holders(header, frame_number, "PixelValueTransformationSequence"):
        if "RescaleSlope" in holder and "RescaleIntercept" in holder:
            return float(holder.RescaleSlope), float(holder.RescaleIntercept)
    return 1.0, 0.0


def attribute(
    header: Dataset, frame_number: int | None, functional_group: str, keyword: str
) -> list[float] | None:
    """The values of an attribute of an image or one of its frames; None when there are none."""
    for holder in _holders(header, frame_number, functional_group):
        if holder.get(keyword):
            return list(holder[keyword].value)
    return None


def _holders(header: Dataset, frame_number: int | None, functional_group: str) -> list[Dataset]:
    """Where an attribute may stand: per frame, shared by all frames, or in the image itself."""
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or []
    groups = list(per_frame[(frame_number or 1) - 1 : frame_number or 1])
    groups += header.get("SharedFunctionalGroupsSequence") or []
    return [*(item for group in groups for item in group.get(functional_group) or []), header]


def to_scoord(point: Point) -> Point:
    """(column, row) from pixel centres to SCOORD's pixel corners."""
    column, row = point
    return column + SCOORD_OFFSET, row + SCOORD_OFFSET


def from_scoord(point: Point) -> Point:
    """(column, row) from SCOORD's pixel corners to pixel centres."""
    column, row = point
    return column - SCOORD_OFFSET, row - SCOORD_OFFSET


def outline(box: Box) -> tuple[Point, ...]:
    """The closed outline of a box, five (column, row) corners, clockwise on the screen."""
    left, top, right, bottom = box
    return (left, top), (right, top), (right, bottom), (left, bottom), (left, top)
