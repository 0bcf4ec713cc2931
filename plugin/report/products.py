"""Everything that somebody wants of one analysis, as objects to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydicom.uid import (
    UID,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from plugin import Kind, Product
from plugin.errors import InvalidReport
from plugin.report import (
    checks,
    document,
    key_objects,
    presentation_state,
    secondary_capture,
    segmentation,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pydicom import Dataset

    from plugin.report.findings import Findings

    Encoder = Callable[[Findings], Sequence[Dataset]]
    Check = Callable[[Sequence[Dataset], Findings], None]

#: For each kind what makes its objects, and what refuses those that are not true.
MADE_AND_CHECKED_BY: Final[dict[Kind, tuple[Encoder, Check]]] = {
    Kind.REPORT: (document.encode, checks.document.check),
    Kind.KEY_IMAGES: (secondary_capture.encode, checks.secondary_capture.check),
    Kind.PRESENTATION_STATE: (presentation_state.encode, checks.presentation_state.check),
    Kind.KEY_OBJECTS: (key_objects.encode, checks.key_objects.check),
    Kind.SEGMENTATION: (segmentation.encode, checks.segmentation.check),
}

#: SOP Classes of the objects of each kind; those of the report are forms of it, best first.
SOP_CLASSES: Final[dict[Kind, tuple[UID, ...]]] = {
    Kind.REPORT: document.SOP_CLASSES,
    Kind.KEY_IMAGES: (SecondaryCaptureImageStorage,),
    Kind.PRESENTATION_STATE: (GrayscaleSoftcopyPresentationStateStorage,),
    Kind.KEY_OBJECTS: (KeyObjectSelectionDocumentStorage,),
    Kind.SEGMENTATION: (SegmentationStorage,),
}


def products(
    findings: Findings, kinds: Collection[Kind]
) -> tuple[tuple[Product, ...], tuple[str, ...]]:
    """Objects of these kinds, and a sentence for each kind that cannot be made.

    This is the only way out: every object has passed the check of its kind. The report is
    made in any case, first and in each of its forms. Raises InvalidReport when it cannot be
    made truthfully; that another kind cannot is no reason to hold it back.
    """
    made = _made(findings, Kind.REPORT)
    remarks: list[str] = []
    for kind in (kind for kind in Kind if kind in kinds and kind is not Kind.REPORT):
        try:
            made += _made(findings, kind)
        except InvalidReport as error:
            remarks.append(f"no {kind}: {error}")
    return tuple(made), tuple(remarks)


def _made(findings: Findings, kind: Kind) -> list[Product]:
    encode, check = MADE_AND_CHECKED_BY[kind]
    objects = encode(findings)
    check(objects, findings)
    return [Product(kind, each) for each in objects]
