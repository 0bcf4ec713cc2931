"""The rules that a segmentation has to keep."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from pydicom.uid import SegmentationStorage

from plugin.errors import InvalidReport
from plugin.report import images, text
from plugin.report.checks.common import check_origin, referenced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset

    from plugin.report.findings import Findings, Region
    from plugin.volume import Slice, Volume

#: Most that a frame may lie away from its slice, in slices, rows and columns; slices that are not
#: quite equally far apart lie beside the affine of the volume.
POSITION_TOLERANCE = 0.5
#: Most that the volume of a bookmark may differ from that of its voxels.
VOLUME_TOLERANCE = 0.001


def check(segmentations: Sequence[Dataset], findings: Findings) -> None:
    """Refuse voxels that are not those of the lesions. Raises InvalidReport, naming the item."""
    if len(segmentations) != bool(findings.bookmarks):
        raise InvalidReport(f"{len(segmentations)} segmentations of the lesions")
    for segmentation in segmentations:
        check_origin(segmentation, findings, {SegmentationStorage})
        _check_geometry(segmentation, findings.volume)
        _check_segments(segmentation, findings)
        _check_frames(segmentation, findings)
    _check_volumes(findings)


def _check_geometry(segmentation: Dataset, volume: Volume) -> None:
    """Frame of reference and matrix are those of the images; one bit a voxel."""
    header = images.first_header(volume)
    if segmentation.get("FrameOfReferenceUID") != header.get("FrameOfReferenceUID"):
        raise InvalidReport("FrameOfReferenceUID differs from that of the images")
    expected = {
        "Rows": volume.hu.shape[1],
        "Columns": volume.hu.shape[2],
        "SegmentationType": "BINARY",
        "BitsAllocated": 1,
    }
    for keyword, value in expected.items():
        if segmentation.get(keyword) != value:
            raise InvalidReport(f"{keyword} is {segmentation.get(keyword)!r} and not {value!r}")


def _check_segments(segmentation: Dataset, findings: Findings) -> None:
    """One segment a lesion, in their order, under the tracking UIDs of the report."""
    segments = segmentation.get("SegmentSequence") or []
    if [segment.get("SegmentNumber") for segment in segments] != list(
        range(1, len(findings.bookmarks) + 1)
    ):
        raise InvalidReport(f"SegmentSequence has not one segment a lesion ({len(segments)})")
    for number, count in Counter(each.get("TrackingUID") for each in segments).items():
        if count > 1:
            raise InvalidReport(f"TrackingUID {number} is not unique")
    for number, bookmark in enumerate(findings.bookmarks, start=1):
        if segments[number - 1].get("TrackingUID") != bookmark.tracking_uid:
            raise InvalidReport(f"{text.name(number)}: TrackingUID is not that of the lesion")


def _check_frames(segmentation: Dataset, findings: Findings) -> None:
    """Each frame lies where its slice lies and holds the voxels of its lesion there."""
    frames = segmentation.get("PerFrameFunctionalGroupsSequence") or []
    planes = _planes(segmentation, len(frames))
    indices = {place: index for index, place in enumerate(findings.volume.slices)}
    seen: Counter[int] = Counter()
    for frame, plane in zip(frames, planes, strict=True):
        number = _segment_number(frame, segmentation)
        place = _source(frame, findings.volume, text.name(number))
        if place not in indices:
            raise InvalidReport(f"{text.name(number)}: a frame is of no slice that was analysed")
        _check_position(frame, indices[place], findings.volume, text.name(number))
        expected = _voxels(findings.regions[number - 1], indices[place], findings.volume)
        if not np.array_equal(plane, expected):
            raise InvalidReport(f"{text.name(number)}: voxels differ in slice {indices[place]}")
        seen[number] += int(plane.sum())
    for number, region in enumerate(findings.regions, start=1):
        if seen[number] != region.mask.sum() or not seen[number]:
            raise InvalidReport(f"{text.name(number)}: {seen[number]} voxels are segmented")


def _planes(segmentation: Dataset, count: int) -> NDArray[np.bool_]:
    """The frames as [frame, row, column]; they follow each other bit by bit (PS3.5 8.1.1)."""
    shape = count, int(segmentation.Rows), int(segmentation.Columns)
    bits = np.unpackbits(
        np.frombuffer(segmentation.get("PixelData") or b"", np.uint8), bitorder="little"
    )
    if segmentation.get("NumberOfFrames") != count or bits.size < np.prod(shape):
        raise InvalidReport("NumberOfFrames is not that of the PixelData")
    return np.asarray(bits[: np.prod(shape)].reshape(shape), bool)


def _segment_number(frame: Dataset, segmentation: Dataset) -> int:
    """The segment of a frame, which a segmentation of one segment says for all frames."""
    shared = segmentation.get("SharedFunctionalGroupsSequence") or []
    numbers = [
        int(item.ReferencedSegmentNumber)
        for group in (frame, *shared)
        for item in group.get("SegmentIdentificationSequence") or []
    ]
    if len(numbers) != 1 or not 1 <= numbers[0] <= len(segmentation.SegmentSequence):
        raise InvalidReport(f"a frame is of the segments {numbers}")
    return numbers[0]


def _source(frame: Dataset, volume: Volume, where: str) -> Slice:
    """The one image that a frame was segmented on (PS3.3 C.7.6.16.2.6)."""
    items = [
        image
        for derivation in frame.get("DerivationImageSequence") or []
        for image in derivation.get("SourceImageSequence") or []
    ]
    places = referenced(items, volume, where)
    if len(places) != 1:
        raise InvalidReport(f"{where}: a frame has {len(places)} source images")
    return places[0]


def _check_position(frame: Dataset, index: int, volume: Volume, where: str) -> None:
    position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
    found = np.linalg.solve(volume.affine, [*position, 1.0])[:3]  # slice, row, column
    if np.abs(found - (index, 0, 0)).max() > POSITION_TOLERANCE:
        raise InvalidReport(f"{where}: ImagePositionPatient is not that of slice {index}")


def _voxels(region: Region, index: int, volume: Volume) -> NDArray[np.bool_]:
    """The voxels of a lesion in one slice, [row, column]."""
    plane = np.zeros(volume.hu.shape[1:], bool)
    first, row, column = region.offset
    if first <= index < first + len(region.mask):
        mask = region.mask[index - first]
        plane[row : row + mask.shape[0], column : column + mask.shape[1]] = mask
    return plane


def _check_volumes(findings: Findings) -> None:
    """Each bookmark has the volume of its voxels."""
    voxel = abs(np.linalg.det(findings.volume.affine[:3, :3]))
    pairs = zip(findings.bookmarks, findings.regions, strict=True)
    for number, (bookmark, region) in enumerate(pairs, start=1):
        segmented = float(region.mask.sum() * voxel)
        if abs(segmented - bookmark.volume_mm3) > VOLUME_TOLERANCE * segmented:
            raise InvalidReport(
                f"{text.name(number)}: volume is {bookmark.volume_mm3} mm3, "
                f"but its voxels make {segmented:.1f} mm3"
            )
