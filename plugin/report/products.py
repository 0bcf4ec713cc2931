"""Everything that somebody wants of one analysis, as objects to send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugin import Kind, Product
from plugin.errors import InvalidReport
from plugin.report import (
    document,
    key_objects,
    presentation_state,
    secondary_capture,
    segmentation,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from pydicom import Dataset

    from plugin.bookmark import Bookmark
    from plugin.report.segmentation import Region
    from plugin.volume import Volume


@dataclass(frozen=True)
class Findings:
    """What there is to say about one series."""

    #: The series.
    volume: Volume
    #: Its lesions, best score first.
    bookmarks: tuple[Bookmark, ...]
    #: Their voxels, in the same order.
    regions: tuple[Region, ...]
    #: Name and version of the detector, separated by a space.
    model: str
    #: The report that this one replaces, in the forms of `document.SOP_CLASSES`; or none.
    earlier_reports: tuple[Path, ...]
    #: Becomes the content date and time.
    now: datetime


def products(
    findings: Findings, kinds: Collection[Kind]
) -> tuple[tuple[Product, ...], tuple[str, ...]]:
    """Objects of these kinds, and a sentence for each kind that cannot be made.

    The report is made in any case. Raises InvalidReport when it cannot be made truthfully;
    that another kind cannot is no reason to hold it back.
    """
    made = [Product(Kind.REPORT, form) for form in _reports(findings)]
    remarks: list[str] = []
    for kind in (kind for kind in Kind if kind in kinds and kind is not Kind.REPORT):
        try:
            made += [Product(kind, each) for each in _others(findings, kind)]
        except InvalidReport as error:
            remarks.append(f"no {kind}: {error}")
    return tuple(made), tuple(remarks)


def _reports(findings: Findings) -> Iterator[Dataset]:
    """The report in every form that a destination may accept, best first."""
    earlier = findings.earlier_reports
    best = document.encode(
        findings.volume,
        findings.bookmarks,
        model=findings.model,
        earlier_report=earlier[0] if earlier else None,
        now=findings.now,
    )
    yield best
    for number, sop_class in enumerate(document.SOP_CLASSES):
        if sop_class != best.SOPClassUID:
            replaced = earlier[number] if earlier else None
            yield document.in_class(best, sop_class, findings.volume, findings.model, replaced)


def _others(findings: Findings, kind: Kind) -> Sequence[Dataset]:
    volume, bookmarks = findings.volume, findings.bookmarks
    model, now = findings.model, findings.now
    match kind:
        case Kind.KEY_IMAGES:
            return secondary_capture.encode(volume, bookmarks, model=model, now=now)
        case Kind.PRESENTATION_STATE:
            return presentation_state.encode(volume, bookmarks, model=model, now=now)
        case Kind.KEY_OBJECTS:
            return key_objects.encode(volume, bookmarks, model=model, now=now)
        case _:
            regions = findings.regions
            return segmentation.encode(volume, bookmarks, regions, model=model, now=now)
