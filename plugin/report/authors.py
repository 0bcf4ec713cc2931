"""Who marked a lesion, a person or a program: data sets of radiologists' marks hold no others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from plugin.report import codes, tree
from plugin.report.equipment import DEVICE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydicom import Dataset
    from pydicom.sr.coding import Code

#: Observer Type (0040,A084) of the Author Observer Sequence (PS3.3 C.17.2.1).
AUTHOR_TYPES: Final = {"PSN": "person", "DEV": "device"}
#: ROI Generation Algorithm (3006,0036): with SEMIAUTOMATIC a person guided the program.
ROI_AUTOMATIC, ROI_BY_PEOPLE = "AUTOMATIC", frozenset({"MANUAL", "SEMIAUTOMATIC"})


class AuthorKind(StrEnum):
    """What made a bookmark."""

    #: A person says so: an observer, a content creator, who outlined by hand.
    PERSON = "person"
    #: An algorithm is named, or nobody but a device observed.
    DEVICE = "device"
    #: The object does not say.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Author:
    """Who made a bookmark, as the object says it."""

    #: Person or program.
    kind: AuthorKind
    #: The person's or the algorithm's name as it is written; empty where none is.
    name: str = ""
    #: Manufacturer and model of what wrote the object; empty where neither is given.
    equipment: str = ""


def of_group(path: Sequence[Dataset]) -> Author:
    """The author of a group of measurements; `path` leads from the report down to it.

    An algorithm named anywhere in the group (PS3.16 TID 4019), or in a container that holds the
    group, made it, whoever else observed.
    Else the observers nearest to the group count (TID 1001), of which a person comes before a
    device that the person worked with. Else author and verifier of the document do.
    """
    document, group = path[0], path[-1]
    beside = [item for above in path[:-1] for item in tree.content(above)]
    items = [*_below(group), *reversed(beside)]
    algorithms = [_value(item) for item in items if tree.is_named(item, codes.ALGORITHM)]
    if algorithms:
        return _author(document, AuthorKind.DEVICE, algorithms[0])
    if is_own(document) or str(document.get("SOPClassUID", "")) in codes.CAD_REPORTS:
        return _author(document, AuthorKind.DEVICE, DEVICE_NAME if is_own(document) else "")
    for item in reversed(path):
        kind, name = _observer(item)
        if kind is not AuthorKind.UNKNOWN:
            return _author(document, kind, name)
    return _author(document, *_signed(document))


def of_presentation_state(state: Dataset) -> Author:
    """The author of graphics: Content Creator's Name (0070,0084), else it is not said."""
    if is_own(state):
        return _author(state, AuthorKind.DEVICE, DEVICE_NAME)
    name = str(state.get("ContentCreatorName") or "")
    return _author(state, AuthorKind.PERSON if name else AuthorKind.UNKNOWN, name)


def of_roi(structures: Dataset, roi: Dataset, observation: Dataset | None) -> Author:
    """The author of a region of an RT Structure Set, by ROI Generation Algorithm (3006,0036).

    Without it, whoever approved the structures; else it is not said.
    """
    algorithm = str(roi.get("ROIGenerationAlgorithm") or "")
    interpreter = str(observation.get("ROIInterpreter") or "") if observation else ""
    reviewer = str(structures.get("ReviewerName") or "")
    if algorithm == ROI_AUTOMATIC or is_own(structures):
        return _author(structures, AuthorKind.DEVICE, str(roi.get("ROIGenerationDescription", "")))
    if algorithm in ROI_BY_PEOPLE or interpreter or reviewer:
        return _author(structures, AuthorKind.PERSON, interpreter or reviewer)
    return _author(structures, AuthorKind.UNKNOWN, "")


def is_own(document: Dataset) -> bool:
    """Whether lesionmark wrote the object."""
    return str(document.get("Manufacturer", "")) == DEVICE_NAME


def _author(document: Dataset, kind: AuthorKind, name: str) -> Author:
    made_by = (str(document.get(each) or "") for each in ("Manufacturer", "ManufacturerModelName"))
    return Author(kind, name, " ".join(filter(None, made_by)))


def _observer(item: Dataset) -> tuple[AuthorKind, str]:
    """What the observer context of one content item says; a missing type means a person."""
    people = _named(item, codes.PERSON_OBSERVER_NAME)
    types = [
        kind
        for found in tree.find(item, codes.OBSERVER_TYPE)
        for kind in found.get("ConceptCodeSequence") or []
    ]
    if people or any(tree.same(kind, codes.PERSON) for kind in types):
        return AuthorKind.PERSON, next(iter(people), "")
    devices = [
        *_named(item, codes.DEVICE_OBSERVER_NAME),
        *_named(item, codes.DEVICE_OBSERVER_MODEL),
    ]
    if devices or any(tree.same(kind, codes.DEVICE) for kind in types):
        return AuthorKind.DEVICE, next(iter(devices), "")
    return AuthorKind.UNKNOWN, ""


def _signed(document: Dataset) -> tuple[AuthorKind, str]:
    """Author and verifier in the SR Document General module (PS3.3 C.17.2)."""
    for author in document.get("AuthorObserverSequence") or []:
        kind = AUTHOR_TYPES.get(str(author.get("ObserverType", "")), AuthorKind.UNKNOWN)
        name = author.get("PersonName") or author.get("ManufacturerModelName") or ""
        return AuthorKind(kind), str(name)
    for verifier in document.get("VerifyingObserverSequence") or []:
        return AuthorKind.PERSON, str(verifier.get("VerifyingObserverName", ""))
    return AuthorKind.UNKNOWN, ""


def _named(item: Dataset, code: Code) -> list[str]:
    return [_value(found) for found in tree.find(item, code)]


def _value(item: Dataset) -> str:
    return str(item.get("PersonName") or item.get("TextValue") or "")


def _below(item: Dataset) -> Iterator[Dataset]:
    for child in tree.content(item):
        yield child
        yield from _below(child)
