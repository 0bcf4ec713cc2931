"""Looking things up in the content tree of an SR; every failure names the item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydicom.multival import MultiValue

from plugin.errors import InvalidReport
from plugin.report import codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset
    from pydicom.sr.coding import Code


def same(item: Dataset, code: Code) -> bool:
    """Whether a code sequence item is `code`, whatever its meaning is spelled like."""
    return (str(item.get("CodeValue", "")), str(item.get("CodingSchemeDesignator", ""))) == (
        code.value,
        code.scheme_designator,
    )


def is_named(item: Dataset, code: Code) -> bool:
    """Whether the concept name of a content item is `code`."""
    return any(same(name, code) for name in item.get("ConceptNameCodeSequence") or [])


def content(item: Dataset) -> list[Dataset]:
    """The children of a content item, in order."""
    return list(item.get("ContentSequence") or [])


def find(item: Dataset, code: Code, value_type: str | None = None) -> list[Dataset]:
    """The children that are named `code` (and are of `value_type`)."""
    return [
        child
        for child in content(item)
        if is_named(child, code) and value_type in (None, child.get("ValueType"))
    ]


def lesion_groups(document: Dataset) -> list[Dataset]:
    """The Measurement Groups of a Measurement Report, in order; none in an empty one."""
    return [group for _, _, group in paths_to_lesions(document)]


def paths_to_lesions(document: Dataset) -> list[tuple[Dataset, Dataset, Dataset]]:
    """For each of these groups the report, the Imaging Measurements and the group."""
    return [
        (document, container, group)
        for container in find(document, codes.IMAGING_MEASUREMENTS)
        for group in find(container, codes.MEASUREMENT_GROUP)
    ]


def one(item: Dataset, code: Code, where: str) -> Dataset:
    """The first child named `code`. Raises InvalidReport when there is none."""
    found = find(item, code)
    if not found:
        raise InvalidReport(f"{where} has no {code.meaning} ({code.value})")
    return found[0]


def text(item: Dataset, where: str) -> str:
    """The value of a TEXT or UIDREF item. Raises InvalidReport when it has none."""
    value = item.get("TextValue") or item.get("UID")
    if not value:
        raise InvalidReport(f"{where} has no value")
    return str(value)


def coded(item: Dataset, where: str) -> Dataset:
    """The value of a CODE item. Raises InvalidReport when it has none."""
    values = item.get("ConceptCodeSequence") or []
    if not values:
        raise InvalidReport(f"{where} has no coded value")
    first: Dataset = values[0]
    return first


def number(item: Dataset, unit: Code, where: str) -> float:
    """The value of a NUM item in `unit`. Raises InvalidReport for another unit or no value."""
    measured = item.get("MeasuredValueSequence") or []
    if not measured or measured[0].get("NumericValue") is None:
        raise InvalidReport(f"{where} has no numeric value")
    units = measured[0].get("MeasurementUnitsCodeSequence") or []
    if not any(same(each, unit) for each in units):
        raise InvalidReport(f"{where} is not in {unit.value}")
    return float(measured[0].NumericValue)


def points(item: Dataset, count: int, where: str) -> tuple[tuple[float, float], ...]:
    """The (column, row) points of the first child, which must be a polyline of `count` points."""
    children = content(item)
    if not children or children[0].get("ValueType") != "SCOORD":
        raise InvalidReport(f"{where} has no SCOORD as its first child")
    shape = children[0]
    values = [float(value) for value in shape.get("GraphicData") or []]
    if shape.get("GraphicType") != "POLYLINE" or len(values) != 2 * count:
        raise InvalidReport(f"{where} is not drawn as a polyline of {count} points")
    return tuple(zip(values[::2], values[1::2], strict=True))


def reference(item: Dataset, where: str) -> tuple[str, int | None]:
    """SOP Instance UID and frame of the image a SCOORD was selected from, or an IMAGE shows."""
    for holder in (item, *content(item)):
        for referenced in holder.get("ReferencedSOPSequence") or []:
            frames = referenced.get("ReferencedFrameNumber")
            return str(referenced.ReferencedSOPInstanceUID), None if frames is None else int(frames)
    raise InvalidReport(f"{where} refers to no image")


def values(value: Any) -> list[Any]:
    """The values of an element, which pydicom gives as one, as several or as none."""
    if value is None:
        return []
    return list(value) if isinstance(value, MultiValue | list) else [value]


def resolved(document: Dataset, item: Dataset) -> Dataset:
    """The item, or the first child it has by reference (PS3.3 C.17.3.2.5), which stands elsewhere.

    Raises InvalidReport for a reference to an item that is not there.
    """
    for child in content(item):
        path = child.get("ReferencedContentItemIdentifier")
        if path:
            target = document
            for number in values(path)[1:]:
                children = content(target)
                if not 0 < number <= len(children):
                    raise InvalidReport(f"there is no content item {path} to refer to")
                target = children[number - 1]
            return target
    return item


def referenced_uids(item: Dataset) -> Iterator[str]:
    """SOP Instance UIDs of the images that the tree below `item` refers to."""
    for referenced in item.get("ReferencedSOPSequence") or []:
        yield str(referenced.ReferencedSOPInstanceUID)
    for child in content(item):
        yield from referenced_uids(child)
