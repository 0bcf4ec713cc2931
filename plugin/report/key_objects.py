"""Key Object Selection: the key slices of all lesions flagged, for viewers that list them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import (
    ContainerContentItem,
    ContentSequence,
    ImageContentItem,
    RelationshipTypeValues,
)

from plugin.report import codes, equipment, identity, images, provenance, text
from plugin.report.content import observer, paragraph

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pydicom import Dataset

    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

#: The Series Number is that of the images plus this.
SERIES_NUMBER_OFFSET = 12000
SERIES_DESCRIPTION = f"Key slices. {text.RESEARCH_USE}"


def encode(
    volume: Volume, bookmarks: Sequence[Bookmark], *, model: str, now: datetime
) -> tuple[Dataset, ...]:
    """One Key Object Selection Document (PS3.3 A.35.4); none when there are no bookmarks.

    Raises InvalidReport for an unknown key slice.
    """
    if not bookmarks:
        return ()
    key_images = {images.key_image(volume, bookmark) for bookmark in bookmarks}
    headers = images.headers_by_uid(volume)
    shown = sorted({image.sop_instance_uid for image in key_images})
    document: Dataset = KeyObjectSelectionDocument(
        evidence=[identity.evidence(headers[uid]) for uid in shown],
        content=_selection(volume, bookmarks, model),
        series_instance_uid=provenance.series_uid(volume, model, "key objects series"),
        series_number=provenance.series_number(volume, SERIES_NUMBER_OFFSET),
        series_description=SERIES_DESCRIPTION,
        sop_instance_uid=provenance.instance_uid(volume, model, "key objects"),
        instance_number=1,
        manufacturer=equipment.DEVICE_NAME,
        content_qualification="RESEARCH",
    )
    provenance.complete(document, volume, model, now)
    for item in document.ContentSequence:
        if item.ValueType == "IMAGE":  # TID 2010 names none of them, highdicom all
            del item.ConceptNameCodeSequence
    return (document,)


def _selection(volume: Volume, bookmarks: Sequence[Bookmark], model: str) -> KeyObjectSelection:
    """Key Object Selection, TID 2010: who chose, why, and the images in the order of lesions."""
    root = ContainerContentItem(name=codes.OF_INTEREST, template_id="2010")
    shown = dict.fromkeys(images.key_image(volume, bookmark) for bookmark in bookmarks)
    root.ContentSequence = ContentSequence(
        [
            *observer(equipment.model_of(model)),
            paragraph(codes.KEY_OBJECT_DESCRIPTION, text.summary(bookmarks)),
            *map(_image_item, shown),
        ]
    )
    return KeyObjectSelection.from_sequence([root])


def _image_item(image: images.KeyImage) -> ImageContentItem:
    return ImageContentItem(
        name=codes.SOURCE,
        referenced_sop_class_uid=image.sop_class_uid,
        referenced_sop_instance_uid=image.sop_instance_uid,
        referenced_frame_numbers=image.frames,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
