"""The rules that a structured report has to keep, one function each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from plugin.errors import InvalidReport
from plugin.report import codes, images, text, tree
from plugin.report.checks.common import check_origin, hierarchical
from plugin.report.checks.group import check_group
from plugin.report.document import SOP_CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydicom import Dataset

    from plugin.report.findings import Findings
    from plugin.volume import Volume


def check(forms: Sequence[Dataset], findings: Findings) -> None:
    """Refuse a report that would mislead its reader or that viewers cannot draw.

    `forms` are the report in several SOP Classes. Raises InvalidReport, naming the item.
    """
    for document in forms:
        for rule in RULES:
            rule(document, findings)


def _check_origin(document: Dataset, findings: Findings) -> None:
    check_origin(document, findings, SOP_CLASSES)


def _check_state(document: Dataset, _: Findings) -> None:
    """The report is complete, and says that nobody has verified it (PS3.3 C.17.2)."""
    expected = {
        "CompletionFlag": "COMPLETE",
        "PreliminaryFlag": "PRELIMINARY",
        "VerificationFlag": "UNVERIFIED",
    }
    for keyword, value in expected.items():
        if document.get(keyword) != value:
            raise InvalidReport(f"{keyword} is {document.get(keyword)!r} and not {value}")


def _check_context(document: Dataset, _: Findings) -> None:
    """Title, language, observer and procedure are there."""
    if not tree.is_named(document, codes.IMAGING_MEASUREMENT_REPORT):
        raise InvalidReport("the title is not Imaging Measurement Report (126000)")
    for code in (codes.LANGUAGE, codes.OBSERVER_TYPE, codes.PROCEDURE_REPORTED):
        tree.coded(tree.one(document, code, "the report"), code.meaning)
    tree.text(tree.one(document, codes.DEVICE_OBSERVER_UID, "the report"), "Device Observer UID")


def _check_library(document: Dataset, findings: Findings) -> None:
    """The image library lists every instance that was analysed."""
    library = tree.one(document, codes.IMAGE_LIBRARY, "the report")
    listed = {
        tree.reference(entry, "an entry of the Image Library")[0]
        for group in tree.content(library)
        for entry in tree.find(group, codes.SOURCE, "IMAGE")
    }
    _check_complete(listed, findings.volume, "the Image Library")


def _check_evidence(document: Dataset, findings: Findings) -> None:
    """The evidence lists every instance that was analysed, and all that the tree refers to."""
    listed = set(hierarchical(document, "CurrentRequestedProcedureEvidenceSequence"))
    _check_complete(listed, findings.volume, "the evidence")
    for uid in tree.referenced_uids(document):
        if uid not in listed:
            raise InvalidReport(f"referenced instance {uid} is not in the evidence")


def _check_complete(listed: set[str], volume: Volume, where: str) -> None:
    for uid in images.headers_by_uid(volume):
        if uid not in listed:
            raise InvalidReport(f"analysed instance {uid} is not in {where}")


def _check_predecessor(document: Dataset, _: Findings) -> None:
    """A report replaces others, never itself."""
    if document.SOPInstanceUID in hierarchical(document, "PredecessorDocumentsSequence"):
        raise InvalidReport("the report names itself in its Predecessor Documents")


def _check_evaluations(document: Dataset, _: Findings) -> None:
    """The outcome fits the number of lesions, and the notice on research use is there."""
    evaluations = tree.one(document, codes.QUALITATIVE_EVALUATIONS, "the report")
    name = codes.FINDINGS_SUMMARY.meaning
    outcome = tree.coded(tree.one(evaluations, codes.FINDINGS_SUMMARY, "the report"), name)
    expected = codes.WITH_FINDINGS if tree.lesion_groups(document) else codes.WITHOUT_FINDINGS
    if not tree.same(outcome, expected):
        raise InvalidReport(f"{name} is not {expected.meaning}")
    comments = tree.find(evaluations, codes.COMMENT)
    if text.RESEARCH_USE not in [comment.get("TextValue") for comment in comments]:
        raise InvalidReport(f"no Comment says: {text.RESEARCH_USE}")


def _check_groups(document: Dataset, findings: Findings) -> None:
    """Every lesion is complete, drawable, and measures what its points say."""
    for number, group in enumerate(tree.lesion_groups(document), start=1):
        check_group(group, text.name(number), findings.volume)


def _check_tracking(document: Dataset, findings: Findings) -> None:
    """The lesions are those that were found, in their order, each under a UID of its own."""
    seen: list[str] = []
    for number, group in enumerate(tree.lesion_groups(document), start=1):
        item = tree.one(group, codes.TRACKING_UID, text.name(number))
        uid = tree.text(item, f"{text.name(number)}: Tracking Unique Identifier")
        if uid in seen:
            raise InvalidReport(f"{text.name(number)}: Tracking Unique Identifier is not unique")
        seen.append(uid)
    if seen != [bookmark.tracking_uid for bookmark in findings.bookmarks]:
        raise InvalidReport("the Tracking Unique Identifiers are not those of the lesions found")


#: In the order in which a reader would miss them.
RULES: Final[tuple[Callable[[Dataset, Findings], None], ...]] = (
    _check_origin,
    _check_state,
    _check_context,
    _check_library,
    _check_evidence,
    _check_predecessor,
    _check_evaluations,
    _check_tracking,
    _check_groups,
)
