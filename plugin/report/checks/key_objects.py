"""The rules that a Key Object Selection has to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.uid import KeyObjectSelectionDocumentStorage

from plugin.errors import InvalidReport
from plugin.report import codes, images, text, tree
from plugin.report.checks.common import check_origin, hierarchical, referenced
from plugin.volume import Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from plugin.report.findings import Findings


def check(selections: Sequence[Dataset], findings: Findings) -> None:
    """Refuse a selection of other images than the key slices. Raises InvalidReport."""
    if len(selections) != bool(findings.bookmarks):
        raise InvalidReport(f"{len(selections)} selections of {len(findings.bookmarks)} lesions")
    for selection in selections:
        check_origin(selection, findings, {KeyObjectSelectionDocumentStorage})
        _check_context(selection)
        _check_images(selection, findings)
        _check_evidence(selection)


def _check_context(selection: Dataset) -> None:
    """Title, observer and the reason in words are there."""
    if not tree.is_named(selection, codes.OF_INTEREST):
        raise InvalidReport("the title is not Of Interest (113000)")
    tree.coded(tree.one(selection, codes.OBSERVER_TYPE, "the selection"), "Observer Type")
    observer = tree.one(selection, codes.DEVICE_OBSERVER_UID, "the selection")
    tree.text(observer, "Device Observer UID")
    words = tree.text(tree.one(selection, codes.KEY_OBJECT_DESCRIPTION, "the selection"), "it")
    if text.RESEARCH_USE not in words:
        raise InvalidReport(f"Key Object Description does not say: {text.RESEARCH_USE}")


def _check_images(selection: Dataset, findings: Findings) -> None:
    """The images are the key slices, in the order of the lesions (PS3.16 TID 2010)."""
    items = [item for item in tree.content(selection) if item.get("ValueType") == "IMAGE"]
    if any("ConceptNameCodeSequence" in item for item in items):
        raise InvalidReport("an IMAGE item has a concept name")
    shown = [
        place
        for item in items
        for place in referenced(item.get("ReferencedSOPSequence"), findings.volume, "key image")
    ]
    expected = images.key_images(findings.volume, findings.bookmarks)
    if shown != [Slice(image.sop_instance_uid, image.frame_number) for image in expected]:
        raise InvalidReport("the selected images are not the key slices of the lesions")


def _check_evidence(selection: Dataset) -> None:
    """The evidence lists the images that are selected, and no others."""
    listed = hierarchical(selection, "CurrentRequestedProcedureEvidenceSequence")
    shown = {uid for item in tree.content(selection) for uid in tree.referenced_uids(item)}
    for uid in sorted(shown ^ set(listed)):
        wrong = "is not in the evidence" if uid in shown else "is evidence, but not selected"
        raise InvalidReport(f"instance {uid} {wrong}")
