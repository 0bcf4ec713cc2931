"""Bookmarks -> one SR instance, complete with file meta information."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from highdicom.sr import Comprehensive3DSR, ComprehensiveSR, EnhancedSR
from pydicom import DataElement, Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
)

from plugin.report import codes, equipment, identity, images, provenance, text
from plugin.report.check import check
from plugin.report.content import measurement_report
from plugin.report.library import insert_library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from plugin.bookmark import Bookmark
    from plugin.volume import Volume

#: The SOP classes a report can have; its tree is valid in each (PS3.3 A.35).
SOP_CLASSES = {
    Comprehensive3DSRStorage: Comprehensive3DSR,
    ComprehensiveSRStorage: ComprehensiveSR,
    EnhancedSRStorage: EnhancedSR,
}
#: A report's Series Number is that of the images plus this.
SERIES_NUMBER_OFFSET = 9000
SERIES_DESCRIPTION = f"Lesions. {text.RESEARCH_USE}"


def encode(
    volume: Volume,
    bookmarks: Sequence[Bookmark],
    *,
    model: str,
    earlier_report: Path | None,
    now: datetime,
    sop_class: UID = Comprehensive3DSRStorage,
) -> Dataset:
    """The report of the bookmarks: a Measurement Report (PS3.16 TID 1500), already checked.

    `model` is the name and version of the detector, `now` becomes the content date and time.
    The same instances, model and SOP class give the same SOP Instance UID. `earlier_report`
    is the SR of an earlier state of the same series, which this one replaces.
    Raises InvalidReport, naming the item, when the bookmarks cannot be reported truthfully.
    """
    earlier = None if earlier_report is None else dcmread(earlier_report)
    document = _document(volume, bookmarks, model, earlier, UID(sop_class))
    insert_library(document, volume)
    provenance.complete(document, volume, model, now)
    _mark_replaced(document)
    check(document, volume)
    return document


def in_class(
    document: Dataset, sop_class: UID, volume: Volume, model: str, earlier_report: Path | None
) -> Dataset:
    """The same report in another of `SOP_CLASSES`, for peers that do not accept this one.

    `document` is what `encode` gave for the same volume and model; `earlier_report` is the
    replaced report in that other class.
    """
    other = Dataset()
    other.update(document)
    other.file_meta = FileMetaDataset()
    other.file_meta.update(document.file_meta)
    uid = provenance.instance_uid(volume, model, "report", sop_class)
    for holder, prefix in ((other, ""), (other.file_meta, "MediaStorage")):
        # New elements: those of `document` are shared, and must stay as they are.
        holder[f"{prefix}SOPClassUID"] = DataElement(f"{prefix}SOPClassUID", "UI", sop_class)
        holder[f"{prefix}SOPInstanceUID"] = DataElement(f"{prefix}SOPInstanceUID", "UI", uid)
    if earlier_report is not None:
        _replace_predecessor(other, dcmread(earlier_report, stop_before_pixels=True))
    return other


def _replace_predecessor(document: Dataset, earlier: Dataset) -> None:
    """Let `document` name `earlier` where it names the same report in another class."""
    studies = deepcopy(document.PredecessorDocumentsSequence)
    reference = studies[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    reference.ReferencedSOPClassUID = earlier.SOPClassUID
    reference.ReferencedSOPInstanceUID = earlier.SOPInstanceUID
    document["PredecessorDocumentsSequence"] = DataElement(
        "PredecessorDocumentsSequence", "SQ", studies
    )


def _document(
    volume: Volume,
    bookmarks: Sequence[Bookmark],
    model: str,
    earlier: Dataset | None,
    sop_class: UID,
) -> Dataset:
    """The SR with its tree and evidence; identity, equipment and time are set afterwards."""
    headers = images.headers_by_uid(volume).values()
    document: Dataset = SOP_CLASSES[sop_class](
        evidence=[identity.evidence(header) for header in headers],
        content=measurement_report(volume, bookmarks, equipment.model_of(model))[0],
        series_instance_uid=provenance.series_uid(volume, model, "report series"),
        series_number=provenance.series_number(volume, SERIES_NUMBER_OFFSET),
        sop_instance_uid=provenance.instance_uid(volume, model, "report", sop_class),
        instance_number=1 if earlier is None else int(earlier.InstanceNumber) + 1,
        manufacturer=equipment.DEVICE_NAME,
        is_complete=True,
        series_description=SERIES_DESCRIPTION,
        content_qualification="RESEARCH",
        previous_versions=None if earlier is None else [earlier],
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    return document


def _mark_replaced(document: Dataset) -> None:
    """Say of each predecessor that this report replaces it (PS3.16 CID 7009)."""
    for study in document.get("PredecessorDocumentsSequence") or []:
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                instance.PurposeOfReferenceCodeSequence = [codes.item(codes.REPLACED_REPORT)]
