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
    from pydicom import Dataset

    from plugin.report.findings import Findings
    from plugin.report.images import KeyImage

SERIES = provenance.ObjectSeries("key objects series", 12000, "Key slices")


def encode(findings: Findings) -> tuple[Dataset, ...]:
    """One Key Object Selection Document (PS3.3 A.35.4); none when there are no bookmarks.

    Raises InvalidReport for an unknown key slice.
    """
    if not findings.bookmarks:
        return ()
    shown = images.key_images(findings.volume, findings.bookmarks)
    headers = images.headers_by_uid(findings.volume)
    uids = sorted({image.sop_instance_uid for image in shown})
    document: Dataset = KeyObjectSelectionDocument(
        evidence=[identity.evidence(headers[uid]) for uid in uids],
        content=_selection(findings, shown),
        **provenance.arguments(findings, SERIES, "key objects"),
    )
    provenance.complete(document, findings)
    for item in document.ContentSequence:
        if item.ValueType == "IMAGE":  # TID 2010 names none of them, highdicom all
            del item.ConceptNameCodeSequence
    return (document,)


def _selection(findings: Findings, shown: list[KeyImage]) -> KeyObjectSelection:
    """Key Object Selection, TID 2010: who chose, why, and the images in the order of lesions."""
    root = ContainerContentItem(name=codes.OF_INTEREST, template_id="2010")
    summary = text.summary(findings.bookmarks, findings.volume)
    root.ContentSequence = ContentSequence(
        [
            *observer(equipment.model_of(findings.model)),
            paragraph(codes.KEY_OBJECT_DESCRIPTION, summary),
            *map(_image_item, shown),
        ]
    )
    return KeyObjectSelection.from_sequence([root])


def _image_item(image: KeyImage) -> ImageContentItem:
    return ImageContentItem(
        name=codes.SOURCE,
        referenced_sop_class_uid=image.sop_class_uid,
        referenced_sop_instance_uid=image.sop_instance_uid,
        referenced_frame_numbers=image.frames,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
