"""The Image Library (TID 1600): every instance that was analysed, in the order of the slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from highdicom.sr import (
    CodeContentItem,
    ContentItem,
    NumContentItem,
    RelationshipTypeValues,
    UIDRefContentItem,
)
from pydicom import Dataset

from plugin.report import codes, images, tree

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

    from plugin.volume import Volume

ACQUIRED = RelationshipTypeValues.HAS_ACQ_CONTEXT


def image_library(volume: Volume) -> Dataset:
    """The library as one group: what the images share, then a reference to each.

    Plain data sets: highdicom's `ImageLibrary` repeats every descriptor for each image and
    cannot describe Enhanced images, which keep their geometry in functional groups.
    """
    headers = list(images.headers_by_uid(volume).values())
    shared = _shared(headers[0], volume.slices[0].frame_number)
    group = _container(codes.IMAGE_LIBRARY_GROUP, [*shared, *map(_entry, headers)])
    return _container(codes.IMAGE_LIBRARY, [group])


def insert_library(document: Dataset, volume: Volume) -> None:
    """Put the library of the volume before the measurements of a report (TID 1500, row 5).

    Done when the report is built: highdicom copies and searches whatever tree it is given,
    which for a thousand images takes longer than all the rest.
    """
    items = document.ContentSequence
    place = next(
        i for i, item in enumerate(items) if tree.is_named(item, codes.IMAGING_MEASUREMENTS)
    )
    document.ContentSequence = [*items[:place], image_library(volume), *items[place:]]


def _entry(header: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = header.SOPClassUID
    reference.ReferencedSOPInstanceUID = header.SOPInstanceUID
    entry = _item("IMAGE", codes.SOURCE)
    entry.ReferencedSOPSequence = [reference]
    return entry


def _container(name: Code, items: list[Dataset]) -> Dataset:
    container = _item("CONTAINER", name)
    container.ContinuityOfContent = "CONTINUOUS"
    container.ContentSequence = items
    return container


def _item(value_type: str, name: Code) -> Dataset:
    """What every content item has (PS3.3 Table C.17-5)."""
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = value_type
    item.ConceptNameCodeSequence = [codes.item(name)]
    return item


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
