"""A segmentation: the voxels of every lesion, one segment each, with its tracking UID."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from pydicom import Dataset
from pydicom.valuerep import DS

from plugin.errors import InvalidReport
from plugin.report import codes, equipment, identity, images, provenance, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plugin.bookmark import Bookmark
    from plugin.report.equipment import Model
    from plugin.report.findings import Findings, Region
    from plugin.volume import Volume

#: Groups of elements that say how pixels were acquired and where they lie (PS3.6).
GEOMETRY_GROUPS = (0x0018, 0x0020, 0x0028, 0x5200)
SERIES = provenance.ObjectSeries("segmentations", 13000, "Lesions")


def encode(findings: Findings) -> tuple[Dataset, ...]:
    """One binary Segmentation (PS3.3 A.51); none when there are no bookmarks.

    Raises InvalidReport when the images have no frame of reference to place voxels in, or when
    the volume comes from several multi-frame instances, which one segmentation cannot cover.
    """
    if not findings.bookmarks:
        return ()
    if not images.first_header(findings.volume).get("FrameOfReferenceUID"):
        raise InvalidReport("the images have no Frame of Reference UID")
    volume, regions = findings.volume, findings.regions
    shown = _shown_slices(volume, regions)
    model = equipment.model_of(findings.model)
    segmentation: Dataset = Segmentation(
        source_images=_source_images(volume, shown),
        pixel_array=_pixels(volume, regions, shown),
        segmentation_type="BINARY",
        segment_descriptions=[
            _segment(number, bookmark, model)
            for number, bookmark in enumerate(findings.bookmarks, start=1)
        ],
        **provenance.arguments(findings, SERIES, "segmentation"),
        **provenance.content_arguments(findings),
    )
    provenance.complete(segmentation, findings)
    return (segmentation,)


def _shown_slices(volume: Volume, regions: Sequence[Region]) -> list[int]:
    """Slices to segment: those that lesions reach, or all frames of a multi-frame instance."""
    if volume.slices[0].frame_number is None:
        first = min(region.offset[0] for region in regions)
        last = max(region.offset[0] + len(region.mask) for region in regions)
        return list(range(first, last))
    if len(volume.headers) > 1:
        raise InvalidReport("a segmentation cannot cover several multi-frame instances")
    return sorted(range(len(volume.slices)), key=lambda k: volume.slices[k].frame_number or 0)


def _source_images(volume: Volume, shown: list[int]) -> list[Dataset]:
    """Geometry of the slices, with an identity that highdicom accepts; see `identity.evidence`."""
    headers = images.headers_by_uid(volume)
    names = dict.fromkeys(volume.slices[index].sop_instance_uid for index in shown)
    sources = []
    for uid in names:
        source = Dataset()
        for group in GEOMETRY_GROUPS:
            source.update(headers[uid].group_dataset(group))
        source.update(identity.evidence(headers[uid]))
        source.Modality = "CT"
        if not source.get("SliceThickness"):  # type 2 in CT, type 1 in a segmentation
            source.add_new("SliceThickness", "DS", DS(volume.spacing[0], auto_format=True))
        sources.append(source)
    return sources


def _pixels(volume: Volume, regions: Sequence[Region], shown: list[int]) -> NDArray[np.uint8]:
    """The masks as [shown slice, row, column, segment]."""
    place = {index: position for position, index in enumerate(shown)}
    pixels = np.zeros((len(shown), *volume.hu.shape[1:], len(regions)), np.uint8)
    for segment, region in enumerate(regions):
        first, row, column = region.offset
        _, rows, columns = region.mask.shape
        for index, mask in enumerate(region.mask, start=first):
            target = pixels[place[index], row : row + rows, column : column + columns, segment]
            target[mask] = 1
    return pixels


def _segment(number: int, bookmark: Bookmark, model: Model) -> SegmentDescription:
    return SegmentDescription(
        segment_number=number,
        segment_label=text.name(number),
        segmented_property_category=codes.MORPHOLOGICALLY_ABNORMAL_STRUCTURE,
        segmented_property_type=codes.LESION,
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=model.name, family=codes.ARTIFICIAL_INTELLIGENCE, version=model.version
        ),
        tracking_uid=bookmark.tracking_uid,
        tracking_id=text.name(number),
        anatomic_regions=[codes.SITES[bookmark.lesion_type]],
    )
