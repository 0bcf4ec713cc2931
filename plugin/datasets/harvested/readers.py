"""Bookmark objects -> the bookmarks that people made, with what each states about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plugin.datasets.harvested import words
from plugin.report import AuthorKind, codes, read, tree
from plugin.report.authors import is_own
from plugin.report.source import references

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pydicom import Dataset

    from plugin.bookmark import Bookmark
    from plugin.datasets.harvested.words import Stated

#: Modality of the objects that can hold bookmarks.
MODALITIES = {"SR": "report", "PR": "presentation state", "RTSTRUCT": "structure set"}
#: Why a part of an object did not enter.
NO_BOOKMARK = "something is drawn or measured that is no bookmark with both diameters"
BY_PROGRAM = "a bookmark was made by a program"


@dataclass(frozen=True)
class Marked:
    """One bookmark that a person made."""

    #: The bookmark; its type is what its reader fell back to where `stated` is None.
    bookmark: Bookmark
    #: The object it is in: SOP Instance UID.
    source: str
    #: What kind of object that is: one of `MODALITIES`.
    kind: str
    #: When the object was made, as far as DICOM tells: sorts by time.
    made: str
    #: Whether the object says that a person made it; else it does not say who did.
    by_person: bool
    #: The type it states; None where it states none.
    stated: Stated | None


def is_bookmark_object(header: Dataset) -> bool:
    """Whether an instance is of a kind that can hold bookmarks."""
    return header.get("Modality") in MODALITIES


def made(document: Dataset) -> str:
    """When an object was made: a text that sorts by time."""
    for kind in ("Content", "StructureSet", "PresentationCreation", "InstanceCreation"):
        if document.get(f"{kind}Date"):
            return f"{document.get(f'{kind}Date')}{document.get(f'{kind}Time') or ''}"
    return ""


def latest(documents: Sequence[Dataset], leave_out: Callable[[str, str], None]) -> list[Dataset]:
    """The objects that no other one replaces (Predecessor Documents), the latest first."""
    replaced = {uid for document in documents for uid in _predecessors(document)}
    kept = [each for each in documents if str(each.SOPInstanceUID) not in replaced]
    for each in documents:
        if str(each.SOPInstanceUID) in replaced:
            leave_out(str(each.SOPInstanceUID), "is replaced by a later revision")
    return sorted(kept, key=lambda each: (made(each), str(each.SOPInstanceUID)), reverse=True)


@dataclass(frozen=True)
class Marks:
    """What one object holds."""

    #: The bookmarks that people made.
    people: tuple[Marked, ...]
    #: Those that programs made.
    programs: tuple[Bookmark, ...]
    #: Why something did not enter, without its words.
    reasons: tuple[str, ...]


def marks(document: Dataset, headers: Sequence[Dataset]) -> Marks:
    """The bookmarks of an object; `headers` are those of the images at hand.

    Raises InvalidReport when it cannot be understood.
    """
    reading = read(document, headers=headers)
    programs = reading.by(AuthorKind.DEVICE)
    people = tuple(
        _marked(document, bookmark, by_person=author.kind is AuthorKind.PERSON)
        for bookmark, author in zip(reading.bookmarks, reading.authors, strict=True)
        if author.kind is not AuthorKind.DEVICE
    )
    reasons = (NO_BOOKMARK,) * len(reading.remarks) + (BY_PROGRAM,) * len(programs)
    return Marks(people, programs, reasons)


def _marked(document: Dataset, bookmark: Bookmark, *, by_person: bool) -> Marked:
    modality = str(document.Modality)
    return Marked(
        bookmark=bookmark,
        source=str(document.SOPInstanceUID),
        kind=MODALITIES[modality],
        made=made(document),
        by_person=by_person,
        stated=_STATED[modality](document, bookmark),
    )


def _stated_in_report(document: Dataset, bookmark: Bookmark) -> Stated | None:
    for group in tree.lesion_groups(document):
        for item in tree.find(group, codes.TRACKING_UID):
            if str(item.get("UID", "")) == bookmark.tracking_uid:
                return words.of_group(group)
    return None


def _stated_on_image(document: Dataset, bookmark: Bookmark) -> Stated | None:
    """By all words on the key slice of a presentation state."""
    texts = [
        str(text.get("UnformattedTextValue", ""))
        for annotation in document.get("GraphicAnnotationSequence") or []
        if bookmark.sop_instance_uid in _named(annotation.get("ReferencedImageSequence"))
        for text in annotation.get("TextObjectSequence") or []
    ]
    return words.of_label(" ".join(texts))


def _stated_by_name(document: Dataset, bookmark: Bookmark) -> Stated | None:
    """By the names of all regions of a structure set that are outlined on the key slice."""
    outlined = {
        int(contour.ReferencedROINumber)
        for contour in document.get("ROIContourSequence") or []
        for plane in contour.get("ContourSequence") or []
        for image in plane.get("ContourImageSequence") or []
        if image.get("ReferencedSOPInstanceUID") == bookmark.sop_instance_uid
    }
    names = [
        str(roi.get("ROIName", ""))
        for roi in document.get("StructureSetROISequence") or []
        if int(roi.ROINumber) in outlined
    ]
    return words.of_label(" ".join(names))


#: What an object states of a bookmark, by Modality.
_STATED = {"SR": _stated_in_report, "PR": _stated_on_image, "RTSTRUCT": _stated_by_name}


def needs_images(document: Dataset) -> bool:
    """Whether only the images' headers tell what an object of another program than ours holds."""
    titles = codes.MEASUREMENT_REPORTS
    return not any(tree.is_named(document, title) for title in titles) and not is_own(document)


def images_of(document: Dataset) -> dict[str, set[str]]:
    """SOP Instance UIDs of the images that an object refers to, by Series Instance UID."""
    found: dict[str, set[str]] = {}
    for instance, series in references(document).items():
        found.setdefault(series, set()).add(instance)
    for frame in document.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                uids = _named(series.get("ContourImageSequence"))
                found.setdefault(str(series.SeriesInstanceUID), set()).update(uids)
    return found


def _named(images: Iterable[Dataset] | None) -> set[str]:
    """SOP Instance UIDs of referenced images."""
    return {str(image.get("ReferencedSOPInstanceUID")) for image in images or []}


def _predecessors(document: Dataset) -> list[str]:
    return [
        str(instance.ReferencedSOPInstanceUID)
        for study in document.get("PredecessorDocumentsSequence") or []
        for series in study.get("ReferencedSeriesSequence") or []
        for instance in series.get("ReferencedSOPSequence") or []
        if instance.get("ReferencedSOPInstanceUID")
    ]
