"""Findings -> the report: one SR in several forms, complete with file meta information."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from highdicom.sr import Comprehensive3DSR
from pydicom import DataElement, Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
)

from plugin.report import codes, identity, images, provenance
from plugin.report.content import measurement_report
from plugin.report.library import insert_library

if TYPE_CHECKING:
    from plugin.report.findings import Findings

#: The SOP classes a report can have, best first; its tree is valid in each (PS3.3 A.35).
SOP_CLASSES = (Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage)
SERIES = provenance.ObjectSeries("report series", 9000, "Lesions")


def encode(findings: Findings) -> tuple[Dataset, ...]:
    """The report: a Measurement Report (PS3.16 TID 1500) in each of `SOP_CLASSES`.

    The forms differ in SOP Class and UID alone, and a revised one names the same form of the
    report that it replaces. The same instances and model give the same UIDs.
    Raises InvalidReport for an unknown key slice.
    """
    earlier = {found.SOPClassUID: found for found in map(dcmread, findings.earlier_reports)}
    best = _document(findings, earlier.get(SOP_CLASSES[0]))
    insert_library(best, findings.volume)
    provenance.complete(best, findings)
    _mark_replaced(best)
    others = [_in_class(best, sop_class, findings) for sop_class in SOP_CLASSES[1:]]
    for other in others:
        if other.SOPClassUID in earlier:
            _replace_predecessor(other, earlier[other.SOPClassUID])
    return best, *others


def _document(findings: Findings, earlier: Dataset | None) -> Dataset:
    """The SR with its tree and evidence; identity, equipment and time are set afterwards."""
    headers = images.headers_by_uid(findings.volume).values()
    number = 1 if earlier is None else int(earlier.InstanceNumber) + 1
    document: Dataset = Comprehensive3DSR(
        evidence=[identity.evidence(header) for header in headers],
        content=measurement_report(findings)[0],
        is_complete=True,
        previous_versions=None if earlier is None else [earlier],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **provenance.arguments(findings, SERIES, "report", SOP_CLASSES[0], number=number),
    )
    return document


def _mark_replaced(document: Dataset) -> None:
    """Say of each predecessor that this report replaces it (PS3.16 CID 7009)."""
    for study in document.get("PredecessorDocumentsSequence") or []:
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                instance.PurposeOfReferenceCodeSequence = [codes.item(codes.REPLACED_REPORT)]


def _in_class(document: Dataset, sop_class: UID, findings: Findings) -> Dataset:
    """The same report in another class, for peers that do not accept the first one."""
    other = Dataset()
    other.update(document)
    other.file_meta = FileMetaDataset()
    other.file_meta.update(document.file_meta)
    uid = provenance.instance_uid(findings, "report", sop_class)
    for holder, prefix in ((other, ""), (other.file_meta, "MediaStorage")):
        # New elements: those of `document` are shared, and must stay as they are.
        holder[f"{prefix}SOPClassUID"] = DataElement(f"{prefix}SOPClassUID", "UI", sop_class)
        holder[f"{prefix}SOPInstanceUID"] = DataElement(f"{prefix}SOPInstanceUID", "UI", uid)
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
