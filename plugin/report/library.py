"""The Image Library (TID 1600): every instance that was analysed, in the order of the slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    ImageContentItem,
    NumContentItem,
    RelationshipTypeValues,
    UIDRefContentItem,
)

from plugin.report import codes, images

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.sr.coding import Code

    from plugin.volume import Volume

ACQUIRED = RelationshipTypeValues.HAS_ACQ_CONTEXT


def image_library(volume: Volume) -> list[ContainerContentItem]:
    """The library as one group: what the images share, then a reference to each.

    highdicom's `ImageLibrary` repeats every descriptor for each image and cannot describe
    Enhanced images, which keep their geometry in functional groups.
    """
    headers = list(images.headers_by_uid(volume).values())
    group = ContainerContentItem(
        name=codes.IMAGE_LIBRARY_GROUP, relationship_type=RelationshipTypeValues.CONTAINS
    )
    group.ContentSequence = ContentSequence(
        [*_shared(headers[0], volume.slices[0].frame_number), *map(_entry, headers)]
    )
    library = ContainerContentItem(
        name=codes.IMAGE_LIBRARY, relationship_type=RelationshipTypeValues.CONTAINS
    )
    library.ContentSequence = ContentSequence([group])
    return [library]


def _entry(header: Dataset) -> ImageContentItem:
    return ImageContentItem(
        name=codes.SOURCE,
        referenced_sop_class_uid=header.SOPClassUID,
        referenced_sop_instance_uid=header.SOPInstanceUID,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )


def _shared(header: Dataset, frame_number: int | None) -> list[ContentItem]:
    """Image Library Entry Descriptors (TID 1602, 1604) that hold for all images."""
    down, across = images.pixel_spacing(header, frame_number)
    items: list[ContentItem] = [CodeContentItem(codes.MODALITY, codes.CT, ACQUIRED)]
    if header.get("FrameOfReferenceUID"):
        uid = header.FrameOfReferenceUID
        items.append(UIDRefContentItem(codes.FRAME_OF_REFERENCE_UID, uid, ACQUIRED))
    return [
        *items,
        _number(codes.PIXEL_DATA_ROWS, int(header.Rows), codes.PIXELS),
        _number(codes.PIXEL_DATA_COLUMNS, int(header.Columns), codes.PIXELS),
        _number(codes.HORIZONTAL_PIXEL_SPACING, across, codes.MILLIMETRE),
        _number(codes.VERTICAL_PIXEL_SPACING, down, codes.MILLIMETRE),
    ]


def _number(name: Code, value: float, unit: Code) -> NumContentItem:
    return NumContentItem(name, value, unit, relationship_type=ACQUIRED)
