"""The content tree of a Measurement Report (TID 1500)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    ObserverContext,
    RelationshipTypeValues,
    TextContentItem,
)

from plugin.report import codes, equipment, text
from plugin.report.equipment import DEVICE_NAME, Model
from plugin.report.groups import measurement_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom.sr.coding import Code

    from plugin.report.findings import Findings

#: How the diameters were taken (Algorithm Parameters, 111002 DCM).
MEASURED_HOW = "RECIST 1.1: longest diameter in one slice, and longest across it"


def measurement_report(findings: Findings) -> ContentSequence:
    """The tree, one root item, without its library; no bookmarks: nothing was found.

    Built from the templates of TID 1500 instead of highdicom's `MeasurementReport`, which
    refuses a report without measurements.
    """
    root = ContainerContentItem(name=codes.IMAGING_MEASUREMENT_REPORT, template_id="1500")
    model = equipment.model_of(findings.model)
    root.ContentSequence = ContentSequence(
        [*_context(model), _measurements(findings, model), _evaluations(findings)]
    )
    return ContentSequence([root], is_root=True)


def observer(model: Model) -> ObserverContext:
    """The model as the device that observes (TID 1002, TID 1004)."""
    device = DeviceObserverIdentifyingAttributes(
        uid=model.device_uid,
        name=DEVICE_NAME,
        manufacturer_name=DEVICE_NAME,
        model_name=model.name,
        serial_number=model.version,
    )
    return ObserverContext(CodedConcept.from_code(codes.DEVICE), device)


def _context(model: Model) -> list[ContentItem]:
    """Language, observer and procedure: who says this, and of what."""
    procedure = CodeContentItem(
        name=codes.PROCEDURE_REPORTED,
        value=codes.CT_UNSPECIFIED_BODY_REGION,
        relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
    )
    language = LanguageOfContentItemAndDescendants(CodedConcept.from_code(codes.ENGLISH))
    return [*language, *observer(model), procedure]


def _measurements(findings: Findings, model: Model) -> ContainerContentItem:
    """The Imaging Measurements container, one group a bookmark.

    It is there even when it is empty: viewers look into it without asking.
    """
    groups = [
        item
        for number, bookmark in enumerate(findings.bookmarks, start=1)
        for item in measurement_group(number, bookmark, findings.volume, _algorithm(model))
    ]
    return _container(codes.IMAGING_MEASUREMENTS, groups)


def _algorithm(model: Model) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=[MEASURED_HOW],
        family=codes.ARTIFICIAL_INTELLIGENCE,
    )


def _evaluations(findings: Findings) -> ContainerContentItem:
    outcome = CodeContentItem(
        name=codes.FINDINGS_SUMMARY,
        value=codes.WITH_FINDINGS if findings.bookmarks else codes.WITHOUT_FINDINGS,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    summary = text.summary(findings.bookmarks, findings.volume)
    narrative = paragraph(codes.NARRATIVE_SUMMARY, summary)
    notice = paragraph(codes.COMMENT, text.RESEARCH_USE)
    return _container(codes.QUALITATIVE_EVALUATIONS, [outcome, narrative, notice])


def paragraph(name: Code, value: str) -> TextContentItem:
    """Text of one or several lines below a container."""
    return TextContentItem(
        name=name,
        value=value.replace("\n", "\r\n"),  # PS3.5 6.1.3: a line ends with CR LF
        relationship_type=RelationshipTypeValues.CONTAINS,
    )


def _container(name: Code, items: Sequence[ContentItem]) -> ContainerContentItem:
    container = ContainerContentItem(name=name, relationship_type=RelationshipTypeValues.CONTAINS)
    if items:  # type 1C: absent or not empty
        container.ContentSequence = ContentSequence(items)
    return container
